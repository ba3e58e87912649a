"""Our safetensors files against PyPI's `safetensors`, in both directions."""
import json
import struct

import numpy as np
import pytest

safetensors = pytest.importorskip("safetensors")
from safetensors.numpy import load_file, save_file  # noqa: E402

TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8", "?"]


def random_tensors(seed, count=40):
    rng = np.random.default_rng(seed)
    out = {}
    for i in range(count):
        shape = tuple(rng.integers(0, 5, size=rng.integers(0, 4)))
        dtype = np.dtype(TYPES[rng.integers(len(TYPES))])
        elements = int(np.prod(shape, dtype=np.int64))
        values = rng.integers(0, 2, elements) if dtype == bool else rng.integers(0, 100, elements)
        out[f"layer.{i}.\u00e9 \"w\""] = values.astype(dtype).reshape(shape)
    return out


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_of_their_file_is_readable_by_them_and_equal(data_probe, tmp_path, seed):
    tensors = random_tensors(seed)
    metadata = {"format": "pt", "text": "line\nline \u4e2d \"quoted\""}
    save_file(tensors, tmp_path / "theirs.safetensors", metadata=metadata)
    data_probe("safetensors-copy", tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors")
    ours = load_file(tmp_path / "ours.safetensors")
    assert ours.keys() == tensors.keys()
    for name, value in tensors.items():
        assert ours[name].dtype == value.dtype and ours[name].shape == value.shape, name
        assert ours[name].tobytes() == value.tobytes(), name
    with safetensors.safe_open(tmp_path / "ours.safetensors", "np") as file:
        assert file.metadata() == metadata


def test_half_precision_types_keep_their_bits(data_probe, tmp_path):
    bits = np.arange(24, dtype=np.uint16)
    for dtype, size in [("bfloat16", 2), ("float16", 2), ("float8_e4m3fn", 1), ("float8_e5m2", 1)]:
        data = bits.tobytes()
        spec = safetensors.TensorSpec(dtype=dtype, shape=[len(data) // size], data_ptr=bits.ctypes.data, data_len=len(data))
        theirs = safetensors.serialize({"x": spec})
        (tmp_path / "in.safetensors").write_bytes(theirs)
        data_probe("safetensors-copy", tmp_path / "in.safetensors", tmp_path / "out.safetensors")
        [(name, tensor)] = safetensors.deserialize((tmp_path / "out.safetensors").read_bytes())
        original = safetensors.deserialize(theirs)[0][1]
        assert bytes(tensor["data"]) == data and tensor["dtype"] == original["dtype"]


def test_data_begins_at_a_multiple_of_64(data_probe, tmp_path):
    save_file(random_tensors(9), tmp_path / "in.safetensors")
    data_probe("safetensors-copy", tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    (length,) = struct.unpack("<Q", (tmp_path / "out.safetensors").read_bytes()[:8])
    assert (8 + length) % 64 == 0


def test_shards_by_index_are_one_model(data_probe, tmp_path):
    tensors = random_tensors(3)
    names = sorted(tensors)
    parts = {"a.safetensors": names[:20], "b.safetensors": names[20:]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, tmp_path / file)
    weight_map = {name: file for file, part in parts.items() for name in part}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    data_probe("safetensors-copy", tmp_path, tmp_path / "out.safetensors")
    assert load_file(tmp_path / "out.safetensors").keys() == tensors.keys()


HEADERS = [
    '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
    '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}      ',
    '{"a":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}',
    '{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}',
    '{"a":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}',
    '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}',
    '{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}',
    '{"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}}',
    '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}}',
    '{"a":{"dtype":"X8","shape":[4],"data_offsets":[0,4]}}',
    '{"__metadata__":{"k":1},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
    '{"a":{"dtype":"U8","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}',
    '[]',
]


@pytest.mark.parametrize("header", HEADERS)
def test_both_accept_and_refuse_the_same_headers(data_probe, tmp_path, header):
    raw = struct.pack("<Q", len(header)) + header.encode() + b"\0" * 4
    (tmp_path / "x.safetensors").write_bytes(raw)
    try:
        safetensors.deserialize(raw)
        theirs = True
    except safetensors.SafetensorError:
        theirs = False
    try:
        data_probe("safetensors-copy", tmp_path / "x.safetensors", tmp_path / "out.safetensors")
        ours = True
    except RuntimeError as error:
        ours = False
        assert "x.safetensors" in str(error)
    assert ours == theirs
