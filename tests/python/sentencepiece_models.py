"""Small tokenizers of SentencePiece's kind for test_sentencepiece.py, trained on the spot: as tokenizer.json, by name."""
import io
import pathlib
import random
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SIGN = "\u2581"
BYTES = [f"<0x{b:02X}>" for b in range(256)]
SPECIAL = ["<unk>", "<s>", "</s>"]
EXACT_PLACES = ("llama-legacy", "llama-first", "gemma")  # where no normalizer joins or takes apart characters
# What a small table of characters says (SentencePiece's own has 240 KB): code points, tab, code points.
TINY_RULES = "".join(f"{a}\t{b}\n" for a, b in [("FB01", "66 69"), ("FF21", "41"), ("65 301", "E9"), ("BD", "31 2044 32"), ("2460", "31"), ("A0", "20"),
                                               ("3000", "20"), ("200B", "20"), ("A", "20"), ("9", "20"), ("D", "20"), ("FEFF", "")])


def text_lines(book):
    lines = [line for line in book.read_text().splitlines() if line.strip()][:4000]
    rng = random.Random(5)
    others = "Привет, мир! Ёлка. 日本語の文章と中文字符。 한국어 문장 العربية لغة naïve café résumé Ångström ﬁne ½ ² ① Ａｂｃ 👩‍👩‍👧 e\u0301".split()
    code = ["def f(x):", "    return x + 1", "\tif (a < b) { a = b; }", "x  =  3.14159;", "<div>  </div>"]
    return lines + [" ".join(rng.sample(others, 6)) for _ in range(400)] + code * 40


def spm(lines, **options):
    """A SentencePiece model's proto: (bytes, pieces with scores and types)"""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, minloglevel=2, num_threads=1,
                                             hard_vocab_limit=False, **options)
    processor = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    pieces = [(processor.id_to_piece(i), processor.get_score(i), piece_type(processor, i)) for i in range(processor.get_piece_size())]
    return out.getvalue(), processor, pieces


def own_rules(rules):
    if rules is None:
        return {}
    path = pathlib.Path(tempfile.mkdtemp()) / "rules.tsv"
    path.write_text(rules)
    return dict(normalization_rule_tsv=str(path))


def piece_type(processor, i):
    if processor.is_unknown(i):
        return 2
    if processor.is_control(i):
        return 3
    if processor.is_byte(i):
        return 6
    if processor.is_unused(i):
        return 5
    return 4 if processor.id_to_piece(i) in ("<mark>", "\n", "\n\n", SIGN * 2, SIGN * 3, SIGN * 4) else 1


def charsmap(proto):
    """normalizer_spec.precompiled_charsmap, of a model's proto: field 3, then field 2."""
    def fields(data):
        at = 0
        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(data):
            key = varint()
            if key & 7 == 2:
                size = varint()
                yield key >> 3, data[at:at + size]
                at += size
            elif key & 7 == 0:
                yield key >> 3, varint()
            else:
                at += 4 if key & 7 == 5 else 8
    spec = next(value for number, value in fields(proto) if number == 3)
    return next((value for number, value in fields(spec) if number == 2), b"")


def merges_of(pieces):
    """Every way to a piece, best score first, as transformers lists them."""
    ids = {piece: i for i, (piece, _, kind) in enumerate(pieces) if kind in (1, 4)}
    out = []
    for piece, score, kind in pieces:
        if kind not in (1, 4):
            continue
        local = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in ids and piece[i:] in ids]
        out += [(left, right, score) for left, right in sorted(local, key=lambda p: (ids[p[0]], ids[p[1]]))]
    return [(l, r) for l, r, _ in sorted(out, key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)]


def bpe(pieces, **options):
    return Tokenizer(models.BPE(vocab={p: i for i, (p, _, _) in enumerate(pieces)}, merges=merges_of(pieces), fuse_unk=True, byte_fallback=True,
                                unk_token="<unk>", **options))


def add(tokenizer, *more):
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    if more:
        tokenizer.add_tokens(list(more))
    return tokenizer


def with_template(tokenizer):
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tokenizer


def sign_decoder(strip):
    return decoders.Sequence([decoders.Replace(SIGN, " "), decoders.ByteFallback(), decoders.Fuse(), *([decoders.Strip(" ", 1, 0)] if strip else [])])


def gguf_keys(name, model):
    """tokenizer.ggml.* of a model, as llama.cpp's converter writes them"""
    proto, _, pieces = model
    keys = dict(model="t5" if name == "t5" else "llama", tokens=[p.replace(SIGN, " ") if kind == 4 else p for p, _, kind in pieces],
                token_type=[kind for _, _, kind in pieces], scores=[-1000.0 if kind == 4 else score for _, score, kind in pieces],
                add_space_prefix=name != "gemma", eos_token_id=pieces.index(next(p for p in pieces if p[0] == "</s>")),
                unknown_token_id=pieces.index(next(p for p in pieces if p[0] == "<unk>")))
    if name == "t5":
        keys.update(remove_extra_whitespaces=True, precompiled_charsmap=charsmap(proto))
    else:
        keys.update(bos_token_id=1)
    return keys


