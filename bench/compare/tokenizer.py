"""Tokens per second on one thread: ours against PyPI's tokenizers, alternating, medians.

    INGRAIN_BUILD=build python bench/compare/tokenizer.py TEXT TOKENIZER.json...

The machine must be quiet; the spread of the runs is printed so that noise shows.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "python"))
import tokenizer_oracle as oracle
import tokenizers

RUNS = 7


def ours(path, text_path):
    tokens, seconds = subprocess.run([oracle.PROBE, "time", path, text_path], check=True, capture_output=True,
                                     text=True).stdout.split()
    return int(tokens) / float(seconds)


def theirs(tokenizer, text):
    start, tokens = time.perf_counter(), 0
    while time.perf_counter() - start < 1:
        tokens += len(tokenizer.encode(text, add_special_tokens=False).ids)
    return tokens / (time.perf_counter() - start)


def main(text_path, *paths):
    text = pathlib.Path(text_path).read_bytes().decode()
    print(f"{'tokenizer':40} {'ours':>12} {'tokenizers':>12} {'ratio':>6}   (tokens/s, median of {RUNS}; lowest to highest)")
    for path in paths:
        reference = tokenizers.Tokenizer.from_file(path)
        pairs = [(ours(path, text_path), theirs(reference, text)) for _ in range(RUNS)]
        a, b = zip(*pairs)
        print(f"{path[-40:]:40} {statistics.median(a):12,.0f} {statistics.median(b):12,.0f} "
              f"{statistics.median(x / y for x, y in pairs):6.2f}   {min(a):,.0f}-{max(a):,.0f}; {min(b):,.0f}-{max(b):,.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
