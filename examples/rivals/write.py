#!/usr/bin/env python3
"""Writes the configurations of this folder: sequence layers and ablations at the size of reference-17m, all with the same
data, steps and batches, and with parameters that differ by less than 2%, which the width of the MLPs evens out.

    examples/rivals/write.py [FOLDER]        FOLDER: default: this one
"""
import pathlib
import sys

BLOCKS, WIDTH, HEADS = 8, 384, 6
FULL = 'sliding_window = "full"'
WINDOW = "sliding_window = 1024"


def model(lines, mlp, blocks=BLOCKS, suffix=0):
    return [f"num_hidden_layers = {blocks}", f"intermediate_size = {mlp}", f"suffix_len = {suffix}", *lines]


def layers(tables):
    return ["layers = [", *(f"    {{ {table} }}," if table else "    {}," for table in tables), "]"]


# In-Place TTT's blocks, the last two: attention without an MLP, then the MLP whose down projection learns.
IN_PLACE = ["", "", "", "", "", ""] + ["mlp = false", 'mixer = "in_place_ttt", mlp = false'] * 2

# name: what it is, [model], train.mode
RIVALS = {
    "full": ("Full attention.", model([FULL], 1040), "standard"),
    "sliding": ("A sliding window of 1024 tokens in every block.", model([WINDOW], 1040), "standard"),
    "hybrid": ("Five blocks with a sliding window to one with full attention.",
               model([WINDOW, *layers([FULL if (i + 1) % 6 == 0 else "" for i in range(BLOCKS)])], 1040), "standard"),
    "mamba2": ("Mamba-2, twice the hidden size wide.",
               model(['mixer = "mamba2"', "mamba_n_heads = 12", "mamba_d_head = 64", "mamba_d_state = 128"], 688), "standard"),
    "gated-delta-net": ("Gated DeltaNet.",
                        model(['mixer = "gated_delta_net"', "linear_num_key_heads = 6", "linear_num_value_heads = 6",
                               "linear_key_head_dim = 64", "linear_value_head_dim = 64"], 904), "standard"),
    "gated-delta-net2": ("Gated DeltaNet-2: gates of its own for erasing and for writing.",
                         model(['mixer = "gated_delta_net2"', "gdn2_num_key_heads = 6", "gdn2_num_value_heads = 6",
                                "gdn2_key_head_dim = 64", "gdn2_value_head_dim = 64"], 696), "standard"),
    "kv-binding": ("TTT-MLP: layers that learn keys' values by mini-batches of 16 tokens.",
                   model(['mixer = "kv_binding"', "kvb_num_heads = 6", "kvb_head_dim = 64", "kvb_inner_size = 256"], 864), "standard"),
    "in-place-ttt": ("In-Place TTT: a sliding window, and two MLPs whose down projections learn.",
                     model([WINDOW, "in_place_ttt_size = 1008", "in_place_ttt_chunk = 256", *layers(IN_PLACE)], 1008, blocks=len(IN_PLACE)),
                     "standard"),
    "e2e": ("End-to-end test-time training: what the others are rivals of.", model([WINDOW], 832, suffix=2), "meta"),
    "e2e-not-meta": ("The same, not trained to learn: read with learning off it is a plain model, with learning on it is dynamic evaluation.",
                     model([WINDOW], 832, suffix=2), "standard"),
    "e2e-all-blocks": ("Fast MLPs in all blocks.", model([WINDOW], 520, suffix=BLOCKS), "meta"),
    "e2e-chunk-128": ("Inner steps of 128 tokens.", model([WINDOW, "chunk_size = 128"], 832, suffix=2), "meta"),
    "e2e-chunk-512": ("Inner steps of 512 tokens.", model([WINDOW, "chunk_size = 512"], 832, suffix=2), "meta"),
    "e2e-window-256": ("A window of 256 tokens.", model(["sliding_window = 256"], 832, suffix=2), "meta"),
    "e2e-window-512": ("A window of 512 tokens.", model(["sliding_window = 512"], 832, suffix=2), "meta"),
}


def text_of(name):
    what, lines, mode = RIVALS[name]
    if not any(line.startswith("chunk_size") for line in lines):
        lines = [*lines, "chunk_size = 256"]
    return "\n".join([
        f"# {what} Written by write.py. First ../reference-17m/prepare.sh.", "",
        "[model]", "vocab_size = 8192", f"hidden_size = {WIDTH}", f"num_attention_heads = {HEADS}", *lines,
        "rope_theta = 500000.0", "bos_token_id = 0", "eos_token_id = 1", "",
        "[data]", 'train = "../reference-17m/work/train.bin"', 'tokenizer = "../reference-17m/work/tokenizer.json"',
        "sequence_length = 8192", 'order = "numpy"', "seed = 1", "skip = 6", "",
        "[train]", f'mode = "{mode}"', "steps = 1423", "batch = 16", "lr = 3e-3", "end_lr = 1e-5", "warmup = 142",
        *(["ilr_init = 0.1", "ilr_warmup = 142"] if mode == "meta" else []), 'device = "auto"', 'dtype = "auto"', "",
        "[checkpoint]", f'folder = "work/{name}"', "every = 200", ""])


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name in RIVALS:
        (folder / f"{name}.toml").write_text(text_of(name))
