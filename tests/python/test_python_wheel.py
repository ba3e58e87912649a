"""`pip wheel .`: what it holds works in a fresh environment beside a torch."""

import os
import pathlib
import re
import subprocess
import sys
import sysconfig

import pytest

from conftest import ROOT
from python_package import PACKAGE, save_tiny


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ingrain_version():
    return re.search(r"^project\(ingrain VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]


def test_a_wheel_works_in_a_fresh_environment(tmp_path):
    pytest.importorskip("scikit_build_core")
    # With the module that is built already: compiling is what the rest of the tests have done.
    run(sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-index", "--no-build-isolation", "-w", tmp_path,
        "-C", f"cmake.define.INGRAIN_PYTHON_MODULE={PACKAGE / 'ingrain'}", "-C", f"build-dir={tmp_path / 'build'}",
        "-C", "cmake.args=-DCMAKE_CXX_COMPILER_LAUNCHER=")
    wheel = next(tmp_path.glob("ingrain-*.whl"))
    assert wheel.name.startswith(f"ingrain-{ingrain_version()}-")
    assert f"cp{sys.version_info[0]}{sys.version_info[1]}" in wheel.name and "linux" in wheel.name
    python = tmp_path / "venv/bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    here = pathlib.Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (here / "torch-is-there.pth").write_text(sysconfig.get_path("purelib") + "\n")  # and not copied
    model = save_tiny(tmp_path / "tiny")
    said = run(python, "-c", "import ingrain, ingrain.torch, ingrain.hf, sys; print(ingrain.__file__);"
               f"memory = ingrain.Memory(ingrain.Model.load({str(model)!r})); memory.read('a text of some length');"
               "print(memory.position, 'tokens')", env={"PATH": os.environ["PATH"]}, cwd=tmp_path)
    assert str(here) in said and "22 tokens" in said
    assert (here / "ingrain/py.typed").exists() and (here / "ingrain/hf/modeling_ingrain.py").exists()
