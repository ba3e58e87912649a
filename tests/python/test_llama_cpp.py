"""A GGUF file against llama.cpp. Opt-in: INGRAIN_TEST_LLAMA names a Python with llama-cpp-python (which compiles for ten
minutes), INGRAIN_TEST_GGUF the file, such as models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf."""
import json
import os
import pathlib
import subprocess

import numpy
import pytest

from conftest import ROOT

PYTHON, GGUF = os.environ.get("INGRAIN_TEST_LLAMA"), os.environ.get("INGRAIN_TEST_GGUF")
COUNT = 1024


@pytest.mark.skipif(not (PYTHON and GGUF), reason="INGRAIN_TEST_LLAMA and INGRAIN_TEST_GGUF are not set")
def test_tokens_and_losses_equal_those_of_llama_cpp(ingrain, tmp_path):
    # A part of the text that llama.cpp tokenizes whole, so that both see the same words.
    text = tmp_path / "text.txt"
    text.write_bytes((ROOT / "examples/data/emma.txt").read_bytes()[:8000])
    oracle = pathlib.Path(__file__).with_name("llama_oracle.py")
    theirs = json.loads(subprocess.run([PYTHON, oracle, GGUF, text, str(COUNT)], check=True, capture_output=True).stdout)

    def ours(*source):
        done = ingrain("eval", GGUF, *source, "--limit", COUNT, "--dtype", "fp32", "--learning", "off", "--json", "--per-token")
        assert done.returncode == 0, done.stderr
        return numpy.array(json.loads(done.stdout)["learning_off"]["nll"][1:], dtype=float)

    ids = tmp_path / "ids.bin"
    numpy.array(theirs["tokens"], dtype=numpy.uint32).tofile(ids)
    given = ours("--tokens", ids, "--token-type", "u32")
    numpy.testing.assert_array_equal(ours(text), given)  # our tokenizer gives the same ids
    # llama.cpp rounds activations to 8 bits where weights have 4; ours stay in fp32.
    assert abs(given.mean() - numpy.mean(theirs["nll"])) < 0.02
    assert numpy.abs(given - theirs["nll"]).mean() < 0.1
