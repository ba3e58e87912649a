"""A training run of seconds, for the tests of `ingrain train`."""
import os
import pathlib
import random
import struct

from conftest import BUILD

PROGRAM = pathlib.Path(os.environ.get("INGRAIN_TEST_PROGRAM", BUILD / "src" / "cli" / "ingrain"))

MODEL = """
[model]
vocab_size = 60
hidden_size = 32
num_hidden_layers = 3
num_attention_heads = 2
intermediate_size = 48
suffix_len = 1
sliding_window = 24
chunk_size = 16
"""


def write_run(folder, settings):
    """run.toml, of MODEL and these settings, and tokens.bin, whose ids are random."""
    numbers = random.Random(3)
    (folder / "tokens.bin").write_bytes(struct.pack("<20000H", *(numbers.randrange(60) for _ in range(20000))))
    (folder / "run.toml").write_text(MODEL + settings)
    return folder
