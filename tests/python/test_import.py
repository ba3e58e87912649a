"""`ingrain import` from outside: what it writes beside the weights, and what it answers to models that it cannot take."""
import json
import subprocess

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")
safetensors = pytest.importorskip("safetensors.numpy")
tokenizers = pytest.importorskip("tokenizers")

CHAT = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 300, "hidden_size": 16, "intermediate_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1,
}


def random_weights():
    rng = np.random.default_rng(1)
    shapes = {"model.embed_tokens.weight": (300, 16), "model.norm.weight": (16,)}
    for layer in range(2):
        at = f"model.layers.{layer}."
        shapes |= {at + "input_layernorm.weight": (16,), at + "post_attention_layernorm.weight": (16,),
                   at + "self_attn.q_proj.weight": (16, 16), at + "self_attn.k_proj.weight": (8, 16), at + "self_attn.v_proj.weight": (8, 16),
                   at + "self_attn.o_proj.weight": (16, 16), at + "mlp.gate_proj.weight": (24, 16), at + "mlp.up_proj.weight": (24, 16),
                   at + "mlp.down_proj.weight": (16, 24)}
    return {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


def folder_of(path, config=CONFIG, weights=None):
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    safetensors.save_file(weights or random_weights(), path / "model.safetensors")
    return path


def refused(done, *words):
    assert done.returncode == 1, (done.returncode, done.stderr)
    for word in words:
        assert str(word) in done.stderr, done.stderr
    assert "defect" not in done.stderr


def trained_tokenizer():
    """A byte-level BPE tokenizer of 300 tokens, the way SmolLM2's is made."""
    pre = tokenizers.pre_tokenizers
    out = tokenizers.Tokenizer(tokenizers.models.BPE())
    out.pre_tokenizer = pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)])
    out.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, special_tokens=["<|start|>", "<|end|>"], show_progress=False,
                                             initial_alphabet=pre.ByteLevel.alphabet())
    out.train_from_iterator(["the rain in 1984 falls on the plain; the train is late again"] * 9, trainer)
    return out


