#!/usr/bin/env python3
"""Two builds of ingrain beside each other, in alternating runs: reading, writing and training, what each release must keep.

    bench/compare/builds.py OLD NEW [--rounds 5] [--only read]

OLD and NEW are programs. A row's ratio is the median over rounds of new / old speed (above 1: the new one is faster), with the
rounds' smallest and largest, since the two runs of a round share the machine's mood.
"""
import argparse
import json
import statistics
import subprocess

READER, EMMA = "models/reader-17m", "examples/data/emma.txt"
CASES = {
    "read 17m fp32": ["read", READER, "--text", EMMA, "--dtype", "fp32", "--tokens", "16384", "--runs", "1"],
    "read 17m bf16": ["read", READER, "--text", EMMA, "--dtype", "bf16", "--tokens", "16384", "--runs", "1"],
    "decode 17m bf16": ["decode", READER, "--text", EMMA, "--dtype", "bf16", "--contexts", "0,4096", "--tokens", "512", "--runs", "1"],
    "train 17m bf16": ["train", READER, "--text", EMMA, "--dtype", "bf16", "--runs", "1"],
    "decode SmolLM2 q4_1": ["decode", "bench/shapes/smollm2-135m.json", "--weights", "q4_1", "--contexts", "0,4096", "--tokens", "256",
                            "--runs", "1"],
    "read SmolLM2 bf16": ["read", "bench/shapes/smollm2-135m.json", "--tokens", "8192", "--runs", "1"],
}


def run(program, arguments):
    out = subprocess.run([program, "bench", *arguments, "--json"], check=True, capture_output=True, text=True).stdout
    return {f["name"]: f["value"] for f in json.loads(out)["figures"] if f["unit"] == "tokens/s" and "slowest" not in f["name"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    o = parser.parse_args()
    print(f"{'':56} {'old':>9} {'new':>9} {'new/old':>8} {'least':>6} {'most':>6}   (tokens/s, medians of {o.rounds} alternating rounds)")
    for name, arguments in CASES.items():
        if o.only not in name:
            continue
        rounds = []
        for i in range(o.rounds):
            pair = {}
            for which in (("old", "new") if i % 2 == 0 else ("new", "old")):
                pair[which] = run(getattr(o, which), arguments)
            rounds.append(pair)
        for figure in rounds[0]["old"]:
            if not all(figure in r["new"] for r in rounds):
                continue
            old, new = [r["old"][figure] for r in rounds], [r["new"][figure] for r in rounds]
            ratios = [b / a for a, b in zip(old, new)]
            print(f"{f'{name}: {figure}':56} {statistics.median(old):9.1f} {statistics.median(new):9.1f} "
                  f"{statistics.median(ratios):8.3f} {min(ratios):6.3f} {max(ratios):6.3f}", flush=True)


if __name__ == "__main__":
    main()
