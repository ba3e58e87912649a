"""ingrain retrofit from outside: an imported kind of model becomes one that learns, and is trained as an adapter."""
import json
import random
import struct

import pytest

CONFIG = {"model_type": "ingrain", "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
          "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "suffix_len": 0, "qk_norm": False, "post_norm": False,
          "sliding_window": None, "bos_token_id": 0, "eos_token_id": [1]}

RUN = """
[model]
folder = "reader"
[data]
train = "tokens.bin"
sequence_length = 64
[train]
steps = 6
batch = 2
lr = 0.01
parameters = "fast"
[checkpoint]
folder = "run"
"""


@pytest.fixture
def base(tmp_path):
    """A model folder whose weights are random, written without ingrain."""
    np = pytest.importorskip("numpy")
    save_file = pytest.importorskip("safetensors.numpy").save_file
    random_of = np.random.default_rng(1)
    d, kv, mlp = 32, 16, 48
    shapes = {"model.embed_tokens.weight": (60, d), "model.norm.weight": (d,)}
    for i in range(4):
        at = f"model.layers.{i}."
        shapes |= {at + "input_layernorm.weight": (d,), at + "post_attention_layernorm.weight": (d,),
                   at + "self_attn.q_proj.weight": (d, d), at + "self_attn.k_proj.weight": (kv, d),
                   at + "self_attn.v_proj.weight": (kv, d), at + "self_attn.o_proj.weight": (d, d),
                   at + "mlp.gate_proj.weight": (mlp, d), at + "mlp.up_proj.weight": (mlp, d), at + "mlp.down_proj.weight": (d, mlp)}
    folder = tmp_path / "base"
    folder.mkdir()
    save_file({name: random_of.normal(1 if len(s) == 1 else 0, 0.2, s).astype("float32") for name, s in shapes.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    numbers = random.Random(3)
    (tmp_path / "tokens.bin").write_bytes(struct.pack("<4000H", 0, *(numbers.randrange(2, 60) for _ in range(3999))))
    (tmp_path / "run.toml").write_text(RUN)
    return folder


def losses(ingrain, model, tokens, learning):
    done = ingrain("eval", model, "--tokens", tokens, "--learning", learning, "--limit", 200, "--json", "--per-token", "--dtype", "fp32")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["learning_" + learning]["nll"][1:]


SHAPE = ("--window", 48, "--chunk", 16, "--suffix", 2, "--fast-mlp", 12)


def test_a_retrofitted_model_reads_as_its_base_until_it_learns(ingrain, base, tmp_path):
    for name, more in (("reader", ()), ("whole", ("--full",))):
        done = ingrain("retrofit", base, "-o", tmp_path / name, *SHAPE, *more)
        assert done.returncode == 0, done.stderr
    expected = losses(ingrain, base, tmp_path / "tokens.bin", "off")
    off = losses(ingrain, tmp_path / "reader", tmp_path / "tokens.bin", "off")
    on = losses(ingrain, tmp_path / "reader", tmp_path / "tokens.bin", "on")
    assert off[:48] == pytest.approx(expected[:48], abs=1e-4)
    assert on[:16] == pytest.approx(expected[:16], abs=1e-4)
    assert on[16:48] != pytest.approx(expected[16:48], abs=1e-4)
    assert losses(ingrain, tmp_path / "whole", tmp_path / "tokens.bin", "on") == on


def test_training_the_fast_part_gives_a_small_adapter_that_finds_its_base(ingrain, base, tmp_path):
    assert ingrain("retrofit", base, "-o", tmp_path / "reader", *SHAPE).returncode == 0
    done = ingrain("train", tmp_path / "run.toml")
    assert done.returncode == 0, done.stderr
    model = tmp_path / "run" / "model"
    assert sorted(path.name for path in model.iterdir()) == ["adapter.safetensors", "base.json", "config.json"]
    assert (model / "adapter.safetensors").stat().st_size < (base / "model.safetensors").stat().st_size / 4
    assert len(losses(ingrain, model, tmp_path / "tokens.bin", "on")) == 199

    (base / "model.safetensors").unlink()
    assert "safetensors" in ingrain("eval", model, "--tokens", tmp_path / "tokens.bin").stderr


def test_what_cannot_be_retrofitted_is_refused_with_its_reason(ingrain, base, tmp_path):
    for words, status, reason in ((("--suffix", 9), 2, "--suffix is 9"), (("--window", 0), 2, "--window: 0 is out of range"),
                                  (("--fast-mlp", 100), 2, "start at random"), (("--start", "best"), 2, "--start")):
        done = ingrain("retrofit", base, "-o", tmp_path / "reader", *words)
        assert done.returncode == status and reason in done.stderr + done.stdout, done.stderr
        assert not (tmp_path / "reader").exists()
    assert ingrain("retrofit", base, "-o", tmp_path / "reader", *SHAPE).returncode == 0
    again = ingrain("retrofit", base, "-o", tmp_path / "reader", *SHAPE)
    assert again.returncode == 1 and "exists already" in again.stderr
    twice = ingrain("retrofit", tmp_path / "reader", "-o", tmp_path / "twice", *SHAPE)
    assert twice.returncode == 1 and "already" in twice.stderr
