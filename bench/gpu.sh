#!/usr/bin/env bash
# Everything that needs a GPU, in parts, for a machine that is lent for minutes and has no network.
#
#   bench/gpu.sh pack [TORCH]   before, on this machine: gathers in build-gpu/ what the other needs, each in a folder of its
#                               own: deps (libraries), golden (reference numbers), reference-17m (training data), and with
#                               TORCH, one with CUDA of the other machine's version, bin (compiled here; else it is there)
#   bench/gpu.sh PART...        on the machine with the GPU, with those folders carried there. Parts:
#                               build test verify read decode train ops attention curve; without any: all but curve
#
# Every step has a time limit and leaves its output in $OUT/gpu.txt (default build/gpu-results), whatever fails after it.
# INGRAIN_GPU_SECONDS (default 540, and 30 for the last step to end) limits all of them together; `curve` trains for what is left of it.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." || exit 1
packed=build-gpu build=build/gpu out=${OUT:-build/gpu-results}
program=$build/src/cli/ingrain tests=$build/tests/engine_tests
total=${INGRAIN_GPU_SECONDS:-540}
summary=() failed=0

# step NAME SECONDS COMMAND...: what it prints goes to the screen and the log.
step() {
  local name=$1 limit=$2 status begun=$SECONDS
  shift 2
  ((limit <= total - SECONDS)) || limit=$((total - SECONDS))
  ((limit >= 5)) || { summary+=("$(printf '%-28s         left out: no time' "$name")") && failed=1 && return 1; }
  printf '\n== %s: %s\n' "$name" "$*" | tee -a "$out/gpu.txt"
  timeout -k 30 "$limit" "$@" 2>&1 | tee -a "$out/gpu.txt"
  status=${PIPESTATUS[0]}
  summary+=("$(printf '%-28s %4d s  %s' "$name" $((SECONDS - begun)) "$(verdict "$status" "$limit")")")
  ((status == 0)) || failed=1
  return "$status"
}

verdict() {
  case $1 in
    0) echo ok ;;
    124 | 137) echo "stopped at its limit of $2 s" ;;
    *) echo "FAILED, status $1" ;;
  esac
}

configure=(cmake --preset release -B "$build" --log-level=WARNING -DINGRAIN_DEPS="$PWD/$packed/deps" -DCMAKE_CUDA_ARCHITECTURES=90)

pack() {
  local torch=${1-} reference=${INGRAIN_CASES:-../shared} name
  mkdir -p "$packed"
  git describe --always --dirty=+ >"$packed/commit"
  ./ingrain bundle "$packed/deps" || return
  if [[ -d $reference/golden ]]; then cp -r --no-preserve=mode "$reference/golden" "$packed"; fi
  if [[ -d $reference/reference-17m/training ]]; then
    mkdir -p "$packed/reference-17m"
    cp -r --no-preserve=mode "$reference"/reference-17m/{training,tokenizer.json} "$packed/reference-17m"
  fi
  if [[ -n $torch ]]; then
    "${configure[@]}" -DINGRAIN_TORCH="$torch" && ninja -C "$build" ingrain_cli engine_tests || return
    mkdir -p "$packed/bin"
    cp "$packed"/deps/lib/*.so.* "$packed/bin" # what Debian has no static library of
    for name in "$program" "$tests"; do strip -o "$packed/bin/${name##*/}" "$name" || return; done
  fi
  du -sm "$packed"/*/
  printf '%s MiB\twhat git knows of this folder, which travels too (models/ can be moved away meanwhile)\n' \
    $(($(git ls-files -z | du -c --files0-from=- 2>/dev/null | tail -n 1 | cut -f 1) / 1024))
}

# What was compiled before the journey, where it runs; else it is compiled here.
use_packed() {
  [[ -x $packed/bin/ingrain ]] && "$packed/bin/ingrain" --version >/dev/null 2>&1 || return
  program=$packed/bin/ingrain tests=$packed/bin/engine_tests
}

find_libraries() {
  local torch
  torch=$(python3 -c 'import torch; print(torch.__path__[0])') || return
  export INGRAIN_TORCH=$torch LD_LIBRARY_PATH=$PWD/$packed/bin:$torch/lib:$torch/../nvidia/cu13/lib:${LD_LIBRARY_PATH-}
}

part_build() {
  use_packed && { echo "using $program" | tee -a "$out/gpu.txt" && return; }
  step configure 60 "${configure[@]}" -DINGRAIN_TORCH="$INGRAIN_TORCH" &&
    step build 400 ninja -C "$build" --quiet ingrain_cli engine_tests
}

part_test() { step tests 150 "$tests" --gtest_brief=1 --gtest_filter='*Cuda*:*cuda*:*Gpu*:*gpu*'; }

part_verify() {
  local cases=("$packed"/golden/*/)
  [[ -d ${cases[0]} ]] || cases=(shared/golden/*/)
  step verify 150 "$program" verify --device cuda "${cases[@]}"
}

part_read() {
  step 'read 3b 32K' 120 "$program" bench read 3b --device cuda --dtype bf16 --tokens 32768 --runs 2
  step 'read 3b 128K' 150 "$program" bench read 3b --device cuda --dtype bf16 --tokens 131072 --runs 1
}

part_decode() {
  step 'decode 3b' 200 "$program" bench decode 3b --device cuda --dtype bf16 --contexts 8192,131072 --tokens 256 --runs 1
}

part_train() {
  local batch
  for batch in 1 4; do
    step "train 125m, batch $batch" 120 "$program" bench train 125m --device cuda --dtype bf16 --length 8192 --batch $batch --runs 3
  done
}

part_ops() { step operations 120 "$program" bench ops --device cuda --seconds 0.1; }

part_attention() { step 'full attention, PyTorch' 180 python3 bench/compare/gpu_attention.py --compile; }

# The reference run's training on its own batches, for as long as there is; then both curves. A second call on the same
# machine goes on from the first one's last checkpoint.
part_curve() {
  local example=examples/reference-17m run=build/gpu-curve resume=() before=$failed
  step 'training data' 60 "$example/prepare.sh" "$packed/reference-17m" || return
  ! compgen -G "$run/checkpoint-*" >/dev/null || resume=(--resume)
  step 'train reference-17m' $((total - SECONDS - 20)) "$program" train "$example/run.toml" \
    --set train.device=cuda --set checkpoint.folder="$run" "${resume[@]}"
  (($? != 124 && $? != 137)) || failed=$before # its limit is how it ends
  cp "$run/log.jsonl" "$out/curve.jsonl"
  step 'curves' 20 python3 "$example/compare.py" "$out/curve.jsonl"
}

main() {
  if [[ ${1-} == pack ]]; then
    pack "${2-}"
    return
  fi
  local parts=("$@") part
  ((${#parts[@]})) || parts=(build test verify read decode train ops attention)
  for part in "${parts[@]}"; do
    declare -F "part_$part" >/dev/null || { echo "there is no part '$part'; see the head of bench/gpu.sh" >&2 && return 2; }
  done
  mkdir -p "$out"
  find_libraries || { echo "python3 has no torch here" >&2 && return 1; }
  use_packed
  { printf 'commit ' && cat "$packed/commit"; } 2>&1 | tee -a "$out/gpu.txt"
  step machine 60 python3 -c 'import torch; print(torch.__version__, torch.cuda.get_device_name(), torch.version.cuda)'
  for part in "${parts[@]}"; do "part_$part"; done
  { printf '\n' && printf '%s\n' "${summary[@]}"; } | tee -a "$out/gpu.txt"
  return "$failed"
}

main "$@"
