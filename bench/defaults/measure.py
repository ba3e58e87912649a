"""Which penalties and temperature `ask` and `chat` ship with: a table, not taste.

    python3 bench/defaults/measure.py [--model models/smollm2-135m-reader] [--tokens 96] > table.md

A memory reads the beginning of a book, then is asked questions, one after the other, in one conversation, learning from
its own answers as it does by default. For each setting:

  distinct-4     share of the answers' four-word sequences that are different, all answers together; beside it that of
                 the book's own passages of the same number of words, which is what people write
  longest loop   the most often that one answer repeats the same four words
  held-out loss  nats a token of the book's next part, read by the memory after the conversation: what learning from such
                 answers costs. Beside it that without a conversation

The shipped setting is the one with the least held-out loss among those whose distinct-4 is at least the book's less 0.02.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUESTIONS = [
    "Who is Emma Woodhouse?", "Tell me about Mr. Knightley.", "What does Emma think of Harriet?",
    "Describe the house at Hartfield.", "What happened at the wedding?", "What would you advise Emma to do?",
]
# temperature, top-p, repetition penalty, penalty window
SETTINGS = [
    (0, 1, 1.0, 1024), (0, 1, 1.05, 1024), (0, 1, 1.1, 1024), (0, 1, 1.2, 1024), (0, 1, 1.1, 128), (0, 1, 1.2, 128),
    (0.7, 0.9, 1.0, 1024), (0.7, 0.9, 1.05, 1024), (0.7, 0.9, 1.1, 1024), (0.7, 0.9, 1.2, 1024), (0.7, 0.9, 1.1, 128),
    (0.4, 0.9, 1.1, 1024), (1.0, 0.95, 1.0, 1024), (1.0, 0.95, 1.1, 1024),
]


def fours(text):
    words = text.lower().split()
    return [tuple(words[i : i + 4]) for i in range(len(words) - 3)]


def distinct(texts):
    all_of = [four for text in texts for four in fours(text)]
    return len(set(all_of)) / max(1, len(all_of))


def longest_loop(texts):
    return max((fours(t).count(f) for t in texts for f in set(fours(t))), default=0)


class Program:
    def __init__(self, path, model):
        self.path, self.model = path, model

    def json(self, *words):
        done = subprocess.run([self.path, *map(str, words), "--json"], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout)

    def held_out(self, memory, text, folder):
        return self.json("read", self.model, text, "--memory", memory, "-o", folder / "x.memory")["mean_nll"]


def measure(program, folder, setting, tokens):
    temperature, top_p, penalty, window = setting
    memory, answers = folder / "book.memory", []
    for i, question in enumerate(QUESTIONS):
        after = folder / f"after{i % 2}.memory"
        answers.append(program.json(
            "ask", memory, question, "--model", program.model, "--max-tokens", tokens, "--temperature", temperature,
            "--top-p", top_p, "--repetition-penalty", penalty, "--penalty-window", window, "--seed", 1, "--save", after)["answer"])
        memory = after
    return answers, program.held_out(memory, folder / "next.txt", folder)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default=str(ROOT / "models" / "smollm2-135m-reader"))
    options.add_argument("--program", default=os.environ.get("INGRAIN_PROGRAM", ROOT / "build/release/src/cli/ingrain"))
    options.add_argument("--text", default=str(ROOT / "examples/data/emma.txt"))
    options.add_argument("--tokens", type=int, default=96, help="at most so many an answer")
    options.add_argument("--read", type=int, default=2048, help="tokens read before the first question")
    o = options.parse_args()
    program = Program(o.program, o.model)
    book = pathlib.Path(o.text).read_text()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        program.json("read", o.model, o.text, "--limit", o.read, "-o", folder / "book.memory")
        at = len(book) // 3  # far from what was read
        (folder / "next.txt").write_text(book[at : at + 4 * o.read])
        alone = program.held_out(folder / "book.memory", folder / "next.txt", folder)
        rows = []
        for setting in SETTINGS:
            answers, loss = measure(program, folder, setting, o.tokens)
            rows.append((setting, distinct(answers), longest_loop(answers), loss, sum(len(a.split()) for a in answers)))
        words = max(1, round(sum(row[4] for row in rows) / len(rows) / len(QUESTIONS)))
        passages = [" ".join(book[at + 9000 * i :].split()[:words]) for i in range(len(QUESTIONS))]
        print(f"{pathlib.Path(o.model).name}, {o.read} tokens of {pathlib.Path(o.text).name}, {len(QUESTIONS)} questions, at most "
              f"{o.tokens} tokens each. Held-out loss without a conversation: {alone:.4f}. The book's own distinct-4: "
              f"{distinct(passages):.3f}.\n")
        print("| temperature | top-p | repetition penalty | penalty window | distinct-4 | longest loop | held-out loss | words |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for (temperature, top_p, penalty, window), share, loop, loss, count in rows:
            print(f"| {temperature} | {top_p} | {penalty} | {window} | {share:.3f} | {loop} | {loss:.4f} | {count} |")


if __name__ == "__main__":
    main()
