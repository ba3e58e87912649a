#!/usr/bin/env bash
# Emma as bytes: nine tenths to train on, the rest to test on, and a text of quite another kind.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$here/../..
work=$here/work
split=792365 # bytes: the end of a paragraph
mkdir -p "$work"
head -c "$split" "$here/../data/emma.txt" > "$work/emma.txt"
tail -c "+$((split + 1))" "$here/../data/emma.txt" > "$work/held-out.txt"
cp "$root/LICENSE" "$work/licence.txt"
for part in emma held-out licence; do
  rm -rf "${work:?}/$part"
  "$root/ingrain" data prepare "$work/$part.txt" --tokenizer "$here/tokenizer.json" --out "$work/$part"
done
