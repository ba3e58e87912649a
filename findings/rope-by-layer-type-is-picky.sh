#!/usr/bin/env bash
# Finding: transformers 5.24.0 writes rope_parameters flat for most models and by layer type for Gemma 3 and OLMo 3. One would guess that
# a flat rope_parameters, which every other class takes, holds for all layers of these, or is refused; and that "type", the older
# spelling of "rope_type", means the same as it does for a Llama.
# Seen: the flat fields stay beside the two entries by layer type, and both entries are "default" with the class's own
# rope_theta: neither the scaling nor the flat rope_theta is applied. rope_scaling with "type" alone is copied into full_attention, whose rope_type stays
# "default"; with "rope_type" it is applied. Neither is an error.
# What follows for a reader of config.json: for families with RoPE by layer type, read these fields as the class does, not as Llama's.
# Installs the pinned package into a temporary folder; exits non-zero if the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --disable-pip-version-check install -q transformers==5.24.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - 2>/dev/null <<'PY'
import transformers
from transformers import Gemma3TextConfig, LlamaConfig, Olmo3Config

print("transformers", transformers.__version__)
sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=6, num_attention_heads=2, num_key_value_heads=2, vocab_size=32)
flat = {"rope_type": "linear", "factor": 8.0, "rope_theta": 3e5}


def seen(model, **fields):
    return model(**sizes, **fields).rope_parameters


for model in (LlamaConfig, Gemma3TextConfig, Olmo3Config):
    of_flat = seen(model, rope_parameters=dict(flat))
    of_type = seen(model, rope_scaling={"type": "linear", "factor": 8.0})
    of_rope_type = seen(model, rope_scaling={"rope_type": "linear", "factor": 8.0})
    full = lambda parameters: parameters.get("full_attention", parameters)
    print(f"{model.__name__}, full attention: flat rope_parameters {full(of_flat)}")
    print(f"    rope_scaling with type {full(of_type)}; with rope_type {full(of_rope_type)}")
    by_layer_type = model is not LlamaConfig
    assert full(of_flat)["rope_type"] == ("default" if by_layer_type else "linear")
    assert full(of_type)["rope_type"] == ("default" if by_layer_type else "linear")
    assert full(of_rope_type)["rope_type"] == "linear"
    if by_layer_type:
        assert of_flat["factor"] == 8.0 and of_flat["full_attention"]["rope_theta"] != 3e5
PY