def gguf_with_tokenizer(path, tokenizer):
    model = json.loads(tokenizer.to_str())["model"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_feed_forward_length(24)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    written = [name for name, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    written += [f"[unused{i}]" for i in range(len(written), 300)]
    writer.add_token_list(written)
    writer.add_token_types([3, 3] + [1] * (len(model["vocab"]) - 2) + [5] * (300 - len(model["vocab"])))
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    for name, value in random_weights().items():
        stem = name.removesuffix(".weight")
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            writer.add_tensor(f"blk.{layer}.{names[part]}.weight", value)
        else:
            writer.add_tensor(names[stem] + ".weight", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_files_tokenizer_and_template_come_along(ingrain, tmp_path):
    original = trained_tokenizer()
    source = gguf_with_tokenizer(tmp_path / "model.gguf", original)
    assert ingrain("import", source, "-o", tmp_path / "ours").returncode == 0
    written = tokenizers.Tokenizer.from_file(str(tmp_path / "ours" / "tokenizer.json"))
    text = "<|start|>the rain in 2024, again: Ünïcode <|end|>\n\n  the plain"
    assert written.encode(text, add_special_tokens=False).ids == original.encode(text, add_special_tokens=False).ids
    assert written.encode("rain").ids == [0] + original.encode("rain").ids  # the file asks for bos
    assert json.loads((tmp_path / "ours" / "tokenizer_config.json").read_text()) == {"bos_token": "<|start|>", "eos_token": "<|end|>"}
    assert (tmp_path / "ours" / "chat_template.jinja").read_text() == CHAT


def test_the_file_itself_and_its_import_write_the_same_text(ingrain, tmp_path):
    source = gguf_with_tokenizer(tmp_path / "model.gguf", trained_tokenizer())
    assert ingrain("import", source, "-o", tmp_path / "ours").returncode == 0
    texts = [ingrain("generate", model, "--prompt", "the rain", "--seed", 7, "--max-tokens", 30, "--dtype", "fp32") for model in (source, tmp_path / "ours")]
    assert texts[0].returncode == 0, texts[0].stderr
    assert texts[0].stdout == texts[1].stdout and len(texts[0].stdout) > 20


def test_memories_of_a_model_without_fast_weights_continue(ingrain, tmp_path):
    source = gguf_with_tokenizer(tmp_path / "model.gguf", trained_tokenizer())
    (tmp_path / "a.txt").write_text("the rain in 1984 falls on the plain")
    done = ingrain("read", source, tmp_path / "a.txt", "-o", tmp_path / "a.memory", "--dtype", "fp32")
    assert done.returncode == 0, done.stderr
    one = ingrain("generate", source, "--memory", tmp_path / "a.memory", "--max-tokens", 12, "--temperature", 0, "--dtype", "fp32", "--json")
    assert one.returncode == 0, one.stderr
    assert len(json.loads(one.stdout)["tokens"]) == 12


@pytest.mark.parametrize("field,value,words", [
    ("architectures", ["MixtralForCausalLM"], ["MixtralForCausalLM", "Qwen2ForCausalLM"]),
    ("rope_scaling", {"type": "dynamic", "factor": 2.0}, ["dynamic"]),
    ("attention_bias", True, ["attention_bias"]),
    ("mlp_bias", True, ["mlp_bias"]),
    ("hidden_act", "gelu", ["hidden_act", "gelu"]),
    ("quantization_config", {"bits": 4}, ["quantization_config", "GGUF"]),
    ("num_key_value_heads", 0, ["num_key_value_heads"]),
    ("hidden_size", 1 << 40, ["hidden_size"]),
    ("intermediate_size", 32, ["gate_proj", "24", "32"]),
])
def test_what_is_not_supported_is_named(ingrain, tmp_path, field, value, words):
    source = folder_of(tmp_path / "model", CONFIG | {field: value})
    refused(ingrain("import", source, "-o", tmp_path / "ours"), source, *words)


def test_a_missing_or_damaged_tensor_is_named(ingrain, tmp_path):
    weights = random_weights()
    del weights["model.layers.1.mlp.up_proj.weight"]
    refused(ingrain("import", folder_of(tmp_path / "a", weights=weights), "-o", tmp_path / "x"), "model.layers.1.mlp.up_proj.weight")
    weights = random_weights()
    weights["model.layers.0.self_attn.o_proj.weight"][3, 4] = np.nan
    refused(ingrain("import", folder_of(tmp_path / "b", weights=weights), "-o", tmp_path / "x"), "model.layers.0.self_attn.o_proj.weight", "NaN")


def test_a_gguf_file_that_is_cut_off_is_refused(ingrain, tmp_path):
    source = gguf_with_tokenizer(tmp_path / "model.gguf", trained_tokenizer())
    whole = source.read_bytes()
    for size in (6, 100, len(whole) // 2, len(whole) - 40):
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        refused(ingrain("eval", tmp_path / "cut.gguf", "--tokens", tmp_path / "model.gguf"), "cut.gguf")


def test_a_small_gguf_file_stays_small_and_says_the_same(ingrain, tmp_path):
    from test_import_parity import make, write_gguf

    write_gguf(make("llama", intermediate_size=64), tmp_path / "model.gguf", "llama", "Q4_0")
    for store in ([], ["--store", "fp32", "--force"], ["--force"]):
        done = ingrain("import", tmp_path / "model.gguf", "-o", tmp_path / "ours", *store)
        assert done.returncode == 0, done.stderr
        kept = sorted(p.name for p in (tmp_path / "ours").iterdir())
        assert kept == ["config.json", "model.safetensors" if store[:1] == ["--store"] else "model.gguf"]
    assert (tmp_path / "ours" / "model.gguf").read_bytes() == (tmp_path / "model.gguf").read_bytes()
    (tmp_path / "ids.bin").write_bytes(np.arange(1, 60, dtype="<u2").tobytes())
    losses = [
        json.loads(ingrain("eval", model, "--tokens", tmp_path / "ids.bin", "--dtype", "fp32", "--json").stdout)
        for model in (tmp_path / "model.gguf", tmp_path / "ours")
    ]
    means = [{key: value["mean_nll"] for key, value in loss.items() if key.startswith("learning_")} for loss in losses]
    assert means[0] == means[1] != {}


def test_a_model_that_is_there_is_replaced_only_when_asked_for(ingrain, tmp_path):
    source = folder_of(tmp_path / "model")
    assert ingrain("import", source, "-o", tmp_path / "ours").returncode == 0
    before = (tmp_path / "ours" / "model.safetensors").read_bytes()
    done = ingrain("import", source, "-o", tmp_path / "ours", "--store", "fp32", stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "--force" in done.stderr
    assert (tmp_path / "ours" / "model.safetensors").read_bytes() == before
    assert ingrain("import", source, "-o", tmp_path / "ours", "--force").returncode == 0


def test_a_folder_of_our_own_needs_no_import(ingrain, tmp_path):
    source = folder_of(tmp_path / "model")
    assert ingrain("import", source, "-o", tmp_path / "ours").returncode == 0
    done = ingrain("import", tmp_path / "ours", "-o", tmp_path / "again")
    assert done.returncode == 2 and "own" in done.stderr and not (tmp_path / "again").exists()


def test_importing_a_model_onto_itself_is_refused(ingrain, tmp_path):
    source = folder_of(tmp_path / "model")
    before = (source / "config.json").read_text()
    done = ingrain("import", source, "-o", source)
    assert done.returncode == 2 and "another folder" in done.stderr
    assert (source / "config.json").read_text() == before
