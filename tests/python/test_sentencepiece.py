"""Tokenizers of SentencePiece's kind, trained on the spot, beside PyPI's tokenizers, and from GGUF beside llama.cpp."""
import os
import pathlib
import random
import struct
import subprocess
import sys
import unicodedata

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tokenizer_oracle as oracle
from test_tokenizer import assert_equal, every_character

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")
import sentencepiece_models as small

BOOK = oracle.ROOT / "examples" / "data" / "emma.txt"
NAMES = ["llama-legacy", "llama-first", "gemma", "t5", "spm-converter", "unigram-whole", "words"]
ODD = ["", " ", "  a  b ", "<s>Hi<s> there</s>", "a<left> b  <left>c", "d <right>  e", "f  <both>  g", "sword word words word.", " Norm aNorm Norm",
       "café! xcafé!", "\u2581a\u2581\u2581b \u2581", "<0x41><0x0A>", "<unk>", "e\u0301 ﬁ\u0301 Ａ\u0301 ½ ①", " " * 100, "\n" * 40, "a" * 3000, "ab " * 2000,
       "<mark>a <mark>", "the  end\n\n\nof   it", "a\tb\t\tc"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentencepiece")
    models, raw = small.make(small.text_lines(BOOK))
    for name, model in models.items():
        model.save(str(folder / f"{name}.json"))
    return folder, raw


@pytest.fixture(params=NAMES)
def path(request, made):
    return made[0] / f"{request.param}.json"


@pytest.fixture
def reference(path):
    return tokenizers.Tokenizer.from_file(str(path))


def random_texts(seed, count=10_000):
    rng = random.Random(seed)
    return [oracle.random_text(rng) for _ in range(count)] + ODD


def test_random_strings_and_a_book(path, reference):
    assert_equal(path, reference, random_texts(1) + [BOOK.read_bytes().decode()])


def test_every_character_of_unicode(path, reference):
    assert_equal(path, reference, every_character(lambda c: c))
    assert_equal(path, reference, every_character(lambda c: f"x {c} 1{c}"))


@pytest.mark.parametrize("name", ["t5", "words"])
def test_every_character_before_and_behind_a_mark(made, name):
    path = made[0] / f"{name}.json"
    assert_equal(path, tokenizers.Tokenizer.from_file(str(path)), every_character(lambda c: f"{c}\u0301a{c}\u0327 "))


def test_the_template(path, reference):
    assert oracle.encode(path, ODD, "special") == [reference.encode(t, add_special_tokens=True).ids for t in ODD]


def test_texts_decode_alike(path, reference):
    ids = [e.ids for e in reference.encode_batch(random_texts(2), add_special_tokens=False)]
    assert decode_text(path, ids) == reference.decode_batch(ids, skip_special_tokens=False)


def decode_text(path, lists):
    data = b"".join(struct.pack(f"<I{len(ids)}i", len(ids), *ids) for ids in lists)
    done = subprocess.run([oracle.PROBE, "text", path], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return [text.decode() for text in oracle.records(done.stdout, 1)]


def places(path, texts):
    data = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    done = subprocess.run([oracle.PROBE, "places", path], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    flat = [struct.unpack(f"<{len(r) // 4}i", r) for r in oracle.records(done.stdout, 4)]
    return [list(zip(row[::3], row[1::3], row[2::3])) for row in flat]


@pytest.mark.parametrize("name", small.EXACT_PLACES)
def test_places_are_those_of_the_package(made, name):
    path = made[0] / f"{name}.json"
    reference = tokenizers.Tokenizer.from_file(str(path))
    texts = random_texts(3, 2000)
    for text, ours in zip(texts, places(path, texts), strict=True):
        inside = {}  # a byte's character
        for at, c in enumerate(text):
            for _ in c.encode():
                inside[len(inside)] = at
        got = [(i, inside[begin], inside[end - 1] + 1) for i, begin, end in ours]
        theirs = reference.encode(text, add_special_tokens=False)
        assert got == [(i, *place) for i, place in zip(theirs.ids, theirs.offsets)], repr(text)


# -- llama.cpp: INGRAIN_LLAMA_CPP names a Python that has xllamacpp, gguf and numpy ------------------------------------------------------

LLAMA = os.environ.get("INGRAIN_LLAMA_CPP")
beside_llama_cpp = pytest.mark.skipif(not LLAMA, reason="INGRAIN_LLAMA_CPP does not name a Python with xllamacpp")


def differences(path, python, plain=False):
    import llama_cpp_ids
    book = BOOK.read_bytes().decode()
    texts = random_texts(4) + [book[i:i + 20_000] for i in range(0, len(book), 20_000)]
    want = llama_cpp_ids.of_file(path, texts, plain, python)
    ours = oracle.encode(path, texts, *(["plain"] if plain else []))
    return [(text, a, b) for text, a, b in zip(texts, want, ours, strict=True) if a != b]


@beside_llama_cpp
@pytest.mark.parametrize("name", ["llama", "gemma", "t5"])
def test_a_gguf_files_vocabulary_gives_llama_cpps_ids(made, tmp_path, name):
    import llama_cpp_ids
    llama_cpp_ids.write(tmp_path / "m.gguf", small.gguf_keys(name, made[1][name]))
    found = differences(tmp_path / "m.gguf", LLAMA)
    if name == "t5":  # docs/tokenizers.md: a mark behind a character of the table; a text that begins with the sign
        joins = lambda c: unicodedata.category(c) in ("Mn", "Mc", "Me") or c == "\u200d" or "\U0001f3fb" <= c <= "\U0001f3ff"
        found = [d for d in found if not any(map(joins, d[0])) and not d[0].startswith("\u2581")]
    assert not found, repr(found[0])[:500]


@beside_llama_cpp
@pytest.mark.parametrize("kind,pre", [("gemma4", None), ("gpt2", "sarvam-moe")])
def test_merges_over_characters_give_llama_cpps_ids(made, tmp_path, kind, pre):
    import llama_cpp_ids
    llama_cpp_ids.write(tmp_path / "m.gguf", small.merging_keys(made[1]["gemma"], kind, pre))
    assert not differences(tmp_path / "m.gguf", LLAMA)


@beside_llama_cpp
@pytest.mark.skipif("INGRAIN_GEMMA3" not in os.environ, reason="INGRAIN_GEMMA3 does not name Gemma 3's GGUF file")
def test_gemma_3_gives_llama_cpps_ids():
    assert not differences(pathlib.Path(os.environ["INGRAIN_GEMMA3"]), LLAMA)
