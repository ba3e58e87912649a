"""Which penalties and temperature `ask` and `chat` ship with: a table, not taste.

    python3 bench/defaults/measure.py [--model models/smollm2-135m-reader] [--tokens 96] [--seeds 5] > table.md

A memory reads the beginning of a book, then is asked questions, one after the other, in one conversation, learning from
its own answers as it does by default. For each setting:

  distinct-4     share of the answers' four-word sequences that are different, all answers together; beside it that of
                 the book's own passages of the same number of words, which is what people write
  longest loop   the most often that one answer repeats the same four words
  held-out loss  nats a token of the book's next part, read by the memory after the conversation: what learning from such
                 answers costs. Beside it that without a conversation

Settings that sample are run with every seed; shown are the mean and, after ±, the standard deviation over seeds (the longest loop: the
largest). The shipped setting is the one with the least held-out loss among those whose distinct-4 is at least the book's less 0.02;
it gives way to another only where that is better by the rule beyond twice the standard error of the difference, seed by seed.
What is measured is kept in --work, so that an interrupted run goes on.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
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


def measure(program, folder, setting, tokens, seed):
    temperature, top_p, penalty, window = setting
    memory, answers = folder / "book.memory", []
    for i, question in enumerate(QUESTIONS):
        after = folder / f"after{i % 2}.memory"
        answers.append(program.json(
            "ask", memory, question, "--model", program.model, "--max-tokens", tokens, "--temperature", temperature,
            "--top-p", top_p, "--repetition-penalty", penalty, "--penalty-window", window, "--seed", seed, "--save", after)["answer"])
        memory = after
    return {"distinct": distinct(answers), "loop": longest_loop(answers), "loss": program.held_out(memory, folder / "next.txt", folder),
            "words": sum(len(a.split()) for a in answers)}


def kept(file, make):
    """What `make` gives, from a file where it is there already."""
    if not file.exists():
        file.write_text(json.dumps(make()))
    return json.loads(file.read_text())


def spread(values, digits):
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def compare(rows, enough):
    """Each setting as varied as the book against the one of them with the least loss: the difference, seed by seed."""
    varied = {s: runs for s, runs in rows.items() if statistics.mean(r["distinct"] for r in runs) >= enough}
    if not varied:
        return
    best = min(varied, key=lambda s: statistics.mean(r["loss"] for r in varied[s]))
    print(f"\nAs varied as the book, and how much more held-out loss than {best}:\n")
    for setting, runs in varied.items():
        differences = [a["loss"] - b["loss"] for a, b in zip(runs, varied[best])]
        error = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
        print(f"- {setting}: {statistics.mean(differences):+.4f}, standard error {error:.4f}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default=str(ROOT / "models" / "smollm2-135m-reader"))
    options.add_argument("--program", default=os.environ.get("INGRAIN_PROGRAM", ROOT / "build/release/src/cli/ingrain"))
    options.add_argument("--text", default=str(ROOT / "examples/data/emma.txt"))
    options.add_argument("--tokens", type=int, default=96, help="at most so many an answer")
    options.add_argument("--read", type=int, default=2048, help="tokens read before the first question")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--setting", action="append", help="temperature,top-p,penalty,window: this one of the table (several times: these)")
    options.add_argument("--work", type=pathlib.Path, help="where to keep what was measured (default: nowhere)")
    o = options.parse_args()
    program = Program(o.program, o.model)
    book = pathlib.Path(o.text).read_text()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (o.work or pathlib.Path(temporary)) / pathlib.Path(o.model).name
        folder.mkdir(parents=True, exist_ok=True)
        program.json("read", o.model, o.text, "--limit", o.read, "-o", folder / "book.memory")
        at = len(book) // 3  # far from what was read
        (folder / "next.txt").write_text(book[at : at + 4 * o.read])
        alone = kept(folder / "alone.json", lambda: program.held_out(folder / "book.memory", folder / "next.txt", folder))
        rows = {}
        named = [tuple(float(x) for x in setting.split(",")) for setting in o.setting or []]
        for setting in [s for s in SETTINGS if not named or s in named]:
            seeds = range(1, 1 + o.seeds) if setting[0] > 0 else [1]  # greedy is the same with all
            rows[setting] = [kept(folder / ("-".join(map(str, setting)) + f"-seed{seed}.json"),
                                  lambda setting=setting, seed=seed: measure(program, folder, setting, o.tokens, seed)) for seed in seeds]
        words = max(1, round(statistics.mean(r["words"] for runs in rows.values() for r in runs) / len(QUESTIONS)))
        passages = [" ".join(book[at + 9000 * i :].split()[:words]) for i in range(len(QUESTIONS))]
        print(f"{pathlib.Path(o.model).name}, {o.read} tokens of {pathlib.Path(o.text).name}, {len(QUESTIONS)} questions, at most "
              f"{o.tokens} tokens each, {o.seeds} seeds. Held-out loss without a conversation: {alone:.4f}. The book's own distinct-4: "
              f"{distinct(passages):.3f}.\n")
        print("| temperature | top-p | repetition penalty | penalty window | distinct-4 | longest loop | held-out loss | words |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for (temperature, top_p, penalty, window), runs in rows.items():
            every = {key: [run[key] for run in runs] for key in runs[0]}
            print(f"| {temperature} | {top_p} | {penalty} | {window} | {spread(every['distinct'], 3)} | {max(every['loop'])} | "
                  f"{spread(every['loss'], 4)} | {spread(every['words'], 0)} |")
        compare(rows, distinct(passages) - 0.02)


if __name__ == "__main__":
    main()
