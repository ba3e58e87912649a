#!/usr/bin/env bash
# tokenizers 0.23.3 against sentencepiece 0.2.3, the same model: the normalizer Precompiled (T5, XLM-R, mBART ...) looks a grapheme cluster
# of up to five bytes up in SentencePiece's table of characters and takes the first, shortest entry that the cluster begins with for all of
# it. So a combining mark behind a character of the table is lost without a word: "ﬁ" + U+0301 becomes "fi", full-width "Ａ" + U+0301 "A".
# SentencePiece takes the longest entry and goes on behind it: the mark stays, or joins the letter. Other ids, and another text when decoded.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.1
cd "$work" && venv/bin/python - <<'PY'
import io
import sentencepiece
import tokenizers
from tokenizers import normalizers
from sentencepiece import sentencepiece_model_pb2 as proto
out = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["the quick brown fox jumps over the lazy dog"] * 50), model_writer=out, vocab_size=40,
                                         model_type="unigram", hard_vocab_limit=False, minloglevel=2)
model = proto.ModelProto.FromString(out.getvalue())
theirs = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
own = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
print("tokenizers", tokenizers.__version__, "- sentencepiece", sentencepiece.__version__)
# one character without a mark, which both know; then with U+0301
want = [("ﬁ", "fi", "fi"), ("ﬁ\u0301", "fi", "fi\u0301"), ("Ａ\u0301", "A", "Á"), ("e\u0301", "é", "é")]
same = True
for text, by_tokenizers, by_sentencepiece in want:
    a, b = theirs.normalize_str(text), own.normalize(text).lstrip("\u2581")
    print(f"{ascii(text):16} tokenizers: {ascii(a):10} sentencepiece: {ascii(b)}")
    same = same and (a, b) == (by_tokenizers, by_sentencepiece)
raise SystemExit(0 if same else 1)
PY
