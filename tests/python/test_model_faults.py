"""Folders that were read wrongly once (../shared/faults, where it is there): the right values are in each expected.md."""
import json
import struct

import pytest
from test_cli import CASES

FAULTS = CASES / "faults"
pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason="shared/faults is not here")


@pytest.mark.parametrize("folder,mean", [
    ("06-rope-fields/theta-in-rope-scaling", 7.13347), ("06-rope-fields/original-length-at-top", 7.11371),
    ("09-tied-only-head-stored/model", 12.58093), ("12-tied-with-another-head/model", 7.05979)])
def test_the_loss_is_that_of_transformers(ingrain, folder, mean):
    ids = FAULTS / folder.split("/")[0] / "ids.bin"
    done = ingrain("eval", FAULTS / folder, "--tokens", ids, "--token-type", "u32", "--learning", "off", "--dtype", "fp32", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["learning_off"]["mean_nll"] == pytest.approx(mean, abs=2e-5)


def test_the_type_of_what_is_not_needed_does_not_count(ingrain, tmp_path):
    done = ingrain("import", FAULTS / "17-type-of-unneeded-tensor" / "model", "-o", tmp_path / "out", "--store", "source")
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "out" / "model.safetensors").read_bytes()
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"BF16"}


def test_a_newer_type_of_what_is_not_needed_does_not_matter(ingrain):
    done = ingrain("generate", FAULTS / "18-unneeded-tensor-of-new-type" / "model", "--prompt", "Hi", "--max-tokens", "1")
    assert done.returncode == 0, done.stderr
