"""Perplexity of a GGUF model over a text, here and in llama.cpp (PyPI's xllamacpp), on the same tokens.

    python bench/compare/perplexity.py MODEL.gguf... [--text FILE] [--bytes 61440] [--context 2048] [--dtype fp32]

The method is llama-perplexity's: the text's tokens are cut into chunks (a last part is left out), each is read from an
empty context with the beginning-of-text token in its first place, and the second half of each is scored. Both programs
read the same ids, which llama.cpp makes; where ours differ, that is said. llama.cpp is called in its library, which
xllamacpp brings: needs x86-64.
"""
import argparse
import ctypes
import json
import math
import pathlib
import subprocess
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Opaque(ctypes.Structure):
    """Parameters that are passed by value. Larger than they are: what is behind them is not looked at."""

    _fields_ = [("words", ctypes.c_uint32 * 256)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.c_void_p), ("embd", ctypes.c_void_p),
                ("pos", ctypes.c_void_p), ("n_seq_id", ctypes.c_void_p), ("seq_id", ctypes.c_void_p),
                ("logits", ctypes.c_void_p)]


def library():
    import xllamacpp

    lib = ctypes.CDLL(str(next(pathlib.Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
    silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    lib.llama_log_set(silent, None)
    lib.silent = silent  # must live
    for name in ("llama_model_default_params", "llama_context_default_params"):
        getattr(lib, name).restype = Opaque
    for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_model_get_vocab", "llama_get_memory"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.llama_get_logits.restype = ctypes.POINTER(ctypes.c_float)
    lib.llama_batch_init.restype = Batch
    lib.llama_backend_init()
    return lib


class Llama:
    """A model in llama.cpp."""

    def __init__(self, path, context, threads):
        self.lib = library()
        model_parameters = self.lib.llama_model_default_params()
        self.model = ctypes.c_void_p(self.lib.llama_model_load_from_file(str(path).encode(), model_parameters))
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp does not load it")
        parameters = self.lib.llama_context_default_params()
        parameters.words[0] = parameters.words[1] = parameters.words[2] = context  # n_ctx, n_batch, n_ubatch
        defaults = [i for i in range(3, 10) if parameters.words[i] == 4]  # n_threads, n_threads_batch
        for i in defaults:
            parameters.words[i] = threads
        self.context = ctypes.c_void_p(self.lib.llama_init_from_model(self.model, parameters))
        if not self.context:
            raise SystemExit(f"{path}: llama.cpp makes no context of {context}")
        self.vocabulary = ctypes.c_void_p(self.lib.llama_model_get_vocab(self.model))
        self.size = self.lib.llama_vocab_n_tokens(self.vocabulary)

    def tokens(self, text):
        out = (ctypes.c_int32 * (len(text) + 16))()
        count = self.lib.llama_tokenize(self.vocabulary, text, len(text), out, len(out), False, False)
        return numpy.array(out[:count])

    def bos(self):
        return self.lib.llama_vocab_bos(self.vocabulary)

    def losses(self, tokens):
        """Of each token but the first."""
        self.lib.llama_memory_clear(ctypes.c_void_p(self.lib.llama_get_memory(self.context)), True)
        batch = self.lib.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        ids = ctypes.cast(batch.token, ctypes.POINTER(ctypes.c_int32))
        positions = ctypes.cast(batch.pos, ctypes.POINTER(ctypes.c_int32))
        counts = ctypes.cast(batch.n_seq_id, ctypes.POINTER(ctypes.c_int32))
        sequences = ctypes.cast(batch.seq_id, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32)))
        wanted = ctypes.cast(batch.logits, ctypes.POINTER(ctypes.c_int8))
        for i, token in enumerate(tokens):
            ids[i], positions[i], counts[i], wanted[i] = int(token), i, 1, 1
            sequences[i][0] = 0
        if self.lib.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama.cpp cannot read the chunk")
        pointer = self.lib.llama_get_logits(self.context)
        logits = numpy.ctypeslib.as_array(pointer, shape=(len(tokens), self.size))
        out = []
        for i in range(len(tokens) - 1):
            row = logits[i].astype(numpy.float64)
            most = row.max()
            out.append(most + math.log(numpy.exp(row - most).sum()) - row[tokens[i + 1]])
        self.lib.llama_batch_free(batch)
        return out


def our_losses(o, model, tokens, folder):
    file = folder / "tokens.bin"
    tokens.astype(numpy.uint32).tofile(file)
    command = [o.ingrain, "eval", model, "--tokens", file, "--token-type", "u32", "--dtype", o.dtype, "--weights", o.weights,
               "--learning", "off", "--json", "--per-token"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["learning_off"]["nll"]


def our_tokens(o, model, text):
    command = [o.ingrain, "tokens", model, "-", "--json"]
    made = subprocess.run(command, check=False, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if made.returncode != 0:
        return None
    parsed = json.loads(made.stdout)
    tokens = parsed["tokens"] if isinstance(parsed, dict) else parsed
    return numpy.array([token["id"] for token in tokens])


def summary(losses):
    mean, error = numpy.mean(losses), numpy.std(losses, ddof=1) / math.sqrt(len(losses))
    return f"{math.exp(mean):9.4f} +- {math.exp(mean) * error:.4f}  (NLL {mean:.5f})"


def compare(o, model):
    text = o.text.read_bytes()[: o.bytes].decode(errors="ignore").encode()
    llama = Llama(model, o.context, o.threads) if not o.ours_alone else None
    tokens = llama.tokens(text) if llama else our_tokens(o, model, text)
    ours = our_tokens(o, model, text) if llama else tokens
    if ours is not None and not numpy.array_equal(ours, tokens):
        print(f"{model}: {len(ours)} tokens here, {len(tokens)} in llama.cpp; both read the latter", flush=True)
    half = o.context // 2
    here, there = [], []
    with tempfile.TemporaryDirectory() as name:
        for first in range(0, min(len(tokens), o.chunks * o.context) - o.context + 1, o.context):
            chunk = tokens[first : first + o.context].copy()
            if llama and llama.bos() >= 0:
                chunk[0] = llama.bos()
            here += our_losses(o, model, chunk, pathlib.Path(name))[half + 1 :]
            if llama:
                there += llama.losses(chunk)[half:]
    print(f"{model.name}: {len(tokens)} tokens, {len(here)} scored")
    print(f"  ingrain    {summary(here)}")
    if llama:
        print(f"  llama.cpp  {summary(there)}")
        off = numpy.abs(numpy.array(here) - numpy.array(there))
        print(f"  per token: {off.mean():.5f} apart on average, {off.max():.4f} at most", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=pathlib.Path, nargs="+")
    parser.add_argument("--ingrain", type=pathlib.Path, default=ROOT / "build/release/src/cli/ingrain")
    parser.add_argument("--text", type=pathlib.Path, default=ROOT / "examples/data/emma.txt")
    parser.add_argument("--bytes", type=int, default=60 * 1024)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--chunks", type=int, default=1 << 30, help="score so many at most")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--weights", default="native")
    parser.add_argument("--ours-alone", action="store_true", help="for models that llama.cpp does not know")
    o = parser.parse_args()
    for model in o.models:
        compare(o, model)


if __name__ == "__main__":
    main()
