#!/usr/bin/env python3
"""What is remembered of facts that were read: by the memory, by the notepad beside it, by both, by the window alone.

    bench/recall.py build/release/src/cli/ingrain --models models/reader-17m --facts 40 --work /tmp/recall

Facts (name, place, number, code), generated with a seed, are buried one by one between passages of a book; then so and so many windows
of the book follow. Each fact is asked with a question in which it does not occur. Reported: whether the greedy answer contains it, the
log-probability of it as the answer beside those of 9 others of its kind, and how often it is the likeliest of the ten.

    memory    learning while reading; the question alone
    notepad   no learning; the passages that the question's words find are read before it
    both      learning, and passages
    window    no learning, no passages: attention's window, which the facts have left after one

Resumable: memories and answers that are in --work are not made again; so many facts (--part) are asked of all memories, then as many
more. What is there so far is written to --output at any time.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONDITIONS = ("memory", "notepad", "both", "window")


def make_facts(program, model, count, seed):
    """Facts that are told once, as `ingrain eval --measure recall` makes them: text, question, value, nine others of the kind."""
    command = [program, "eval", model, "--measure", "recall", "--print-tasks", "--facts", 4 * count + 16, "--seed", seed]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    facts = [f | {"text": f["first"]} for f in map(json.loads, done.stdout.splitlines()) if f["told"] == "once"]
    return facts[:count]


class Bench:
    def __init__(self, options):
        self.o = options
        self.work = pathlib.Path(options.work) / f"seed{options.seed}-facts{options.facts}"
        self.work.mkdir(parents=True, exist_ok=True)
        self.facts = make_facts(options.program, options.models[0], options.facts, options.seed)
        paragraphs = (ROOT / "examples" / "data" / "emma.txt").read_text().split("\n\n")
        self.paragraphs = [p.strip() for p in paragraphs if 200 < len(p) < 900]

    def run(self, *args):
        done = subprocess.run([self.o.program, *map(str, args)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, args))}: {done.stderr}")
        return done.stdout

    def place(self, model):
        out = self.work / pathlib.Path(model).name
        out.mkdir(exist_ok=True)
        return out

    def texts(self):
        """The book with the facts, and what follows it for each distance (after the one before)."""
        buried = "\n\n".join(f"{p}\n\n{f['text']}" for p, f in zip(self.paragraphs, self.facts))
        (self.work / "facts.txt").write_text(buried + "\n\n")
        rest = "\n\n".join(self.paragraphs[len(self.facts) :]) + "\n\n"
        (self.work / "rest.txt").write_text(rest * 4)
        return self.work / "facts.txt", self.work / "rest.txt"

    def memories(self, model):
        """{(learns, windows): memory file}, each going on from the nearer one."""
        out, folder = {}, self.place(model)
        facts, rest = self.texts()
        text = rest.read_text()
        for learns in (True, False):
            flags = [] if learns else ["--no-learning"]
            before, at = None, 0
            for windows in [0, *self.o.windows]:
                file = folder / f"{'learnt' if learns else 'window'}-{windows}.memory"
                out[learns, windows] = file
                state = folder / f"{file.name}.json"
                if not state.exists():
                    if windows == 0:
                        self.run("read", model, facts, "-o", file, *flags)
                    else:
                        piece = folder / "piece.txt"
                        piece.write_text(text[at:])
                        position = self.position(before)
                        goal = self.position(out[learns, 0]) + windows * self.window(before)
                        self.run("read", model, piece, "--memory", before, "-o", file, "--limit", goal - position, *flags)
                    state.write_text(json.dumps({"at": self.bytes_read(file)}))
                # Where the book goes on: what the notes of all that was read after the facts end with.
                at = max(0, json.loads(state.read_text())["at"])
                before = file
        return out

    def position(self, file):
        return json.loads(self.run("memory", "info", file, "--json"))["position"]

    def window(self, file):
        """Of the model that a memory belongs to."""
        with open(file, "rb") as memory:
            header = json.loads(memory.read(int.from_bytes(memory.read(8), "little")))
        return json.loads(header["__metadata__"]["config"])["sliding_window"]

    def bytes_read(self, file):
        """Of rest.txt: pieces are read one after another, each from where the one before ended."""
        import sqlite3

        rows = sqlite3.connect(f"{file}.notes").execute(
            "SELECT s.name, max(p.start + length(CAST(p.text AS BLOB))) FROM passages p JOIN sources s ON s.id = p.source GROUP BY s.id"
        ).fetchall()
        return sum(end for name, end in rows if name.endswith("piece.txt"))

    def answers(self, model, memories):
        # The candidates are what would follow "Answer:".
        asked = [json.dumps({"question": fact["question"], "candidates": [fact["value"], *fact["others"]]}) + "\n" for fact in self.facts]
        for end in range(self.o.part, len(asked) + self.o.part, self.o.part):
            for windows in self.o.windows:
                for condition in CONDITIONS:
                    self.answer(model, memories, asked[:end], windows, condition)
                    self.report()

    def answer(self, model, memories, asked, windows, condition):
        """The answers to those of these questions that have none yet."""
        file = self.place(model) / f"answers-{condition}-{windows}.jsonl"
        done = file.read_text() if file.exists() else ""
        left = asked[len(done.splitlines()) :]
        if not left:
            return
        part = self.place(model) / "part.jsonl"
        part.write_text("".join(left))
        learns = condition in ("memory", "both")
        more = ["--notepad", "--passages", self.o.passages] if condition in ("notepad", "both") else []
        more += [] if learns else ["--learn", "off"]
        text = self.run("ask", memories[learns, windows], "--model", model, "--questions", part, "--max-tokens", self.o.answer, *more)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(done + text)
        os.replace(temporary, file)

    def figures(self, file):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        hits = sum(f["value"].lower() in a["answer"].lower() for f, a in zip(self.facts, lines))
        first = sum(max(a["log_probabilities"]) == a["log_probabilities"][0] for a in lines)
        own = sum(a["log_probabilities"][0] for a in lines) / len(lines)
        others = sum(sum(a["log_probabilities"][1:]) / 9 for a in lines) / len(lines)
        found = None
        if "sources" in lines[0]:
            found = sum(any(f["text"] in " ".join(s["text"].split()) for s in a["sources"]) for f, a in zip(self.facts, lines))
        return len(lines), hits, first, own, others, found

    def report(self):
        rows = []
        for model in self.o.models:
            for windows in self.o.windows:
                for condition in CONDITIONS:
                    file = self.place(model) / f"answers-{condition}-{windows}.jsonl"
                    if not file.exists():
                        continue
                    n, hits, first, own, others, found = self.figures(file)
                    share = lambda count: "" if count is None else f"{count}/{n}"
                    rows.append(f"| {pathlib.Path(model).name} | {windows} | {condition} | {share(hits)} | {share(first)} "
                                f"| {own:.2f} | {others:.2f} | {own - others:+.2f} | {share(found)} |")
        error = 100 * math.sqrt(0.25 / self.o.facts)
        text = f"""# Recall of facts: the memory, the notepad, both, the window alone

