#!/usr/bin/env bash
# Every figure of speed.md and ops.md in bench/results, on two quiet cores, in some 25 minutes; the output is what goes there.
#
#   bench/run_all.sh PROGRAM [PYTHON] [GGUF] [LLAMA_PYTHON] [SMOLLM]
#
# PYTHON: with torch, safetensors, tokenizers and numpy (pytorch.py, meta.py of bench/compare). GGUF: SmolLM2-135M-Instruct's in Q4_1.
# LLAMA_PYTHON: with xllamacpp, for it (bench/compare/llama.py). SMOLLM: our folder of the same model; without one, random
# weights of its shape.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
program=$1 python=${2-} gguf=${3-} llama=${4-} smollm=${5-bench/shapes/smollm2-135m.json}
reader=models/reader-17m emma=examples/data/emma.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

run() { printf '\n$ %s\n' "$*"; "$@"; }
printf '%s, commit %s, load %s\n' "$(date -u +%F)" "$(git describe --always --dirty=+)" "$(cut -d' ' -f1 /proc/loadavg)"

for dtype in fp32 bf16; do
  run "$program" bench read $reader --text $emma --dtype $dtype
  run "$program" bench train $reader --text $emma --dtype $dtype --runs 2
  run "$program" bench decode $reader --text $emma --dtype $dtype --contexts 0,4096,32768 --tokens 512 --runs 2
done
run env INGRAIN_CPU=avx2 "$program" bench read $reader --text $emma --dtype fp32
run "$program" bench train bench/shapes/hidden-256.json --dtype fp32 --threads 1 --length 2048
run env INGRAIN_CPU=avx2 "$program" bench train bench/shapes/hidden-256.json --dtype fp32 --threads 1 --length 2048
for weights in native q8_0 q4_1; do
  run "$program" bench decode "$smollm" --weights $weights --contexts 0,4096,8192 --tokens 256 --runs 2
done
[[ -z $llama ]] || run "$llama" bench/compare/llama.py "$program" "$smollm" "$gguf" $emma --contexts 0,2300,8192 --tokens 256 --runs 2
if [[ -n $gguf ]]; then
  run "$program" retrofit "$gguf" -o "$scratch/window-2048" --window 2048
  run "$program" bench decode "$scratch/window-2048" --text $emma --weights q4_1 --contexts 4096,131072 --tokens 512 --runs 1
fi
if [[ -n $python ]]; then
  run "$python" bench/compare/pytorch.py "$program" $reader $emma --compile
  run "$python" bench/compare/meta.py "$program" bench/shapes/hidden-256.json
fi
run "$program" bench read $reader --text $emma --tokens 1000000 --runs 1
run "$program" bench ops
