"""Writing tokens: ours against llama.cpp (PyPI's llama-cpp-python), alternating, medians.

    python bench/compare/llama.py PROGRAM MODEL FILE.gguf TEXT [--contexts 0,8192] [--tokens N] [--runs R] [--threads T]

MODEL: a model folder or a shape (bench/shapes/smollm2-135m.json) for ours. llama.cpp keeps every position's keys and
values; ours a window and what it has learnt. Both write greedily; the text before is the same. To install:

    python -m venv llama && llama/bin/pip install llama-cpp-python==0.3.36    (compiles for ten minutes on two cores)
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

from llama_cpp import Llama


class LlamaCpp:
    def __init__(self, path, text, threads, room):
        self.llm = Llama(path, n_ctx=room, n_threads=threads, n_threads_batch=threads, verbose=False)
        self.ids = self.llm.tokenize(text.encode())

    def read(self, context):
        """Fills the cache; an empty context is one token."""
        self.llm.reset()
        need = max(context, 1)
        tokens = (self.ids * (need // len(self.ids) + 1))[:need]
        self.llm.eval(tokens)

    def rate(self, context, count):
        self.read(context)
        seconds = []
        for i in range(8 + count):  # the first 8 warm up
            start = time.perf_counter()
            self.llm.eval([self.llm.sample(temp=0, repeat_penalty=1)])
            if i >= 8:
                seconds.append(time.perf_counter() - start)
        return count / sum(seconds)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("gguf")
    p.add_argument("text")
    p.add_argument("--contexts", default="0,8192")
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--weights", default="native,q8_0,q4_1", help="ours, in these forms")
    p.add_argument("--dtype", default="auto")
    o = p.parse_args()
    contexts = [int(x) for x in o.contexts.split(",")]
    other = LlamaCpp(o.gguf, pathlib.Path(o.text).read_text(), o.threads, max(contexts) + o.tokens + 64)

    def ours(weights):
        command = [o.program, "bench", "decode", o.model, "--contexts", o.contexts, "--tokens", str(o.tokens), "--runs", "1",
                   "--threads", str(o.threads), "--weights", weights, "--dtype", o.dtype, "--json"]
        if pathlib.Path(o.model, "tokenizer.json").exists():
            command += ["--text", o.text]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["figures"]
        return {c: next(f["value"] for f in figures if f["name"] == f"context {c}: tokens") for c in contexts}

    names = ["llama.cpp"] + [f"ingrain, {w}" for w in o.weights.split(",")]
    rates = {(name, c): [] for name in names for c in contexts}
    for _ in range(o.runs):
        for c in contexts:
            rates["llama.cpp", c].append(other.rate(c, o.tokens))
        for name in names[1:]:
            for c, rate in ours(name.removeprefix("ingrain, ")).items():
                rates[name, c].append(rate)
    print(f"{'context':>8} {'':16} {'tokens/s':>9} {'slowest':>9} {'of llama.cpp':>13}   ({o.threads} threads, median of {o.runs})")
    for c in contexts:
        for name in names:
            middle = statistics.median(rates[name, c])
            share = middle / statistics.median(rates["llama.cpp", c])
            print(f"{c:8} {name:16} {middle:9.1f} {min(rates[name, c]):9.1f} {share:12.2f}x")


if __name__ == "__main__":
    main()
