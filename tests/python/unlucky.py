"""What the tests of an unlucky user share: a short text and its memory, and the collection of faults where it is there."""
import json
import os
import shutil

import pytest
from conftest import BUILD
from test_cli import CASES, EMMA, READER

PROGRAM = BUILD / "src" / "cli" / "ingrain"
FAULTS = CASES / "faults"
needs_faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="no collection of faults at hand")
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1")
# The model never ends a text by itself.
ENDLESS = ("--logit-bias", f"{json.loads((READER / 'config.json').read_text())['eos_token_id'][0]}=-inf")


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "short.txt"
    path.write_text(EMMA.read_text()[:2500])
    return path


@pytest.fixture(scope="session")
def memory(ingrain, text, tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "short.memory"
    assert ingrain("read", READER, text, "-o", path).returncode == 0
    return path


def fault(name, tmp_path):
    shutil.copytree(FAULTS / name, tmp_path / name)
    return tmp_path / name


def prepare(ingrain, folder, source, *args, out="data"):
    done = ingrain("data", "prepare", source, "--tokenizer", "tokenizer.json", "--out", out, *args, cwd=folder)
    if done.returncode:
        return done
    manifest = json.loads((folder / out / "manifest.json").read_text())
    return manifest["documents"], manifest["tokens"]
