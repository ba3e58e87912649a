"""Forms of the retrofit as ingrain computes them, on texts that nobody trained on: a row for every form and text, as it comes.

    python measure.py PROGRAM BASE OUT.csv --texts TEXT... [--tokens 4096] [--forms NAME...] [--adapter NAME=FOLDER...]

BASE: a model folder or .gguf. Goes on where it stopped; no form begins while the file --hold exists. Losses of every token are kept
beside OUT.csv (nll/), so that differences have intervals: mean over 64-token pieces of (form - the same window without learning),
and 1.96 standard errors of it, from the middle of the text to its end. --adapter measures a trained one, learning on and off.
"""
import argparse
import json
import math
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from rows import append

# name: (options of retrofit, fields of config.json that differ)
FORMS = {
    "s6 w512": (["--suffix", "6", "--fast-mlp", "512"], {}),
    "s6 w512 no sink": (["--suffix", "6", "--fast-mlp", "512", "--no-sink"], {}),
    "s6 w1536": (["--suffix", "6", "--fast-mlp", "1536"], {}),
    "s15 w512": (["--suffix", "15", "--fast-mlp", "512"], {}),
    "s30 w512": (["--suffix", "30", "--fast-mlp", "512"], {}),
    "s3 w1536": (["--suffix", "3", "--fast-mlp", "1536"], {}),
    **{f"s6 w1536 rate {r:g}": (["--suffix", "6", "--fast-mlp", "1536", "--inner-lr", str(r)], {}) for r in (0.03, 0.1, 0.3, 2, 4)},
    **{f"s15 w512 rate {r:g}": (["--suffix", "15", "--fast-mlp", "512", "--inner-lr", str(r)], {}) for r in (0.3,)},
    **{f"s30 w512 rate {r:g}": (["--suffix", "30", "--fast-mlp", "512", "--inner-lr", str(r)], {}) for r in (0.1, 0.3)},
    **{f"s6 w1536 chunk {b}": (["--suffix", "6", "--fast-mlp", "1536", "--chunk", str(b)], {}) for b in (64, 128, 512, 1024)},
    **{f"s6 w1536 window {k}": (["--suffix", "6", "--fast-mlp", "1536", "--window", str(k)], {}) for k in (512, 2048)},
}

parser = argparse.ArgumentParser()
parser.add_argument("program", type=Path)
parser.add_argument("base", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--texts", nargs="+", type=Path)
parser.add_argument("--tokens", type=int, default=4096)
parser.add_argument("--forms", nargs="*", default=list(FORMS))
parser.add_argument("--adapter", nargs="*", default=[])
parser.add_argument("--threads", default="1")
parser.add_argument("--dtype", default="fp32")
parser.add_argument("--hold", type=Path, default=Path("/nonexistent"))
args = parser.parse_args()
FIELDS = ["form", "learning", "text", "tokens", "mean", "512-1024", "1024-2048", "2048-4096", "4096-8192", "8192-16384", "difference", "interval",
          "seconds"]
args.out.parent.mkdir(parents=True, exist_ok=True)
kept = args.out.parent / "nll"
kept.mkdir(exist_ok=True)


def losses(folder, form, text, learning):
    """Of every token; and the seconds it took, None if it was measured before."""
    path = kept / f"{form} {learning} {text.stem} {args.tokens}.json".replace(" ", "_")
    if path.exists():
        return json.loads(path.read_text()), None
    while args.hold.exists():
        time.sleep(5)
    began = time.time()
    said = subprocess.run(["nice", "-n", "19", args.program, "eval", folder, text, "--limit", str(args.tokens), "--learning", learning, "--dtype",
                           args.dtype, "--json", "--per-token"], check=True, capture_output=True, env={"OMP_NUM_THREADS": args.threads})
    nll = json.loads(said.stdout)["learning_" + learning]["nll"]
    path.write_text(json.dumps(nll))
    return nll, time.time() - began


def off_of(form):
    """Without learning, forms of one window and sink are one model."""
    if form in FORMS:
        options = FORMS[form][0]
        window = options[options.index("--window") + 1] if "--window" in options else "1024"
        return f"window {window}" + (" no sink" if "--no-sink" in options else "")
    return form


def measure(folder, form, text):
    off, seconds_off = losses(folder, off_of(form), text, "off")
    for learning, of in (("off", off_of(form)), ("on", form)):
        nll, seconds = (off, seconds_off) if learning == "off" else losses(folder, form, text, "on")
        if seconds is None:
            continue
        row = {"form": of, "learning": learning, "text": text.stem, "tokens": args.tokens, "seconds": round(seconds, 1),
               "mean": round(statistics.fmean(nll[1:]), 4)}
        a = 512
        while a < len(nll):
            row[f"{a}-{2 * a}"] = round(statistics.fmean(nll[a:2 * a]), 4)
            a *= 2
        if learning == "on":
            half = len(nll) // 2
            pieces = [statistics.fmean(x - y for x, y in zip(nll[i:i + 64], off[i:i + 64])) for i in range(half, len(nll) - 63, 64)]
            row["difference"] = round(statistics.fmean(pieces), 4)
            row["interval"] = round(1.96 * statistics.stdev(pieces) / math.sqrt(len(pieces)), 4)
        append(args.out, FIELDS, {k: v for k, v in row.items() if k in FIELDS})


with tempfile.TemporaryDirectory() as folder:
    for form in args.forms:
        options, fields = FORMS[form]
        made = Path(folder) / form.replace(" ", "_")
        subprocess.run([args.program, "retrofit", args.base, "-o", made, *options], check=True, stdout=subprocess.DEVNULL)
        if fields:
            config = json.loads((made / "config.json").read_text())
            (made / "config.json").write_text(json.dumps({**config, **fields}))
        for text in args.texts:
            measure(made, form, text)
    for given in args.adapter:
        name, _, path = given.partition("=")
        for text in args.texts:
            measure(Path(path), name, text)
