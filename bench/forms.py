"""Forms of the retrofit without training, on texts that nobody trained on: a row for every form and text, as it comes.

    python forms.py BASE OUT.jsonl --texts TEXT... [--tokens 4096] [--forms NAME...] [--program PROGRAM...] [--adapter NAME=FOLDER...]
    python forms.py --table OUT.jsonl [--from 2048]
    python forms.py --list

BASE: a model folder or .gguf. Goes on where it stopped: a row that OUT.jsonl has is not made again. A row holds the form, the text, mean
losses (nats a token) by position, and the difference to the base with the same window, not learning, with a 95% interval: the mean over
64-token pieces, from the middle of what was read to its end, and 1.96 standard errors of it. Losses of every token are kept beside
OUT.jsonl (nll/). --table prints what is there, a line a form, a column a text. --adapter measures a trained one.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

S6, S15, S30 = ("--suffix 6 --fast-mlp 512", "--suffix 15 --fast-mlp 512", "--suffix 30 --fast-mlp 512")
FULL = "base, full attention"
# Forms by their inner optimizer, name: options of `ingrain retrofit` beside it.
SGD = {
    "rate 1": S6,
    **{f"rate {r:g}": f"{S6} --inner-lr {r}" for r in (0.3, 2, 4)},
    **{f"chunk {b}": f"{S6} --chunk {b}" for b in (64, 128, 512, 1024)},
    **{f"chunk {b}, rate {r:g}": f"{S6} --chunk {b} --inner-lr {r}"
       for b, r in ((32, 0.25), (64, 0.25), (64, 0.5), (64, 1), (128, 0.5), (128, 1), (1024, 2))},
    "no sink": f"{S6} --no-sink",
    "width 1536": "--suffix 6 --fast-mlp 1536",
    "width 1536, rate 0.3": "--suffix 6 --fast-mlp 1536 --inner-lr 0.3",
    "3 blocks of 1536": "--suffix 3 --fast-mlp 1536",
    **{f"width 1536, chunk 64, rate {r:g}": f"--suffix 6 --fast-mlp 1536 --chunk 64 --inner-lr {r}" for r in (0.1, 0.25)},
    **{f"15 blocks, rate {r:g}": f"{S15} --inner-lr {r}" for r in (0.1, 0.3, 1)},
    **{f"15 blocks, chunk 64, rate {r:g}": f"{S15} --chunk 64 --inner-lr {r}" for r in (0.15, 0.3)},
    **{f"30 blocks, rate {r:g}": f"{S30} --inner-lr {r}" for r in (0.03, 0.1, 0.3)},
    **{f"momentum {m:g}, rate {r:g}": f"{S6} --inner-momentum {m} --inner-lr {r}" for m, r in ((0.5, 0.5), (0.5, 1), (0.9, 0.1), (0.9, 0.3))},
    **{f"decay {d:g}": f"{S6} --inner-decay {d}" for d in (0.01, 0.03, 0.1)},
    **{f"chunk 64, rate 0.5, decay {d:g}": f"{S6} --chunk 64 --inner-lr 0.5 --inner-decay {d}" for d in (0.01, 0.03)},
    "two steps, rate 0.5": f"{S6} --inner-steps 2 --inner-lr 0.5",
    "two steps": f"{S6} --inner-steps 2",
    **{f"w1 and w3 x {f:g}": f"{S6} --inner-w13-factor {f}" for f in (0.1, 3, 10)},
    "rates rising 0.25 to 1": f"{S6} --layer-rates 0.25,0.4,0.55,0.7,0.85,1",
    "rates falling 1 to 0.25": f"{S6} --layer-rates 1,0.85,0.7,0.55,0.4,0.25",
}
MUON = {
    **{f"rate {r:g}": f"{S6} --inner-lr {r}" for r in (0.003, 0.01, 0.02, 0.03, 0.1, 0.2, 0.4)},
    **{f"chunk {b}, rate {r:g}": f"{S6} --chunk {b} --inner-lr {r}" for b, r in ((64, 0.005), (64, 0.03), (64, 0.06), (128, 0.06), (128, 0.1))},
    **{f"width 1536, rate {r:g}": f"--suffix 6 --fast-mlp 1536 --inner-lr {r}" for r in (0.03, 0.06, 0.1)},
    **{f"15 blocks, rate {r:g}": f"{S15} --inner-lr {r}" for r in (0.003, 0.01, 0.03, 0.06, 0.1)},
    **{f"30 blocks, rate {r:g}": f"{S30} --inner-lr {r}" for r in (0.001, 0.003, 0.03)},
    **{f"{n} blocks of {w}, rate {r:g}": f"--suffix {n} --fast-mlp {w} --inner-lr {r}"
       for n, w, r in ((12, 256, 0.06), (12, 256, 0.1), (15, 64, 0.06), (15, 128, 0.06), (15, 128, 0.1), (15, 256, 0.03), (15, 256, 0.06),
                       (15, 256, 0.1), (15, 1024, 0.06), (18, 256, 0.06), (20, 256, 0.06), (30, 256, 0.03), (30, 256, 0.06))},
    **{f"15 blocks of 256, chunk 128, rate {r:g}": f"--suffix 15 --fast-mlp 256 --chunk 128 --inner-lr {r}" for r in (0.03, 0.05)},
    **{f"momentum {m:g}, rate {r:g}": f"{S6} --inner-momentum {m} --inner-lr {r}"
       for m, r in ((0.5, 0.01), (0.9, 0.003), (0.9, 0.01), (0.9, 0.02), (0.9, 0.03), (0.9, 0.06))},
    "momentum 0.9, chunk 64, rate 0.001": f"{S6} --inner-momentum 0.9 --chunk 64 --inner-lr 0.001",
    **{f"rate 0.1, decay {d:g}": f"{S6} --inner-lr 0.1 --inner-decay {d}" for d in (0.03, 0.1)},
    "rate 0.1, two steps of half": f"{S6} --inner-lr 0.05 --inner-steps 2",
}
FORMS = {FULL: None,  # the base's own attention
         **{name: options + " --inner-optimizer sgd" for name, options in SGD.items()},
         **{"Muon, " + name: options + " --inner-optimizer muon" for name, options in MUON.items()}}

parser = argparse.ArgumentParser()
parser.add_argument("base", type=Path, nargs="?")
parser.add_argument("out", type=Path, nargs="?")
parser.add_argument("--program", nargs="+", default=["build/release/src/cli/ingrain"], help="and what runs it")
parser.add_argument("--texts", nargs="+", type=Path, default=[])
parser.add_argument("--tokens", type=int, default=4096)
parser.add_argument("--forms", nargs="*", default=list(FORMS))
parser.add_argument("--adapter", nargs="*", default=[])
parser.add_argument("--dtype", default="bf16")
parser.add_argument("--commit", default="")
parser.add_argument("--hold", type=Path, default=Path("/nonexistent"), help="no run begins while this file exists")
parser.add_argument("--table", type=Path)
parser.add_argument("--from", dest="first", type=int, default=2048)
parser.add_argument("--list", action="store_true")
args = parser.parse_args()


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def window_of(form):
    """The base with the form's window and sink, not learning."""
    options = (FORMS.get(form) or "").split()
    window = options[options.index("--window") + 1] if "--window" in options else "1024"
    return f"base, window {window}" + (" without sink" if "--no-sink" in options else "")


