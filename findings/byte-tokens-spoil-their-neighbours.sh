#!/usr/bin/env bash
# tokenizers 0.23.3: the decoder ByteFallback (Llama 2, Mistral, Gemma) replaces every byte of a run of byte tokens by U+FFFD if any of the run
# is wrong, also of the characters in it that are right: the three bytes of 中 and one more give four U+FFFD. So what was decoded does not stay:
# the text of the first three ids is no beginning of the text of all. DecodeStream, made for streaming, has given 中 out by then, and raises at
# the next token, for good. A model that samples one odd byte token after a rare character ends its own stream so.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tokenizers==0.23.3
cd "$work" && venv/bin/python - <<'PY'
import tokenizers
from tokenizers import Tokenizer, decoders, models
from tokenizers.decoders import DecodeStream
vocab = {f"<0x{b:02X}>": b for b in range(256)} | {"a": 256, "b": 257}
tokenizer = Tokenizer(models.BPE(vocab, [], byte_fallback=True))
tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
print("tokenizers", tokenizers.__version__)
ids = [0xE4, 0xB8, 0xAD, 0xE4]
print("中:", ascii(tokenizer.decode(ids[:3])), "- and one byte more:", ascii(tokenizer.decode(ids)), "- Python:", ascii(bytes(ids).decode(errors="replace")))
same = tokenizer.decode(ids[:3]) == "中" and tokenizer.decode(ids) == "\ufffd" * 4 and bytes(ids).decode(errors="replace") == "中\ufffd"
stream, given, raised = DecodeStream(), [], 0
for i in ids + [256, 257]:
    try:
        given.append(stream.step(tokenizer, i))
    except Exception as error:
        raised += 1
        print("DecodeStream gave", given, "and raises:", str(error)[:110])
same = same and raised > 0 and "中" in given
print("raised", raised, "times")
raise SystemExit(0 if same else 1)
PY
