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
}
SCALINGS = {
    "linear": dict(rope_type="linear", factor=4.0),
    "llama3": dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
    "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64),
}


def make(family, scaling=None, seed=1, **changes):
    """A random model of a family, fp32: norms and biases, too, are not what they start as."""
    name, own = FAMILIES[family]
    fields = {**SIZES, **own, **changes}
    theta = fields.pop("rope_theta")
    fields["rope_parameters"] = {"rope_theta": theta, **(SCALINGS[scaling] if scaling else {"rope_type": "default"})}
    torch.manual_seed(seed)
    config = getattr(transformers, name + "Config")(**fields)
    model = getattr(transformers, name + "ForCausalLM")(config).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith("norm.weight"):
                value.uniform_(0.5, 1.5)
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
