"""Reading a text: ours against the same model in plain PyTorch, alternating, medians.

    python bench/compare/pytorch.py PROGRAM MODEL TEXT [--tokens N] [--runs R] [--threads T] [--compile] [--within SECONDS]

Ours and PyTorch's reading with learning must give the same mean loss; the script stops if they do not. "full attention"
is the same weights with every position seeing all before it (SDPA, one call a block): what a transformer of this shape
costs. Full attention without learning predicts worse here, as the model was not trained for it: only its time counts.
--compile adds torch.compile of whole steps (compiled.py). It needs g++ and Python's headers (Debian: python3-dev) and
compiles for a minute or two; after SECONDS, or where it fails, that is said and the other rows are measured without it.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy
import tokenizers
import torch
from compiled import CompiledReader, within
from reader import Reader
from table import print_table


def compiled_reader(o, tokens, eager_nll):
    """Compiled and warm; None, with the reason said, where it cannot be had or computes something else."""
    reader = CompiledReader(o.model)
    try:
        nll = within(o.within, lambda: reader.read(tokens)).mean().item()
    except Exception as e:  # torch.compile wraps whatever went wrong in types of its own
        reason = (str(e).splitlines() or [""])[0]
        print(f"no torch.compile row: {type(e).__name__}: {reason[:200]}\n  (it needs g++ and Python's headers, python3-dev; --within gives it more time)")
        return None
    if abs(nll - eager_nll) > 1e-4:
        print(f"no torch.compile row: its mean loss is {nll:.5f}, not {eager_nll:.5f}")
        return None
    return reader


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("text")
    p.add_argument("--tokens", type=int, default=8192)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--compile", action="store_true", help="also with torch.compile")
    p.add_argument("--within", type=int, default=300, metavar="SECONDS", help="how long compiling may take")
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    reader = Reader(o.model)
    ids = tokenizers.Tokenizer.from_file(f"{o.model}/tokenizer.json").encode(pathlib.Path(o.text).read_text(), add_special_tokens=False).ids
    tokens = torch.tensor([reader.c["bos_token_id"], *ids])[: o.tokens + 1]
    if len(tokens) <= o.tokens or o.tokens % reader.chunk:
        raise SystemExit(f"--tokens must be a multiple of {reader.chunk} and at most {len(ids)}")

    ours_json = [o.program, "bench", "read", o.model, "--text", o.text, "--device", "cpu", "--dtype", "fp32", "--json", "--runs", "1",
                 "--threads", str(o.threads), "--tokens", str(o.tokens)]

    def ours():
        report = json.loads(subprocess.run(ours_json, check=True, capture_output=True, text=True).stdout)
        return o.tokens / next(f["value"] for f in report["figures"] if f["name"] == "reading: tokens")

    def timed(run):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    rows = {
        "ingrain, learning": ours,
        "PyTorch eager, learning": lambda: timed(lambda: reader.read(tokens)),
        "PyTorch eager, no learning": lambda: timed(lambda: reader.read(tokens, learn=False)),
        "PyTorch SDPA, full attention": lambda: timed(lambda: reader.read(tokens, learn=False, full=True)),
    }
    # The same computation? Ours scores one token less: the first has no prediction.
    with tempfile.TemporaryDirectory() as folder:
        numpy.asarray(tokens, dtype=numpy.uint32).tofile(f"{folder}/tokens")
        scored = subprocess.run([o.program, "eval", o.model, "--tokens", f"{folder}/tokens", "--token-type", "u32", "--device", "cpu", "--dtype", "fp32", "--json"],
                                check=True, capture_output=True, text=True).stdout
    our_nll, their_nll = json.loads(scored)["learning_on"]["mean_nll"], reader.read(tokens).mean().item()
    print(f"mean loss of {o.tokens} tokens with learning: ours {our_nll:.5f}, PyTorch {their_nll:.5f}")
    if abs(our_nll - their_nll) > 2e-3:
        raise SystemExit("the two do not compute the same; no times")

    if o.compile:
        compiled = compiled_reader(o, tokens, their_nll)
        if compiled:
            rows["PyTorch compiled, learning"] = lambda: timed(lambda: compiled.read(tokens))

    seconds = {name: [] for name in rows}
    for _ in range(o.runs):
        for name, run in rows.items():
            seconds[name].append(run())
    print_table(o.tokens, o.threads, seconds)


if __name__ == "__main__":
    main()
