"""examples/rivals: every configuration is one that the program takes, and they are matched in parameters."""
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


def test_the_files_are_what_the_script_writes(tmp_path):
    subprocess.run([sys.executable, RIVALS / "write.py", tmp_path], check=True)
    assert sorted(path.stem for path in tmp_path.glob("*.toml")) == NAMES
    for name in NAMES:
        assert (tmp_path / f"{name}.toml").read_text() == (RIVALS / f"{name}.toml").read_text(), name