`bench/recall.py --facts {self.o.facts} --seed {self.o.seed} --passages {self.o.passages} --answer {self.o.answer}`, {platform.machine()}, {os.cpu_count()} cores,
commit {subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty'], capture_output=True, text=True).stdout.strip() or 'unknown'}.
n = {self.o.facts} generated facts (names, places, numbers, codes in turn), each between two paragraphs of *Emma*, then so many windows (1,024 tokens)
of the book after the last of them; the first fact lies the facts' own text further back. A share's standard error is at most {error:.0f} points.

- **answer**: the greedy answer of {self.o.answer} tokens contains the value. **first of 10**: of the value and nine others of its kind, it is the likeliest (chance: 1/10).
- **log p**: its log-probability as the answer, nats; **others**: the mean of the nine; **gain**: the difference, which is what was remembered.
- **found**: the notepad's passages hold the fact (whether the model uses it is what the other columns say).

| model | windows after | with | answer | first of 10 | log p | others | gain | found |
| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |
""" + "\n".join(rows) + "\n"
        pathlib.Path(self.o.output).write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--models", nargs="+", default=["models/reader-17m", "models/smollm2-135m-reader"])
    parser.add_argument("--facts", type=int, default=200)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--passages", type=int, default=4)
    parser.add_argument("--part", type=int, default=20, help="facts asked of all memories before the next ones are")
    parser.add_argument("--answer", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", default="/tmp/ingrain-recall")
    parser.add_argument("--output", default=str(ROOT / "bench" / "results" / "recall.md"))
    options = parser.parse_args()
    bench = Bench(options)
    for model in options.models:
        bench.answers(model, bench.memories(model))
    bench.report()


if __name__ == "__main__":
    main()
