"""The comparisons' own scripts, at shapes that a CPU runs in seconds."""
import json
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT


def script(path, *args):
    return subprocess.run([sys.executable, ROOT / path, *map(str, args)], capture_output=True, text=True, timeout=300)


def test_full_attention_is_timed_for_every_kind_that_runs_here():
    pytest.importorskip("torch")
    done = script("bench/compare/gpu_attention.py", "--device", "cpu", "--layers", 2, "--hidden", 32, "--heads", 2, "--mlp", 48,
                  "--vocab", 64, "--prefill", "96", "--decode", "64", "--runs", 1)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    timed = {(row[0], row[2]) for row in rows if "block" in row}
    assert {("prefill", "flash"), ("prefill", "math"), ("decode", "math")} <= timed, done.stdout


def test_a_part_that_does_not_exist_is_refused_before_anything_runs(tmp_path):
    done = subprocess.run([ROOT / "bench/gpu.sh", "build", "paint"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "OUT": str(tmp_path / "o")})
    assert done.returncode == 2 and "'paint'" in done.stderr and not (tmp_path / "o").exists()


@pytest.mark.parametrize("loss, status", [(2.40, 0), (2.50, 1)])
def test_curves_are_compared_at_the_steps_asked_for(tmp_path, loss, status):
    ours, reference = tmp_path / "ours", tmp_path / "reference"
    ours.write_text(json.dumps({"step": 401, "loss": loss}) + "\n" + json.dumps({"step": 401, "validation": "x", "loss_on": 9}) + "\n")
    reference.write_text(json.dumps({"step": 400, "loss": 2.3869}) + "\n")
    done = script("examples/reference-17m/compare.py", ours, reference, "--steps", "400,800")
    assert done.returncode == status
    assert "step 800: not reached" in done.stdout


TINY = {"model_type": "ingrain", "vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 48, "suffix_len": 1, "sliding_window": 24, "chunk_size": 16, "bos_token_id": 0, "eos_token_id": [1]}


def test_a_meta_step_is_the_same_as_by_create_graph_in_pytorch(tmp_path):
    """Another implementation and another method: reverse over reverse."""
    pytest.importorskip("torch")
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    done = script("bench/compare/meta.py", BUILD / "src/cli/ingrain", tmp_path / "tiny.json", "--length", 64, "--runs", 1, "--threads", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "create_graph" in done.stdout


def test_reading_in_plain_pytorch_scores_as_ours_does():
    for module in ("torch", "safetensors", "tokenizers"):
        pytest.importorskip(module)
    done = script("bench/compare/pytorch.py", BUILD / "src/cli/ingrain", ROOT / "models/reader-17m", ROOT / "examples/data/emma.txt",
                  "--tokens", 512, "--runs", 1, "--threads", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PyTorch eager, learning" in done.stdout
