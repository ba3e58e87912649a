"""GGUF's quantized types against the numpy implementation in PyPI's `gguf`."""
import importlib.util
import pathlib

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

MAKER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "make_quants.py"


def load_maker():
    spec = importlib.util.spec_from_file_location("make_quants", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(1, 6))
def test_random_blocks_of_every_type_expand_as_in_the_reference(probe, tmp_path, seed):
    path = tmp_path / "quants.gguf"
    load_maker().main(str(path), seed, rows=8)
    compared = 0
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name.endswith(".expected"):
            continue
        got = np.frombuffer(probe("gguf-tensor", path, tensor.name), np.float32)
        want = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).ravel()
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=0, err_msg=tensor.name)
        compared += 1
    assert compared == 11
