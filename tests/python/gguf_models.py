"""GGUF files of decoder_models' models, with the names, keys and orders of rows that llama.cpp's converter gives them."""
import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

# What a family is called, and whether rows of q and k are ordered for rotations of neighbours.
ARCHITECTURES = {
    "llama": ("llama", True), "smollm2": ("llama", True), "qwen2": ("qwen2", False), "qwen3": ("qwen3", False), "smollm3": ("smollm3", True),
    "mistral_full": ("llama", True), "ministral3": ("mistral3", True), "gemma3": ("gemma3", False), "granite": ("granite", True),
    "olmo2": ("olmo2", False), "olmo3": ("olmo2", False), "phi3": ("phi3", False), "phi4_mini": ("phi3", False),
}
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up",
}
AROUND = {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm"}


def name_of(family, name):
    names = {**NAMES, **AROUND} if family in ("gemma3", "olmo2", "olmo3") else NAMES
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{names[part]}.{kind}"
    return f"{names[stem]}.{kind}"


def pairs_side_by_side(rows, heads):
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def add_rope(writer, c, head_dim):
    rope = c.rope_parameters
    rope = rope.get("full_attention") or rope
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(head_dim * rope.get("partial_rotary_factor", 1)))
    kind = rope["rope_type"]
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if rope.get("mscale_all_dim"):
            writer.add_rope_scaling_yarn_log_mul(rope["mscale_all_dim"])
    if kind == "longrope":
        original = rope["original_max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(c.max_position_embeddings / original) / np.log(original))))
        for which in ("long", "short"):
            writer.add_tensor(f"rope_factors_{which}.weight", np.array(rope[f"{which}_factor"], np.float32))


def add_own(writer, c, family, arch):
    if family in ("gemma3", "olmo3", "phi3", "phi4_mini"):
        writer.add_sliding_window(c.sliding_window or 0)
    if family == "granite":
        writer.add_attention_scale(c.attention_multiplier)
        writer.add_embedding_scale(c.embedding_multiplier)
        writer.add_residual_scale(c.residual_multiplier)
        writer.add_logit_scale(c.logits_scaling)
    if family == "ministral3":
        writer.add_float32(f"{arch}.attention.temperature_scale", c.rope_parameters["llama_4_scaling_beta"])


def add_sizes(writer, c):
    """Sizes, and the ids of the ends; the size of a head."""
    writer.add_block_count(c.num_hidden_layers)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    return head_dim


def add_tensor(writer, c, family, name, x, pairs, kind):
    """`pairs`: rows of q and k are ordered for rotations of neighbours; a matrix is of type `kind`."""
    if pairs and ".q_proj." in name:
        x = pairs_side_by_side(x, c.num_attention_heads)
    if pairs and ".k_proj." in name:
        x = pairs_side_by_side(x, c.num_key_value_heads)
    x = np.ascontiguousarray(x)
    if kind != "F32" and x.ndim == 2:
        of_kind = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name_of(family, name), gguf.quants.quantize(x, of_kind), raw_dtype=of_kind)
    else:
        writer.add_tensor(name_of(family, name), x)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write(model, path, family, kind="F32"):
    """Matrices in `kind`, which must hold them exactly, with a vocabulary of bare pieces, so that llama.cpp, too, loads it."""
    c, (arch, pairs) = model.config, ARCHITECTURES[family]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, arch)
    head_dim = add_sizes(writer, c)
    add_rope(writer, c, head_dim)
    add_own(writer, c, family, arch)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>"] + [f"<{i}>" for i in range(3, c.vocab_size)])
    writer.add_token_scores([0.0] * c.vocab_size)
    writer.add_token_types([2, 3, 3] + [1] * (c.vocab_size - 3))
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        x = value.numpy()
        if family == "gemma3" and name.endswith("norm.weight"):
            x = x + 1
        add_tensor(writer, c, family, name, x, pairs, kind)
    finish(writer)
    return model
