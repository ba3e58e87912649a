"""The Python package as it was built, and a tiny model to use it with."""

import json
import sys

import pytest

from conftest import BUILD, ROOT

PACKAGE = BUILD / "python"
if not (PACKAGE / "ingrain" / "_built.py").exists():
    pytest.skip(f"{PACKAGE}: no Python module was built; it needs python3-dev and a torch for Python", allow_module_level=True)
sys.path.insert(0, str(PACKAGE))

EMMA = (ROOT / "examples/data/emma.txt").read_text()
# Bytes, and one token before them.
TINY = dict(vocab_size=257, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
            intermediate_size=24, fast_intermediate_size=20, suffix_len=2, sliding_window=12, chunk_size=8, bos_token_id=0,
            eos_token_id=[], inner_lr=0.7, inner_clip=0.5, qk_norm=True, post_norm=True, initializer_range=0.3)


def tiny_config(**changes):
    return json.dumps({**TINY, **changes})


def save_tiny(folder, seed=1, tokenizer=True, **changes):
    """A model folder with weights drawn at random; returns its path."""
    from ingrain.torch import TTTModel

    TTTModel.draw(tiny_config(**changes), seed=seed).save(folder)
    if tokenizer:
        (folder / "tokenizer.json").write_bytes((ROOT / "examples/tiny-book/tokenizer.json").read_bytes())
    return folder
