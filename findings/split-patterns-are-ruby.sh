#!/usr/bin/env bash
# tokenizers 0.23.3: a Split pattern is Oniguruma's Ruby syntax, in which common constructs compile and mean something else than in
# Python, Rust, PCRE or Java: \pL is the letters "pL"; a{2}? is not lazy but "two a's or nothing"; a{2}+ repeats instead of being
# possessive; an inner (?i) takes all alternatives after it with it (x(?i)b|c is x(?i:b|c)); \v is one character; \Q does not quote.
# tokenizer.json shows none of this; another regex engine gives other pieces, so other ids, without an error.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tokenizers==0.23.3
cd "$work" && venv/bin/python - <<'PY'
import tokenizers
from tokenizers import Regex, pre_tokenizers
want = [(r"\pL+", "abc pLL", ["abc ", "pLL"]), (r"a{2}?", "aaab", ["aa", "a", "b"]), (r"a{2}+", "aaaaab", ["aaaa", "ab"]), (r"x(?i)b|c", "xC C", ["xC", " C"]),
        (r"\v", "a\x0bb\nc", ["a", "\x0b", "b\nc"]), (r"\Qa.b\E", "a.b QaxbE", ["a.b ", "QaxbE"]), (r"(?i)ss", "aßb", ["a", "ß", "b"])]
print("tokenizers", tokenizers.__version__)
same = True
for pattern, text, pieces in want:
    got = [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]
    print(f"{pattern:10} cuts {text!r:14} into {got}")
    same = same and got == pieces
raise SystemExit(0 if same else 1)
PY
