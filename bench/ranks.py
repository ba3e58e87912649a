#!/usr/bin/env python3
"""Two ranks on two cores against one rank with two threads: speed, processor time, bytes sent, time waiting, and what `ingrain plan` says.

    bench/ranks.py build/release/src/cli/ingrain [--repeat 3] [--steps 8] [--load 2.5] > table.md

Both train the same batches of random tokens in turn (fp32, no checkpoint but the last). Figures of a step
are medians over steps and repetitions, without each run's first two. Processor seconds are user + system of all its processes, over all
its steps and its start; with a load above --load before a run it waits, and says what the load was."""
import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

MODEL = """
[model]
vocab_size = {vocabulary}
hidden_size = {hidden}
num_hidden_layers = {blocks}
num_attention_heads = {heads}
intermediate_size = {mlp}
suffix_len = {suffix}
sliding_window = {window}
chunk_size = {chunk}
[data]
train = "tokens.bin"
sequence_length = {length}
[train]
steps = {steps}
batch = {batch}
device = "cpu"
dtype = "fp32"
[checkpoint]
folder = "run"
"""
# A small model with little to compute for each number that is sent, and reader-17m's shape with much.
SHAPES = {
    "hidden 256, 512 tokens": dict(vocabulary=4000, hidden=256, blocks=4, heads=4, mlp=688, suffix=2, window=128, chunk=64, length=512,
                                   batch=4),
    "reader-17m, 4,096 tokens": dict(vocabulary=8192, hidden=384, blocks=8, heads=6, mlp=832, suffix=2, window=1024, chunk=256,
                                     length=4096, batch=2),
}
ROOT_MAY = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def wait_for_quiet(most):
    while (load := os.getloadavg()[0]) > most:
        time.sleep(5)
    return load


def train(program, folder, ranks, settings=()):
    """(lines of the log, processor seconds) of one run."""
    shutil.rmtree(folder / f"ranks-{ranks}", ignore_errors=True)
    words = [program, "train", folder / "run.toml", "--set", f"checkpoint.folder={folder}/ranks-{ranks}"]
    for setting in settings:
        words += ["--set", setting]
    if ranks > 1:
        words = ["mpirun", "-n", str(ranks), "--bind-to", "core", *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, env={**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": str(2 // ranks)}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [json.loads(line) for line in (folder / f"ranks-{ranks}/log.jsonl").read_text().splitlines()]
    return [line for line in lines if "seconds" in line], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def plan(program, folder, *args):
    done = subprocess.run([program, "plan", folder / "run.toml", "--json", *args], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def median(lines, field):
    return statistics.median(line[field] for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--load", type=float, default=2.5)
    o = parser.parse_args()
    print("| shape | | step, s | tokens/s | processor s | sent a step, MB: rank 0, ideal | in communication | planned step, s | load before |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    numbers = random.Random(3)
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as at:
            folder = pathlib.Path(at)
            (folder / "tokens.bin").write_bytes(struct.pack("<200000H", *(numbers.randrange(shape["vocabulary"]) for _ in range(200000))))
            (folder / "run.toml").write_text(MODEL.format(steps=o.steps, **shape))
            lines, processor, loads = {1: [], 2: []}, {1: [], 2: []}, {1: [], 2: []}
            for _ in range(o.repeat):
                for ranks in (1, 2):
                    loads[ranks].append(wait_for_quiet(o.load))
                    new, seconds = train(o.program, folder, ranks)
                    lines[ranks] += new[2:]
                    processor[ranks].append(seconds)
            # The rate of one rank with one of its two threads' worth is what the plan is told: half of what two reach.
            one = median(lines[1], "seconds")
            unit = plan(o.program, folder, "--time", "--tflops", "1", "--memory-gbytes", "10")["time"][0]
            tflops = unit["computing"] / (one - unit["optimizer"])
            for ranks in (1, 2):
                planned = plan(o.program, folder, "--time", "--gpus", str(ranks), "--tflops", str(tflops / ranks), "--memory-gbytes",
                               str(10 / ranks), "--node-gbytes", "2.5")
                time_of = next(entry for entry in planned["time"] if entry["gpus"] == ranks)
                seconds = median(lines[ranks], "seconds")
                tokens = shape["batch"] * shape["length"]
                sent = ("" if ranks == 1 else f"{median(lines[2], 'bytes_sent') / 1e6:.3f}, {time_of['bytes_sent'] / 1e6:.3f}")
                share = ("" if ranks == 1 else
                         f"{100 * statistics.median(x['communication_seconds'] / x['seconds'] for x in lines[2]):.1f}%")
                print(f"| {name} | {ranks} x {2 // ranks} | {seconds:.3f} | {tokens / seconds:,.0f} | "
                      f"{statistics.median(processor[ranks]):.1f} | {sent} | {share} | {time_of['seconds']:.3f} | "
                      f"{', '.join(f'{x:.1f}' for x in loads[ranks])} |", flush=True)


if __name__ == "__main__":
    main()
