#!/usr/bin/env bash
# transformers 5.24.0 with tokenizers 0.23.3: `add_prefix_space` stands twice, in tokenizer.json's ByteLevel pre-tokenizer and in
# tokenizer_config.json. Which of them counts depends on `tokenizer_class`: GPT2TokenizerFast and Qwen2Tokenizer follow the configuration,
# against the tokenizer.json that lies beside it, PreTrainedTokenizerFast and LlamaTokenizerFast the tokenizer.json. The same
# two files give other ids when only the class's name is changed, and a reader of tokenizer.json alone (tokenizers, llama.cpp's
# converter, ours) loses or adds a space before the first word for the former two.
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


def begins_with_space(kind, in_file, in_config):
    os.makedirs("folder", exist_ok=True)
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=in_file, use_regex=True)
    tokenizer.save("folder/tokenizer.json")
    with open("folder/tokenizer_config.json", "w") as out:
        json.dump({"tokenizer_class": kind, "add_prefix_space": in_config}, out)
    return AutoTokenizer.from_pretrained("folder").tokenize("word")[0] == space


follows = {}
for kind in ("GPT2TokenizerFast", "Qwen2Tokenizer", "PreTrainedTokenizerFast", "LlamaTokenizerFast"):
    saw = [begins_with_space(kind, in_file, not in_file) for in_file in (False, True)]
    follows[kind] = {(True, False): "tokenizer_config.json", (False, True): "tokenizer.json"}.get(tuple(saw), str(saw))
    print(f"{kind}: a space before the first word as {follows[kind]} says")
want = {"GPT2TokenizerFast": "tokenizer_config.json", "Qwen2Tokenizer": "tokenizer_config.json",
        "PreTrainedTokenizerFast": "tokenizer.json", "LlamaTokenizerFast": "tokenizer.json"}
raise SystemExit(0 if follows == want else 1)
PY
