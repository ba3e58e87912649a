#!/usr/bin/env bash
# Finding: a config.json may say rope_theta twice - at its top level, as transformers 4 wrote it, and inside rope_scaling, which
# transformers 5 reads as rope_parameters. One would guess that the plain field wins, or that a contradiction is an error.
# Seen in transformers 5.24.0: the one inside wins, the field at the top is dropped without a word; a top-level
# original_max_position_embeddings, however, does not replace the one inside. A reader that takes the top-level field rotates
# by other angles than the model's own library.
# What follows for a reader of config.json: look inside first, and refuse or say it where the two differ.
# Installs the pinned package into a temporary folder; exits non-zero if the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --disable-pip-version-check install -q transformers==5.24.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - 2>/dev/null <<'PY'
import transformers
from transformers import LlamaConfig

print("transformers", transformers.__version__)
sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, vocab_size=32)


def seen(**fields):
    return LlamaConfig(**sizes, **fields).rope_parameters


top = seen(rope_theta=5e5)
print("rope_theta 5e5 at the top alone:             ", top)
both = seen(rope_theta=5e5, rope_scaling={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e6})
print("5e5 at the top, 1e6 inside rope_scaling:     ", both)
llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
inside = seen(rope_scaling=dict(llama3, original_max_position_embeddings=64), original_max_position_embeddings=128)
print("trained length 128 at the top, 64 inside:    ", inside["original_max_position_embeddings"])
assert top["rope_theta"] == 5e5
assert both["rope_theta"] == 1e6, "the field at the top wins now"
assert inside["original_max_position_embeddings"] == 64, "the trained length at the top wins now"
PY
