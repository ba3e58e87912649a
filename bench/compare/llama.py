"""Reading and writing: ours beside llama.cpp (PyPI's xllamacpp, prebuilt), alternating, medians and the slowest.

    python bench/compare/llama.py PROGRAM MODEL FILE.gguf TEXT [--contexts 0,2300,8192] [--read 2304] [--tokens N] [--runs R] [--threads T]

MODEL: a model (a folder, or FILE.gguf itself) or a shape (bench/shapes/smollm2-135m.json) for ours; FILE.gguf: the same weights. llama.cpp keeps every
position's keys and values; ours a window and what it has learnt. Both write greedily; the text before is the same. llama.cpp's
figures are its server's own timings of /completion (no HTTP in them; the first of N tokens comes from the prompt's pass, which is
not in the time: 1/N in its favour); ours those of `ingrain bench`. Peak memory is that of either process while it does all
this. Needs, in the Python that runs it, xllamacpp==2026.10.11549. INGRAIN_CPU=avx2 holds ours to AVX2; llama.cpp's is built for that.
"""
import argparse
import http.client
import json
import pathlib
import statistics
import subprocess
import types

from serve import Llama


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, o, contexts):
        self.server = Llama(types.SimpleNamespace(gguf=o.gguf, threads=o.threads), 1, max(contexts + [o.read]) + o.tokens + 64)
        self.ids = self.post("/tokenize", {"content": pathlib.Path(o.text).read_text()})["tokens"]

    def post(self, path, body):
        connection = http.client.HTTPConnection(self.server.host, timeout=3600)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        if reply.status != 200:
            raise SystemExit(f"llama.cpp: {path}: {reply.status} {data[:300]!r}")
        return json.loads(data)

    def timings(self, context, count):
        """After `context` tokens of the text (an empty one is one token)."""
        need = max(context, 1)
        prompt = (self.ids * (need // len(self.ids) + 1))[:need]
        out = self.post("/completion", {"prompt": prompt, "n_predict": count, "temperature": 0, "ignore_eos": True, "cache_prompt": False})
        if out["timings"]["predicted_n"] != count or out["timings"]["prompt_n"] != need:
            raise SystemExit(f"llama.cpp: {need} tokens to read and {count} to write were asked for; it did {out['timings']}")
        return out["timings"]

    def written(self, contexts, count):
        self.timings(0, 8)  # warms up
        return {c: self.timings(c, count)["predicted_per_second"] for c in contexts}

    def read(self, count):
        return self.timings(count, 1)["prompt_per_second"]

    def peak(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024e-6  # MB, as ours


class Ingrain:
    def __init__(self, o, weights):
        self.o, self.weights, self.name, self.peak_mb = o, weights, f"ingrain, {weights}", 0

    def bench(self, what, *more):
        command = [self.o.program, "bench", what, self.o.model, "--runs", "1", "--threads", str(self.o.threads), "--dtype", self.o.dtype, "--json", *more]
        if pathlib.Path(self.o.model).suffix != ".json":
            command += ["--text", self.o.text]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["figures"]
        return {f["name"]: f["value"] for f in figures}

    def written(self, contexts, count):
        figures = self.bench("decode", "--contexts", ",".join(map(str, contexts)), "--tokens", str(count), "--weights", self.weights)
        self.peak_mb = max(self.peak_mb, figures.get("peak memory", 0))
        return {c: figures[f"context {c}: tokens"] for c in contexts}

    def read(self, count, learning):
        figures = self.bench("read", "--tokens", str(count), *([] if learning else ["--no-learning"]))
        return figures["reading: tokens"], figures["peak memory"]


def table(title, rows, base, runs, threads):
    """rows: {name: one figure a run}."""
    print(f"\n| {title} | tokens/s | slowest of {runs} | of llama.cpp |\n| --- | --- | --- | --- |")
    for name, rates in rows.items():
        share = "" if name == base else f"{statistics.median(rates) / statistics.median(rows[base]):.2f}"
        print(f"| {name} ({threads} threads) | {statistics.median(rates):.1f} | {min(rates):.1f} | {share} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("gguf")
    p.add_argument("text")
    p.add_argument("--contexts", default="0,2300,8192")
    p.add_argument("--read", type=int, default=2304, help="tokens to read; 0: none")
    p.add_argument("--tokens", type=int, default=256)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--weights", default="native", help="ours, in these forms, for writing (native: as the file has them, as for reading)")
    p.add_argument("--dtype", default="auto")
    o = p.parse_args()
    contexts = [int(x) for x in o.contexts.split(",")]
    other = LlamaCpp(o, contexts)
    ours = [Ingrain(o, w) for w in o.weights.split(",")]
    written = {c: {x.name: [] for x in [other, *ours]} for c in contexts}
    read = {name: [] for name in (other.name, "ingrain, no learning", "ingrain, learning")}
    peaks = {}
    try:
        for _ in range(o.runs):
            for x in [other, *ours]:
                for c, rate in x.written(contexts, o.tokens).items():
                    written[c][x.name].append(rate)
            if o.read:
                read[other.name].append(other.read(o.read))
                for learning in (False, True):
                    name = "ingrain, learning" if learning else "ingrain, no learning"
                    rate, peaks[name] = ours[0].read(o.read, learning)
                    read[name].append(rate)
        peaks[other.name] = other.peak()
    finally:
        other.server.close()
    for c in contexts:
        table(f"writing {o.tokens} after {c:,}", written[c], other.name, o.runs, o.threads)
    if o.read:
        table(f"reading {o.read:,}", read, other.name, o.runs, o.threads)
    print("\npeak memory, MB: " + "; ".join(f"{name} {mb:.0f}" for name, mb in peaks.items()))


if __name__ == "__main__":
    main()