def by_position(nll):
    """Mean losses at 0-512, 512-1024, 1024-2048 and so on; a text's first token has none."""
    edges = [0, 512]
    while edges[-1] < len(nll):
        edges.append(2 * edges[-1])
    return {f"{a}-{b}": round(statistics.fmean(nll[max(a, 1):b]), 4) for a, b in zip(edges, edges[1:]) if len(nll) >= b}


def difference(nll, base):
    half = len(nll) // 2
    pieces = [statistics.fmean(x - y for x, y in zip(nll[i:i + 64], base[i:i + 64])) for i in range(half, len(nll) - 63, 64)]
    return round(statistics.fmean(pieces), 4), round(1.96 * statistics.stdev(pieces) / math.sqrt(len(pieces)), 4)


class Study:
    def __init__(self, folder):
        self.folder, self.kept = Path(folder), args.out.parent / "nll"
        self.kept.mkdir(parents=True, exist_ok=True)
        self.done = {(r["form"], r["text"], r["tokens"]) for r in rows_of(args.out)}

    def run(self, *command):
        while args.hold.exists():
            time.sleep(5)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(["nice", "-n", "19", *args.program, *map(str, command)], check=True, capture_output=True, env=environment).stdout

    def model(self, form):
        if form == FULL:
            return args.base
        made = self.folder / "model"
        if not made.exists() or self.made != form:
            subprocess.run(["rm", "-rf", made], check=True)
            self.run("retrofit", args.base, "-o", made, *FORMS[form].split())
            self.made = form
        return made

    def losses(self, name, text, model, learning):
        """Of every token, and the seconds it took (None: it was there)."""
        path = self.kept / f"{name} {text.stem} {args.tokens}.json".replace(" ", "_").replace(",", "")
        if path.exists():
            return json.loads(path.read_text()), None
        began = time.time()
        said = self.run("eval", model(), text, "--limit", args.tokens, "--learning", learning, "--dtype", args.dtype, "--json", "--per-token")
        nll = json.loads(said)["learning_" + learning]["nll"]
        path.write_text(json.dumps([x if x is None else round(x, 5) for x in nll]))
        return nll, round(time.time() - began, 1)

    def row(self, name, text, nll, seconds, **more):
        if (name, text.stem, args.tokens) in self.done:
            return
        self.done.add((name, text.stem, args.tokens))
        row = {"form": name, "text": text.stem, "tokens": args.tokens, "dtype": args.dtype, "loss": by_position(nll), **more, "seconds": seconds,
               "commit": args.commit}
        with open(args.out, "a") as out:
            out.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def measure(self, form, text, model, options=""):
        if (form, text.stem, args.tokens) in self.done:
            return
        if form == FULL:
            return self.row(form, text, *self.losses(form, text, model, "off"))
        base_name = window_of(form)
        base, seconds = self.losses(base_name, text, model, "off")
        self.row(base_name, text, base, seconds)
        nll, seconds = self.losses(form, text, model, "on")
        by, interval = difference(nll, base)
        self.row(form, text, nll, seconds, difference=by, interval=interval, options=options)


