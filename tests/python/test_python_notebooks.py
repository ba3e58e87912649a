"""The notebooks in examples/python: every cell runs, from the project's folder."""

import json
import os
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT
from python_package import PACKAGE

NOTEBOOKS = sorted((ROOT / "examples/python").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(notebook, tmp_path):
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells and not any(cell["outputs"] for cell in cells), "kept without outputs"
    program = tmp_path / "cells.py"
    program.write_text("\n".join("".join(cell["source"]) for cell in cells))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300, cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(PACKAGE), "INGRAIN_PROGRAM": str(BUILD / "src/cli/ingrain")})
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_three():
    assert len(NOTEBOOKS) == 3
