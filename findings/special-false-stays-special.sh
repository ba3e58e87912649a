#!/usr/bin/env bash
# transformers 5.24.0 / tokenizers 0.23.3: "special": false in tokenizer_config.json's added_tokens_decoder is reported, not obeyed. The
# loaded tokenizer says AddedToken(..., special=False), yet decode(skip_special_tokens=True) still drops the token and
# split_special_tokens=True still spells it: once tokenizer.json called a token special, no later flag takes that back.
# Whoever unmarks a token (<think>, say) so that it is shown sees the flag change and the token still vanish.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q transformers==5.24.0 tokenizers==0.23.3
cd "$work" && HF_HUB_OFFLINE=1 venv/bin/python - <<'PY'
import json, pathlib, tokenizers, transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
folder = pathlib.Path("model"); folder.mkdir()
vocab = {c: i for i, c in enumerate(["<s>", "<think>"] + sorted(pre_tokenizers.ByteLevel.alphabet()))}
t = Tokenizer(models.BPE(vocab=vocab, merges=[])); t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False); t.decoder = decoders.ByteLevel()
t.add_special_tokens(["<s>", "<think>"]); t.save(str(folder / "tokenizer.json"))
entry = dict(content="<think>", lstrip=False, rstrip=False, single_word=False, normalized=False, special=False)
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {"1": entry}}))
loaded = transformers.AutoTokenizer.from_pretrained(folder)
flag = loaded.added_tokens_decoder[1].special
ids = loaded("a<think>b")["input_ids"]
shown = loaded.decode(ids, skip_special_tokens=True)
spelt = len(loaded("<think>", split_special_tokens=True)["input_ids"])
print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__)
print("special flag of <think>:", flag, "| decode(skip_special_tokens=True):", repr(shown), "| tokens with split_special_tokens=True:", spelt)
raise SystemExit(0 if flag is False and shown == "ab" and spelt == 7 else 1)
PY
