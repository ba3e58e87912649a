"""Tensors that are handed over without a copy, under AddressSanitizer: seconds, since only its library is loaded before Python (nothing is
compiled with it, so it sees malloc, free and memcpy, which is what lifetimes.py reads by)."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import python_package  # noqa: F401 - or there is nothing to test
from conftest import ROOT


def library():
    compiler = shutil.which("gcc") or pytest.skip("no gcc, whose libasan this is")
    path = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
    return path if pathlib.Path(path).is_absolute() else pytest.skip("gcc has no libasan here")


def test_tensors_of_a_memory_outlive_it_and_are_freed_with_their_last_holder():
    done = subprocess.run([sys.executable, ROOT / "tests/python/lifetimes.py", "--then-read-what-is-gone"], capture_output=True, text=True,
                          timeout=300, env={**os.environ, "LD_PRELOAD": library(), "PYTHONMALLOC": "malloc", "OMP_NUM_THREADS": "1",
                                            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0"})
    # Whatever it finds ends the process. So nothing was found before the line, and what was meant to be found after it.
    assert "all tensors lived as long as they were held" in done.stdout, done.stderr
    assert done.returncode != 0 and "heap-use-after-free" in done.stderr and "memcpy" in done.stderr, done.stderr
