"""Small random decoder models as PyPI's `transformers` makes them, and what they give each token of a text."""
import copy
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the models to compare with need torch in this Python")
transformers = pytest.importorskip("transformers", reason="pip install -r python/requirements-test.txt")

VOCABULARY, LENGTH = 97, 160
SIZES = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=None,
    initializer_range=0.25,  # large enough that every part shows in the result
)
FAMILIES = {
    "llama": ("Llama", dict(tie_word_embeddings=False, rope_theta=500000.0, rms_norm_eps=1e-5)),
    "smollm2": ("Llama", dict(tie_word_embeddings=True, rope_theta=100000.0, num_attention_heads=3, num_key_value_heads=1, hidden_size=48)),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True, rope_theta=1000000.0)),
    "qwen3": ("Qwen3", dict(tie_word_embeddings=False, rope_theta=1000000.0, head_dim=24)),
    "smollm3": ("SmolLM3", dict(tie_word_embeddings=True, rope_theta=2000000.0, num_hidden_layers=5)),  # the fourth not rotated
    "mistral": ("Mistral", dict(tie_word_embeddings=False, rope_theta=1000000.0, head_dim=24, sliding_window=24)),
    "mistral_full": ("Mistral", dict(tie_word_embeddings=True, rope_theta=1000000.0, sliding_window=None)),
    "ministral": ("Ministral", dict(rope_theta=100000.0, head_dim=16, sliding_window=24, layer_types=["full_attention", "sliding_attention", "sliding_attention"])),
    "ministral3": ("Ministral3", dict(tie_word_embeddings=True, head_dim=16, rope_theta=1000000.0, rope_parameters=dict(
        rope_type="yarn", factor=16.0, original_max_position_embeddings=48, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.3))),
    "gemma3": ("Gemma3", dict(
        num_hidden_layers=7, head_dim=24, sliding_window=24, query_pre_attn_scalar=40, rope_parameters=dict(
            full_attention=dict(rope_type="linear", factor=4.0, rope_theta=1000000.0), sliding_attention=dict(rope_type="default", rope_theta=10000.0)))),
    "granite": ("Granite", dict(
        tie_word_embeddings=True, rope_theta=10000.0, embedding_multiplier=3.0, residual_multiplier=0.22, attention_multiplier=0.2, logits_scaling=1.5)),
    "granite_swa": ("GraniteSWA", dict(
        num_hidden_layers=5, rope_theta=10000.0, sliding_window=24, embedding_multiplier=3.0, residual_multiplier=0.22, attention_multiplier=0.2,
        logits_scaling=0.5, layer_rope_theta=[0, 10000.0, 10000.0, 500000.0, 10000.0])),
    "olmo2": ("Olmo2", dict(tie_word_embeddings=False, rope_theta=500000.0)),
    "olmo3": ("Olmo3", dict(
        num_hidden_layers=5, tie_word_embeddings=False, sliding_window=24, rope_parameters=dict(
            full_attention=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64, rope_theta=500000.0),
            sliding_attention=dict(rope_type="default", rope_theta=500000.0)))),
    "phi3": ("Phi3", dict(tie_word_embeddings=False, rope_theta=10000.0, sliding_window=24)),
    "phi4_mini": ("Phi3", dict(  # of each head's 16 numbers 12 are rotated; texts are longer than 64
        tie_word_embeddings=True, hidden_size=64, rope_theta=10000.0, partial_rotary_factor=0.75, original_max_position_embeddings=64, rope_parameters=dict(
            rope_type="longrope", short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5], long_factor=[1.0, 1.5, 2.5, 6.0, 20.0, 40.0], partial_rotary_factor=0.75,
            original_max_position_embeddings=64))),
    "qwen3_5": ("Qwen3_5", dict(  # three layers with a Gated DeltaNet, then one with attention, of which a quarter of a head is rotated
        num_hidden_layers=5, rope_theta=1000000.0, head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
        linear_value_head_dim=12, linear_conv_kernel_dim=3)),
}
# Those whose norms are less 1 in files (but for the ones in Gated DeltaNets); they are parts of models for text and images.
LESS_ONE = {"Gemma3", "Qwen3_5"}
# Those whose RoPE is theirs alone: it is not stretched otherwise.
OWN_ROPE = {"ministral3", "qwen3_5", "gemma3", "granite_swa", "olmo3", "phi3", "phi4_mini"}
SCALINGS = {
    "linear": dict(rope_type="linear", factor=4.0),
    "llama3": dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
    "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64),
}


def make(family, scaling=None, seed=1, **changes):
    """A random model of a family, fp32: norms and biases, too, are not what they start as."""
    name, own = FAMILIES[family]
    fields = {**SIZES, **own, **changes}
    theta = fields.pop("rope_theta", None)
    if theta:
        rope = SCALINGS[scaling] if scaling else fields.get("rope_parameters", {"rope_type": "default"})
        fields["rope_parameters"] = {"rope_theta": theta, **rope}
    torch.manual_seed(seed)
    if not hasattr(transformers, name + "ForCausalLM"):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    config = getattr(transformers, name + ("TextConfig" if name in LESS_ONE else "Config"))(**fields)
    config._attn_implementation = "eager"
    model = getattr(transformers, name + "ForCausalLM")(config).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith("norm.weight"):
                value.uniform_(0.5, 1.5).sub_(1 if name in LESS_ONE and "linear_attn" not in key else 0)
            elif key.endswith("A_log"):
                value.uniform_(-4, 0)  # states that last
            elif key.endswith("sinks"):
                value.normal_(0, 2)
            elif key.endswith(".bias"):
                value.normal_(0, 0.5)
    return model


def save(model, folder, dtype=torch.float32, **options):
    """Stores the model in `dtype`; returns it with the rounded values, in fp32 (RoPE's angles as they were)."""
    copy.deepcopy(model).to(dtype).save_pretrained(folder, **options)
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(value.to(dtype))
    return model


def some_tokens(seed, length=LENGTH):
    return np.random.default_rng(seed).integers(3, VOCABULARY, length).astype(np.uint32)


def expected_nll(model, tokens):
    """-log p of every token but the first."""
    ids = torch.tensor(tokens.astype(np.int64))[None]
    with torch.no_grad():
        logits = model(ids).logits[0]
    return torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="none").numpy()


def our_nll(ingrain, model, tokens, folder):
    file = folder / "tokens.bin"
    tokens.tofile(file)
    done = ingrain("eval", model, "--tokens", file, "--token-type", "u32", "--dtype", "fp32", "--learning", "off", "--json", "--per-token")
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout)["learning_off"]["nll"][1:], np.float64)


def assert_same(ingrain, path, model, folder, seeds=(1, 2)):
    for seed in seeds:
        tokens = some_tokens(seed)
        want = expected_nll(model, tokens)
        assert want.std() > 0.5  # a model that says the same of every token would prove nothing
        np.testing.assert_allclose(our_nll(ingrain, path, tokens, folder), want, rtol=0, atol=1e-4)


def change(folder, **changes):
    """Changes fields of a folder's config.json; None removes one."""
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def rename_tensors(folder, rename):
    """Stores the folder's tensors anew, under the names that `rename` gives them (None: leaves one out)."""
    from safetensors.torch import load_file, save_file
    file = folder / "model.safetensors"
    tensors = {rename(name): value for name, value in load_file(file).items()}
    save_file({name: value for name, value in tensors.items() if name}, file, metadata={"format": "pt"})
