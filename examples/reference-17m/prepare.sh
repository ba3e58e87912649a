#!/usr/bin/env bash
# The reference run's training tokens, tokenizer and loss logs, unpacked into work/.
#
#   examples/reference-17m/prepare.sh [FOLDER]        FOLDER: reference-17m; default: ../shared/reference-17m beside the project
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
reference=${1:-$here/../../../shared/reference-17m}
work=$here/work
tokens=41949954 # documents.json
[[ -f $reference/training/train.bin.xz ]] || {
  echo "no training/train.bin.xz in $reference; name the folder that holds it: prepare.sh FOLDER" >&2
  exit 1
}
mkdir -p "$work"
cp "$reference/tokenizer.json" "$reference"/training/*_log.jsonl "$work"
chmod u+w "$work"/*
if [[ ! -f $work/train.bin || $(stat -c %s "$work/train.bin") != $((2 * tokens)) ]]; then
  python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' \
    "$reference/training/train.bin.xz" >"$work/train.bin"
fi
[[ $(stat -c %s "$work/train.bin") == $((2 * tokens)) ]] || {
  echo "$work/train.bin has $(stat -c %s "$work/train.bin") bytes, not $((2 * tokens)): is $reference/training/train.bin.xz whole?" >&2
  exit 1
}
echo "$work: $tokens tokens"
