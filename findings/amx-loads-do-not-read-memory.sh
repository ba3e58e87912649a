#!/usr/bin/env bash
# g++ 12.2.0 (Debian 12): the intrinsics of AMX, by which a matrix product of bf16 reaches a processor's tile registers, do not
# tell the compiler that they read memory. _tile_loadd is an asm statement that takes an address, without a "memory" clobber;
# _tile_loadconfig names the first 8 of its 64 bytes as its operand. So with -O2 what a function has just written to a local
# array, as one does to fill up a matrix's last tile with zeros, or to say how many rows a tile has, is dead to the optimiser:
# it is not stored at all, and the tile gets what the stack held. Without optimisation all is right, and tests of whole tiles
# that lie in memory pass. clang's intrinsics of the same names are true loads.
# What helps: asm volatile("" ::: "memory") before each load of what was written in the same function.
# Only compiled here, not run: any processor will do.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cxx=$(command -v g++-12 || command -v g++)
[[ $("$cxx" -dumpfullversion) == 12.2.* ]] || { echo "needs g++ 12.2 (Debian 12's package g++-12), found $("$cxx" -dumpfullversion)"; exit 1; }
cat > "$work/tiles.cpp" <<'CPP'
#include <immintrin.h>
void load(const float* from) {
  alignas(64) float tile[16][16] = {};
  for (int j = 0; j < 16; ++j) tile[0][j] = from[j] * 2;
  FENCE;
  _tile_loadd(0, tile, 64);
  _tile_dpbf16ps(1, 0, 2);
}
void configure() {
  alignas(64) unsigned char config[64] = {1};
  for (int t = 0; t < 8; ++t) config[16 + 2 * t] = 64, config[48 + t] = 16;
  FENCE;
  _tile_loadconfig(config);
}
CPP
# Instructions that double the row; stores to the configuration.
count() { "$cxx" -std=c++20 "$2" -mamx-tile -mamx-bf16 -D"FENCE=$1" -S "$work/tiles.cpp" -o - | grep -cE "$3" || true; }
fence='asm volatile("" ::: "memory")'
doubled='(add|mul)[ps]s'
printf 'doubling the row:    -O0 %s, -O2 %s, -O2 with a fence %s instructions\n' "$(count '' -O0 "$doubled")" "$(count '' -O2 "$doubled")" "$(count "$fence" -O2 "$doubled")"
"$cxx" -std=c++20 -O2 -mamx-tile -mamx-bf16 -DFENCE= -S "$work/tiles.cpp" -o "$work/plain.s"
"$cxx" -std=c++20 -O2 -mamx-tile -mamx-bf16 -D"FENCE=$fence" -S "$work/tiles.cpp" -o "$work/fenced.s"
bytes() { sed -n '/^_Z9configurev:/,/ldtilecfg/p' "$1" | grep -cE '^\s*mov[a-z]*\s.*\(%rsp\)$'; }
printf 'stores before ldtilecfg: %s, with a fence %s\n' "$(bytes "$work/plain.s")" "$(bytes "$work/fenced.s")"
[[ $(count '' -O2 "$doubled") == 0 && $(count "$fence" -O2 "$doubled") -gt 0 && $(bytes "$work/plain.s") -lt $(bytes "$work/fenced.s") ]]
