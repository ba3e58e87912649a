#!/usr/bin/env python3
"""How long a person waits in `ingrain chat`: from a question to the answer's first byte, turn after turn.

    bench/chat_turns.py build/release/src/cli/ingrain [OTHER-PROGRAM ...] --model models/reader-17m --text examples/data/emma.txt

Every program reads the same text (8,192 tokens of it) into a memory and holds the same conversation of 20 turns with it,
through pipes. Several programs take turns, conversation by conversation, so that what disturbs the machine disturbs all.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

QUESTIONS = [
    "Who is Emma?", "What did Mr. Knightley say about it, and why was she angry with him for a whole evening?",
    "Where does Harriet live?", "And what happened at the ball, when nobody would dance with her?",
    "Does she marry in the end?", "Tell me more about Miss Bates and her mother.",
]
END_OF_TURN = re.compile(rb"\n?[0-9,]+ tokens read, .*\n")  # /stats, asked for after every question


class Conversation:
    def __init__(self, program, memory, options):
        command = [program, "chat", "--memory", memory, "--temperature", "0", "--max-tokens", str(options.answer)]
        if options.weights:
            command += ["--weights", options.weights]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.process.stdin.write(b"/stats\n")  # the program is there once it answers
        self.read_turn()

    def read_turn(self):
        """Until /stats has answered. The time of the first byte."""
        seen, first = b"", None
        while not END_OF_TURN.search(seen):
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                sys.exit(f"the program ended in the middle of a conversation; it had said: {seen.decode(errors='replace')}")
            first = first or time.perf_counter()
            seen += part
        return first

    def ask(self, question):
        start = time.perf_counter()
        self.process.stdin.write(question.encode() + b"\n/stats\n")
        return 1e3 * (self.read_turn() - start)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def make_memory(program, options, folder):
    memory = os.path.join(folder, f"{len(os.listdir(folder))}.memory")
    command = [program, "read", options.model, options.text, "--limit", str(options.context), "-o", memory]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", help="ingrain programs, which take turns")
    parser.add_argument("--model", default="models/reader-17m")
    parser.add_argument("--text", default="examples/data/emma.txt")
    parser.add_argument("--context", type=int, default=8192, help="tokens read before the conversation")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--answer", type=int, default=32, help="tokens of an answer at most")
    parser.add_argument("--runs", type=int, default=3, help="conversations with each program")
    parser.add_argument("--weights", help="--weights of ingrain chat")
    options = parser.parse_args()
    waits = {program: [] for program in options.programs}
    opening = {program: [] for program in options.programs}
    with tempfile.TemporaryDirectory() as folder:
        memories = {program: make_memory(program, options, folder) for program in options.programs}
        for _ in range(options.runs):
            for program in options.programs:
                conversation = Conversation(program, memories[program], options)
                turns = [conversation.ask(QUESTIONS[i % len(QUESTIONS)]) for i in range(options.turns)]
                conversation.close()
                opening[program].append(turns[0])
                waits[program] += turns[1:]
    print("question to first byte, ms         first turn   later: median      p90")
    for program in options.programs:
        later = sorted(waits[program])
        p90 = later[min(len(later) - 1, int(0.9 * len(later)))]
        print(f"{program[-34:]:34} {statistics.median(opening[program]):10.2f} {statistics.median(later):15.2f} {p90:8.2f}")


if __name__ == "__main__":
    main()
