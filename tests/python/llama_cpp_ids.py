"""llama.cpp's ids of texts, by xllamacpp: of a GGUF file, or of a vocabulary in one of random weights.

    python llama_cpp_ids.py MODEL.gguf TEXTS.json IDS.json [plain]      plain: special tokens in the texts are text
"""
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse


def write(path, keys, architecture="llama"):
    """A model of one small layer with `keys` of tokenizer.ggml."""
    import gguf
    import numpy as np
    w = gguf.GGUFWriter(str(path), architecture)
    w.add_block_count(1), w.add_context_length(512), w.add_embedding_length(32), w.add_feed_forward_length(32), w.add_head_count(2)
    w.add_head_count_kv(2), w.add_layer_norm_rms_eps(1e-5), w.add_rope_freq_base(1e4)
    for name, value in keys.items():
        key = f"tokenizer.ggml.{name}"
        if isinstance(value, bool):
            w.add_bool(key, value)
        elif isinstance(value, int):
            w.add_uint32(key, value)
        elif isinstance(value, str):
            w.add_string(key, value)
        elif name == "precompiled_charsmap":
            w.add_precompiled_charsmap(value)
        else:
            w.add_array(key, value)
    def add(name, *shape):
        w.add_tensor(name, np.ones(shape, dtype=np.float32) / 64)
    add("token_embd.weight", len(keys["tokens"]), 32), add("output_norm.weight", 32)
    for part in ("attn_norm", "ffn_norm"):
        add(f"blk.0.{part}.weight", 32)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        add(f"blk.0.{part}.weight", 32, 32)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def of_file(path, texts, plain=False, python=sys.executable):
    """In a process of its own: its threads would wait, and it aborts on what it refuses."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = pathlib.Path(folder, "texts.json"), pathlib.Path(folder, "ids.json")
        given.write_text(json.dumps(texts))
        subprocess.run([python, __file__, path, given, got, *(["plain"] if plain else [])], check=True, capture_output=True, timeout=900)
        return json.loads(got.read_text())


def of_keys(keys, texts, plain=False):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "m.gguf")
        write(path, keys)
        return of_file(path, texts, plain)


def serve(model, texts, ids, plain=""):
    import xllamacpp
    p = xllamacpp.CommonParams()
    p.model.path = model
    p.n_ctx, p.warmup, p.cpuparams.n_threads, p.n_parallel, p.verbosity = 256, False, 1, 1, 0
    server = xllamacpp.Server(p)
    address = urllib.parse.urlparse(server.listening_address)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    out = []
    for text in json.loads(pathlib.Path(texts).read_text()):
        body = json.dumps(dict(content=text, add_special=False, parse_special=not plain)).encode()
        connection.request("POST", "/tokenize", body, {"Content-Type": "application/json"})
        out.append(json.loads(connection.getresponse().read())["tokens"])
    pathlib.Path(ids).write_text(json.dumps(out))
    os._exit(0)


if __name__ == "__main__":
    serve(*sys.argv[1:])
