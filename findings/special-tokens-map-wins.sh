#!/usr/bin/env bash
# transformers 5.24.0: special_tokens_map.json overrides tokenizer_config.json - even with null, and only if the latter has no
# "added_tokens_decoder". The map is the older, redundant file and transformers 5 no longer writes it, so one expects that
# tokenizer_config.json wins or that the map fills gaps. Adding an empty "added_tokens_decoder": {} changes eos_token and bos_token.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q transformers==5.24.0 tokenizers==0.23.3
cd "$work" && HF_HUB_OFFLINE=1 venv/bin/python - <<'PY'
import json, pathlib, transformers
from tokenizers import Tokenizer, models, pre_tokenizers
special = ["<s>", "</s>", "<|im_end|>"]
vocab = {c: i for i, c in enumerate(special + sorted(pre_tokenizers.ByteLevel.alphabet()))}
t = Tokenizer(models.BPE(vocab=vocab, merges=[])); t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False); t.add_special_tokens(special)
def load(**more):
    folder = pathlib.Path("model"); folder.mkdir(exist_ok=True); t.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "<|im_end|>", **more}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": None, "eos_token": "</s>"}))
    return dict(transformers.AutoTokenizer.from_pretrained(folder).special_tokens_map)
without, with_empty = load(), load(added_tokens_decoder={})
print("transformers", transformers.__version__)
print("tokenizer_config.json: bos <s>, eos <|im_end|>; special_tokens_map.json: bos null, eos </s>")
print("loaded:                                    ", without)
print('loaded with "added_tokens_decoder": {} too:', with_empty)
raise SystemExit(0 if without == {"eos_token": "</s>"} and with_empty == {"bos_token": "<s>", "eos_token": "<|im_end|>"} else 1)
PY