def merging_keys(model, kind, pre=None):
    """The same vocabulary with merges in place of scores, as Gemma 4's files have it"""
    pieces = model[2]
    return dict(model=kind, tokens=[p for p, _, _ in pieces], token_type=[t for _, _, t in pieces], merges=[f"{a} {b}" for a, b in merges_of(pieces)],
                bos_token_id=1, eos_token_id=2, unknown_token_id=0, add_bos_token=True, **({"pre": pre} if pre else {}))


def make(lines, size=1500, rules=None):
    """name -> tokenizer; and the SentencePiece models behind some of them. `rules`: instead of nmt_nfkc's."""
    flags = [AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<right>", rstrip=True, normalized=False),
             AddedToken("<both>", lstrip=True, rstrip=True, normalized=False), AddedToken("word", single_word=True, normalized=False),
             AddedToken("Norm", normalized=True), AddedToken("caf\u00e9!", normalized=True, single_word=True)]
    options = dict(model_type="bpe", vocab_size=size, character_coverage=0.995, byte_fallback=True, normalization_rule_name="identity",
                   split_digits=True, remove_extra_whitespaces=False, allow_whitespace_only_pieces=True)
    llama = spm(lines, **options)
    gemma = spm(lines, **options, add_dummy_prefix=False, user_defined_symbols=["<mark>", "\n", "\n\n", SIGN * 2, SIGN * 3, SIGN * 4])
    t5 = spm(lines, model_type="unigram", vocab_size=size * 2 // 3, character_coverage=0.995, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, **own_rules(rules))
    out = {}

    legacy = bpe(llama[2])  # Llama 2, TinyLlama, Mistral 7B
    legacy.normalizer = normalizers.Sequence([normalizers.Prepend(SIGN), normalizers.Replace(" ", SIGN)])
    legacy.decoder = sign_decoder(True)
    out["llama-legacy"] = with_template(add(legacy, *flags[:-1]))

    first = bpe(llama[2])  # LlamaTokenizer of transformers 5
    first.pre_tokenizer = pre_tokenizers.Metaspace(SIGN, prepend_scheme="first", split=False)
    first.decoder = sign_decoder(True)
    out["llama-first"] = with_template(add(first, *flags))

    g = bpe(gemma[2])
    g.normalizer = normalizers.Replace(" ", SIGN)
    g.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    g.decoder = sign_decoder(False)
    out["gemma"] = add(g, *[AddedToken(p, normalized=False) for p, _, kind in gemma[2] if kind == 4 and SIGN not in p])

    u = Tokenizer(models.Unigram([(p, s) for p, s, _ in t5[2]], unk_id=2))
    u.normalizer = normalizers.Precompiled(charsmap(t5[0]))
    u.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(SIGN, prepend_scheme="always")])
    u.decoder = decoders.Metaspace(SIGN, prepend_scheme="always")
    u.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ("<pad>", "</s>", "<unk>")])
    u.add_special_tokens([AddedToken("<extra_id_0>", special=True, normalized=False, rstrip=True)])
    u.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    out["t5"] = u

    spm_like = Tokenizer(models.Unigram([(p, s) for p, s, _ in t5[2]], unk_id=2))  # the SpmConverter's usual shape
    spm_like.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap(t5[0])), normalizers.Strip(left=False, right=True),
                                                normalizers.Replace(Regex(" {2,}"), SIGN)])
    spm_like.pre_tokenizer = pre_tokenizers.Metaspace(SIGN, prepend_scheme="first")
    spm_like.decoder = decoders.Metaspace(SIGN, prepend_scheme="first")
    out["spm-converter"] = add(spm_like, *flags)

    whole = Tokenizer(models.Unigram([(p, s) for p, s, _ in t5[2]] + [(b, -20.0) for b in BYTES], unk_id=2, byte_fallback=True))
    whole.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")])
    whole.pre_tokenizer = pre_tokenizers.Metaspace(SIGN, prepend_scheme="never", split=False)
    whole.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(SIGN, prepend_scheme="never")])
    out["unigram-whole"] = add(whole, *flags)

    words = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))  # no bytes, no decoder; steps of every kind
    words.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip(),
                                             normalizers.Replace("--", " - ")])
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])
    words.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size // 2, special_tokens=SPECIAL, show_progress=False, limit_alphabet=60))
    words.decoder = decoders.Sequence([decoders.Strip("e", 1, 0), decoders.Replace("th", "TH"), decoders.Fuse(), decoders.Strip("a", 2, 0)])
    out["words"] = add(words, *flags)
    return out, {"llama": llama, "gemma": gemma, "t5": t5}
