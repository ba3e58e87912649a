"""The order of training batches against numpy itself."""
import numpy as np
import pytest


def reference_batches(tokens, seed, batch, length):
    """The rule in the README of the reference run, in numpy."""
    rng = np.random.default_rng(seed)
    while True:
        offset = rng.integers(0, length)
        order = rng.permutation((len(tokens) - 1 - offset) // length)
        for i in range(len(order) // batch):
            chosen = order[i * batch : (i + 1) * batch]
            yield np.stack([tokens[offset + j * length : offset + j * length + length + 1] for j in chosen])


@pytest.mark.parametrize(
    "count, seed, batch, length",
    [(1000, 1, 3, 10), (1000, 0, 1, 1), (5000, 2**32 + 5, 4, 7), (5000, 2**64 - 1, 16, 64), (300, 12345, 2, 100), (70000, 1, 16, 1)],
)
@pytest.mark.parametrize("skip", [0, 6, 200])
def test_the_numpy_order_is_that_of_numpy(data_probe, tmp_path, count, seed, batch, length, skip):
    tokens = np.random.default_rng(7).integers(0, 2**16, count).astype(np.uint16)
    tokens.tofile(tmp_path / "raw.bin")
    batches = 400 if count < 10000 else 9000  # several epochs
    out = data_probe("batches", tmp_path / "raw.bin", "u16", "numpy", seed, skip, batch, length, batches)
    got = np.frombuffer(out, np.int32).reshape(batches, batch, length + 1)
    want = reference_batches(tokens, seed, batch, length)
    for _ in range(skip):
        next(want)
    for i in range(batches):
        np.testing.assert_array_equal(got[i], next(want), err_msg=f"batch {i}")


def test_at_the_size_of_the_reference_run(data_probe, tmp_path):
    """N, T, B, seed and skip of the reference run, over more than one epoch of batches."""
    count, length, batch, skip = 41_949_954, 8192, 16, 6
    tokens = (np.arange(count, dtype=np.uint64) * 2654435761 >> 16).astype(np.uint16)
    tokens.tofile(tmp_path / "raw.bin")
    batches = 330
    out = data_probe("batches", tmp_path / "raw.bin", "u16", "numpy", 1, skip, batch, length, batches)
    got = np.frombuffer(out, np.int32).reshape(batches, batch, length + 1)
    want = reference_batches(tokens, 1, batch, length)
    for i in range(-skip, batches):
        expected = next(want)
        if i >= 0:
            np.testing.assert_array_equal(got[i], expected, err_msg=f"batch {i}")