def print_table(path):
    rows = rows_of(path)
    texts = sorted({r["text"] for r in rows}, key=lambda t: ["novel", "manual", "code", "dialogue"].index(t.split("-")[0]))
    column = f"{args.first}-{2 * args.first}"
    print("| form | " + " | ".join(texts) + " |\n" + "| --- " * (len(texts) + 1) + "|")
    for form in dict.fromkeys(r["form"] for r in rows):
        cells = []
        for text in texts:
            found = [r for r in rows if r["form"] == form and r["text"] == text and column in r["loss"]]
            cell = "" if not found else f"{found[-1]['loss'][column]:.3f}"
            if found and "difference" in found[-1] and found[-1]["tokens"] == 2 * args.first:
                cell += f" ({found[-1]['difference']:+.3f} +- {found[-1]['interval']:.3f})"
            cells.append(cell)
        print(f"| {form} | " + " | ".join(cells) + " |")


if args.list:
    print("\n".join(f"{name}: {options or ''}" for name, options in FORMS.items()))
elif args.table:
    print_table(args.table)
else:
    with tempfile.TemporaryDirectory() as folder:
        study = Study(folder)
        for form in args.forms:
            for text in args.texts:
                study.measure(form, text, lambda: study.model(form), FORMS[form])
        for given in args.adapter:
            name, _, path = given.partition("=")
            for text in args.texts:
                study.measure(name, text, lambda: Path(path))
