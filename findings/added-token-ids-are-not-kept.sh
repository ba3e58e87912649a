#!/usr/bin/env bash
# transformers 5.24.0 renumbers tokens that only tokenizer_config.json lists. "added_tokens_decoder" maps ids to tokens, and
# its name says that these ids are what the tokens decode from. But where tokenizer.json lacks a token, AutoTokenizer appends
# it at the next free id, whatever id the file gives: a token listed as 300 becomes 257, without a warning.
# A good engineer reads the id in the file and uses it; models whose embedding row is 300 then get another row.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q transformers==5.24.0 tokenizers==0.23.3
cd "$work" && HF_HUB_OFFLINE=1 venv/bin/python - <<'PY'
import json, pathlib, tokenizers, transformers
from tokenizers import Tokenizer, models, pre_tokenizers
folder = pathlib.Path("model"); folder.mkdir()
vocab = {"<s>": 0} | {c: i + 1 for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
t = Tokenizer(models.BPE(vocab=vocab, merges=[])); t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.add_special_tokens(["<s>"]); t.save(str(folder / "tokenizer.json"))
entry = dict(content="<tool>", lstrip=False, rstrip=False, single_word=False, normalized=False, special=True)
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {"300": entry}}))
loaded = transformers.AutoTokenizer.from_pretrained(folder)
ids = loaded("<tool>")["input_ids"]
print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__)
print("the file says <tool> is 300; the loaded tokenizer gives", ids, "and decodes 300 as", repr(loaded.decode([300])))
raise SystemExit(0 if ids == [257] and loaded.decode([300]) == "" else 1)
PY
