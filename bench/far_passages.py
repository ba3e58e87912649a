#!/usr/bin/env python3
"""Does having read the beginning of a book help with a passage from its far end, and if not, why?

    bench/far_passages.py build/release/src/cli/ingrain --model models/smollm2-135m-reader BOOK.txt... > table.md

Passages of 2 windows are taken at equal distances from the last third of each book and read (learning) in these ways; the beginning is
the book's first --beginning tokens:

    alone       by an empty memory
    memory      by the memory that read the beginning
    unlearned   by a memory that read the beginning without learning: its windows are full, its fast weights are the model's
    emptied     by the fast weights of 'memory' and empty windows, as a first text
    brief       by a memory that read a quarter of a window of the beginning without learning: the very first token is still seen

Reported: mean loss a token less that of 'alone', over passages, with a 95 % interval (Student's t over passages), for both windows of
a passage and, for --halves of them, for its first and its second. Resumable: what is in --work is not measured again."""
import argparse
import hashlib
import json
import math
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys

T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 11: 2.201, 14: 2.145, 17: 2.110, 20: 2.086, 23: 2.069}
WAYS = ("memory", "unlearned", "emptied", "brief")


def tensors(path):
    """The header and the data of a safetensors file."""
    raw = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    data = raw[8 + size :]
    return {k: (v["dtype"], v["shape"], data[slice(*v["data_offsets"])]) for k, v in header.items() if k != "__metadata__"}, header.get("__metadata__", {})


def write_tensors(path, named, metadata):
    header, at = {"__metadata__": metadata}, 0
    for name, (dtype, shape, data) in named.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in named.values()))


class Bench:
    def __init__(self, options):
        self.o = options
        self.model = pathlib.Path(options.model)
        self.config = json.loads((self.model / "config.json").read_text())
        self.window = self.config["sliding_window"]
        self.work = pathlib.Path(options.work) / self.model.name
        self.work.mkdir(parents=True, exist_ok=True)

    def run(self, *words):
        done = subprocess.run([self.o.program, *map(str, words), "--dtype", self.o.dtype, "--json"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
        return json.loads(done.stdout)

    def read(self, text, out, *words):
        if not out.exists():
            self.run("read", self.model, text, "--no-notes", "-o", out, *words)
        return out

    def mean(self, limit, model, passage, *words):
        """Mean loss over the passage's first `limit` tokens. The first, bos, is not scored."""
        key = hashlib.sha256("\0".join(map(str, (model, passage, *words, self.o.dtype))).encode()).hexdigest()[:16]
        kept = self.work / f"{key}-{limit}.json"
        if not kept.exists():
            out = self.work / f"after-{os.getpid()}.memory"  # nobody needs it
            found = self.run("read", model, passage, "--no-notes", "-o", out, "--limit", limit, *words)
            out.unlink()
            assert found["tokens_read"] == limit, f"{passage} is too short"
            kept.write_text(json.dumps(found["mean_nll"]))
        return json.loads(kept.read_text())

    def losses(self, halves, *where):
        """Mean loss over the passage's two windows and, if `halves`, over its first and its second."""
        n, both = self.window, self.mean(2 * self.window, *where)
        if not halves:
            return {"both": both}
        first = self.mean(n, *where)
        return {"both": both, "first": first, "second": (both * (2 * n - 1) - first * (n - 1)) / n}

    def relearned(self, memory, name):
        """The model with a memory's fast weights as its own: a memory of it that has read nothing has empty windows."""
        folder = self.work / name
        if folder.exists():
            return folder
        made = self.work / f"unfinished-{os.getpid()}"
        shutil.copytree(self.model, made)
        if (made / "base.json").exists():
            base = json.loads((made / "base.json").read_text())
            base["model"] = str((self.model / base["model"]).resolve())
            (made / "base.json").write_text(json.dumps(base))
        (file,) = made.glob("*.safetensors")
        named, metadata = tensors(file)
        learned, _ = tensors(memory)
        first = self.config["num_hidden_layers"] - self.config["suffix_len"]
        for s in range(self.config["suffix_len"]):
            (_, (_, rows, width), w13), (_, shape2, w2) = learned[f"fast.{s}.w13"], learned[f"fast.{s}.w2"]
            put = {"gate_proj": ([rows // 2, width], w13[: len(w13) // 2]), "up_proj": ([rows // 2, width], w13[len(w13) // 2 :]), "down_proj": (shape2[1:], w2)}
            for part, (shape, data) in put.items():
                name_in_file = f"model.layers.{first + s}.fast_mlp.{part}.weight"
                assert named[name_in_file][1] == shape
                named[name_in_file] = ("F32", shape, data)
        write_tensors(file, named, metadata)
        made.rename(folder)
        return folder

    def book(self, path):
        """For each passage: {way: losses}."""
        text = path.read_text()
        start, begin = len(text) * 2 // 3, self.o.beginning
        name = path.stem
        learned = self.read(path, self.work / f"{name}.memory", "--limit", begin)
        unlearned = self.read(path, self.work / f"{name}.unlearned", "--limit", begin, "--no-learning")
        brief = self.read(path, self.work / f"{name}.brief", "--limit", self.window // 4, "--no-learning")
        emptied = self.relearned(learned, f"{name}.relearned")
        out = []
        for i in range(self.o.passages):
            at = start + (len(text) - start - 16 * self.window) * i // self.o.passages
            at = text.index("\n", at) + 1
            passage = self.work / f"{name}-{i}.txt"
            passage.write_text(text[at : at + 16 * self.window])
            halves = i < self.o.halves
            ways = {"alone": (self.model, passage), "memory": (self.model, passage, "--memory", learned),
                    "emptied": (emptied, passage), "unlearned": (self.model, passage, "--memory", unlearned)}
            if halves:
                ways["brief"] = (self.model, passage, "--memory", brief)
            out.append({way: self.losses(halves, *where) for way, where in ways.items()})
            print(f"{name} {i}: {json.dumps(out[-1])}", file=sys.stderr)
        return out


def interval(xs):
    half = T95[max(known for known in T95 if known < len(xs))] * statistics.stdev(xs) / math.sqrt(len(xs))
    return f"{statistics.mean(xs):+.4f} ± {half:.4f}"


def rows(label, passages):
    for part in ("both", "first", "second"):
        known = [p for p in passages if part in p["alone"]]
        if len(known) < 2:
            continue
        differences = []
        for way in WAYS:
            pairs = [p[way][part] - p["alone"][part] for p in known if way in p]
            differences.append(interval(pairs) if len(pairs) == len(known) else "")
        alone = statistics.mean(p["alone"][part] for p in known)
        print(f"| {label} | {len(known)} | {part} | {alone:.4f} | " + " | ".join(differences) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("books", nargs="+", type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--beginning", type=int, default=2048)
    parser.add_argument("--passages", type=int, default=8, help="of each book")
    parser.add_argument("--halves", type=int, default=3, help="of so many passages of each book the windows apart, and 'brief'")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--work", default="/tmp/far-passages")
    options = parser.parse_args()
    bench = Bench(options)
    print(f"{bench.model.name}, window {bench.window}, beginning {options.beginning} tokens, {options.dtype}\n")
    print("| book | passages | windows of the passage | alone | " + " | ".join(WAYS) + " |\n| " + "--- | " * (4 + len(WAYS)))
    all_of = []
    for book in options.books:
        found = bench.book(book)
        all_of += found
        rows(book.stem, found)
    rows("all", all_of)


if __name__ == "__main__":
    main()
