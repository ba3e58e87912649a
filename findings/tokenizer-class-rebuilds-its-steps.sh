#!/usr/bin/env bash
# transformers 5.24.0 with tokenizers 0.23.3: some values of `tokenizer_class` in tokenizer_config.json make AutoTokenizer build the
# pre-tokenizer anew, of the class's own making, and not read that of the tokenizer.json that lies beside it:
#   - `add_prefix_space` stands twice, in tokenizer.json's ByteLevel and in tokenizer_config.json. With GPT2TokenizerFast and
#     Qwen2Tokenizer the configuration's counts, against the tokenizer.json; with PreTrainedTokenizerFast and LlamaTokenizerFast
#     tokenizer.json's.
#   - tokenizer.json's Digits step (every digit a token, as models are trained that shall count) is lost with GPT2TokenizerFast,
#     so that a number becomes other ids than those that the model was trained with; kept with PreTrainedTokenizerFast. Nothing
#     is said.
# So the same two files give other ids when only the class's name is changed, and readers of tokenizer.json alone (tokenizers,
# llama.cpp's converter) differ from transformers. Ours takes the space as the class would have it, and keeps the steps.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q transformers==5.24.0 tokenizers==0.23.3
cd "$work" && HF_HUB_OFFLINE=1 venv/bin/python -W ignore - <<'PY' 2>&1 | grep -v -i "pytorch"
import json, os
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

space = "\u0120"  # the letter that stands for a space
letters = sorted(pre_tokenizers.ByteLevel.alphabet())


def tokens(kind, steps, config, text):
    """Of AutoTokenizer, and of tokenizers for tokenizer.json alone."""
    os.makedirs("folder", exist_ok=True)
    vocabulary = {letter: i for i, letter in enumerate(letters)} | {"11": len(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("1", "1")]))
    tokenizer.pre_tokenizer = steps
    tokenizer.save("folder/tokenizer.json")
    with open("folder/tokenizer_config.json", "w") as out:
        json.dump({"tokenizer_class": kind, **config}, out)
    return AutoTokenizer.from_pretrained("folder").tokenize(text), tokenizer.encode(text).tokens


seen = {}
for kind in ("GPT2TokenizerFast", "Qwen2Tokenizer", "PreTrainedTokenizerFast", "LlamaTokenizerFast"):
    saw = []
    for in_file in (False, True):
        steps = pre_tokenizers.ByteLevel(add_prefix_space=in_file, use_regex=True)
        saw.append(tokens(kind, steps, {"add_prefix_space": not in_file}, "word")[0][0] == space)
    follows = {(True, False): "tokenizer_config.json", (False, True): "tokenizer.json"}.get(tuple(saw), str(saw))
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    theirs, file = tokens(kind, digits, {}, "a11")
    seen[kind] = (follows, theirs)
    print(f"{kind}: a space before the first word as {follows} says; 'a11' with Digits is {theirs}, tokenizer.json alone {file}")
    assert file == ["a", "1", "1"]
want = {"GPT2TokenizerFast": ("tokenizer_config.json", ["a", "11"]), "Qwen2Tokenizer": ("tokenizer_config.json", ["a", "1", "1"]),
        "PreTrainedTokenizerFast": ("tokenizer.json", ["a", "1", "1"]), "LlamaTokenizerFast": ("tokenizer.json", ["a", "1", "1"])}
raise SystemExit(0 if seen == want else 1)
PY
