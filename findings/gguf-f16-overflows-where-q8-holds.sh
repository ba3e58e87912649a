#!/usr/bin/env bash
# gguf 0.19.0 (llama.cpp's own Python library, which its convert scripts write files with): a weight beyond 65,504 becomes an
# infinity in F16, without an error, while Q8_0 and Q4_0, in half and a quarter of the bits, hold it: their scale is the half, and
# the weight is up to 127 or 8 times that. Beyond that (8.4 million in Q8_0) the scale is infinite, and the other 31 weights
# of the block, 0 times infinity, are NaN: one outlier is no longer one bad weight. Whoever falls back to F16 "to be safe", or
# looks at the written file's size and the exit status alone, ships a model whose loss is NaN.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q gguf==0.19.0 numpy==2.4.6
cd "$work" && venv/bin/python -W ignore - <<'PY'
import gguf, numpy
from gguf.quants import dequantize, quantize
types = gguf.GGMLQuantizationType

def not_finite(outlier, type):
    """Of a block of 32 weights, one of which is the outlier: how many come back as infinity or NaN."""
    block = numpy.full((1, 32), 0.5, numpy.float32)
    block[0, 3] = outlier
    return int((~numpy.isfinite(dequantize(quantize(block, type), type))).sum())

saw = {(outlier, name): not_finite(outlier, types[name]) for outlier in (7e4, 1e7) for name in ("F16", "BF16", "Q8_0", "Q4_0")}
for (outlier, name), count in saw.items():
    print(f"one weight of {outlier:.0e} among 31 of 0.5, {name}: {count} of 32 are not finite")
want = {(7e4, "F16"): 1, (7e4, "BF16"): 0, (7e4, "Q8_0"): 0, (7e4, "Q4_0"): 0, (1e7, "F16"): 1, (1e7, "BF16"): 0, (1e7, "Q8_0"): 32, (1e7, "Q4_0"): 32}
raise SystemExit(0 if saw == want else 1)
PY
