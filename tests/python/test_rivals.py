"""examples/rivals and examples/study: every configuration is one that the program takes, and they are matched in parameters."""
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

RIVALS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "rivals"
NAMES = sorted(path.stem for path in RIVALS.glob("*.toml"))


@pytest.fixture(scope="module")
def parameters(ingrain, tmp_path_factory):
    """Of each, as a dry run says."""
    tokens = tmp_path_factory.mktemp("rivals") / "train.bin"
    np.zeros(300000, np.uint16).tofile(tokens)
    out = {}
    for name in NAMES:
        done = ingrain("train", RIVALS / f"{name}.toml", "--dry-run", "--set", f"data.train={tokens}", "--set", f"data.tokenizer={RIVALS.parent / 'tiny-book' / 'tokenizer.json'}")
        assert done.returncode == 0, f"{name}: {done.stderr}"
        out[name] = int(re.search(r"# parameters +(\d+)", done.stdout)[1])
    return out


def test_they_have_as_many_parameters_to_within_2_percent(parameters):
    assert len(parameters) >= 15
    for name, count in parameters.items():
        assert abs(count / parameters["e2e"] - 1) < 0.02, f"{name} has {count} parameters, e2e {parameters['e2e']}"


@pytest.mark.parametrize("scale, vocab", [("tiny", 258), ("night", 8192)])
def test_a_studys_rivals_have_as_many_parameters_to_within_1_percent(ingrain, tmp_path, scale, vocab):
    """The report of a study that has not begun says them. No corpus is needed: raw tokens stand in its place."""
    tokens = tmp_path / "train.bin"
    np.zeros(300000, np.uint16).tofile(tokens)
    settings = [f'study.{name}="{tokens}"' for name in ("train", "held_out", "book")] + [f"model.vocab_size={vocab}"]
    done = ingrain("study", RIVALS.parent / "study" / f"{scale}.toml", "--report", "--output", tmp_path, *(word for s in settings for word in ("--set", s)))
    assert done.returncode == 0, done.stderr
    rivals = {rival["name"]: rival for rival in json.loads((tmp_path / "report.json").read_text())["rivals"]}
    assert len(rivals) >= 15 and {"gated-delta-net2", "kv-binding", "in-place-ttt"} <= rivals.keys()
    for name, rival in rivals.items():
        assert abs(rival["parameters"] / rivals["ttt-e2e"]["parameters"] - 1) < 0.01, f"{name} has {rival['parameters']} parameters"


def test_the_files_are_what_the_script_writes(tmp_path):
    subprocess.run([sys.executable, RIVALS / "write.py", tmp_path], check=True)
    assert sorted(path.stem for path in tmp_path.glob("*.toml")) == NAMES
    for name in NAMES:
        assert (tmp_path / f"{name}.toml").read_text() == (RIVALS / f"{name}.toml").read_text(), name
