"""Flattens a step that Orbax wrote: orbax.py STEP_FOLDER TARGET_FOLDER.

model_weights becomes TARGET/params.safetensors (pytree paths joined by '.'); opt_state, if the step has one,
TARGET/optimizer.safetensors with Adam's moments as mu.PATH and nu.PATH and the number of updates as count.
Values are copied bit for bit.
"""

import ast
import json
import os
import pathlib
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64", "int32": "I32", "int64": "I64"}
MAX_METADATA_BYTES = 64 << 20


def import_tensorstore():
    try:
        import tensorstore
    except ModuleNotFoundError:
        if sys.prefix == sys.base_prefix:
            raise SystemExit(
                "orbax.py: tensorstore is missing; run './ingrain setup' first, or: "
                f"{sys.executable} -m pip install -r {REQUIREMENTS}"
            )
        print("orbax.py: installing tensorstore (about 20 MB), once", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)], check=True)
        import tensorstore
    return tensorstore


def array_paths(item: pathlib.Path) -> tuple[list[tuple[str, ...]], str]:
    """Paths of the arrays in one item of the step, and the driver that reads them."""
    metadata = item / "_METADATA"
    if metadata.stat().st_size > MAX_METADATA_BYTES:
        raise SystemExit(f"{metadata}: too large")
    tree = json.loads(metadata.read_text())
    paths = []
    for key, node in tree["tree_metadata"].items():
        if node["value_metadata"]["value_type"] != "None":
            paths.append(ast.literal_eval(key))
    return paths, "zarr3" if tree.get("use_zarr3") else "zarr"


def read_item(item: pathlib.Path) -> dict:
    """All arrays of one item by path."""
    tensorstore = import_tensorstore()
    paths, driver = array_paths(item)
    base = {"driver": "ocdbt", "base": f"file://{item.resolve()}/"}
    opened = {
        path: tensorstore.open({"driver": driver, "kvstore": {**base, "path": ".".join(path)}}, open=True)
        for path in paths
    }
    return {path: array.result().read().result() for path, array in opened.items()}


def write_safetensors(path: pathlib.Path, arrays: dict) -> None:
    """Written beside and renamed, so that a file of this name is whole."""
    header, offset = {}, 0
    for name in sorted(arrays):
        array = arrays[name]
        header[name] = {
            "dtype": DTYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    temporary = path.with_suffix(".partial")
    with open(temporary, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(arrays):
            out.write(arrays[name].tobytes())
    os.replace(temporary, path)


def adam_state(arrays: dict) -> dict:
    """mu, nu and count, wherever optax's chain of transformations holds them."""
    out = {}
    for path, array in arrays.items():
        for name in ("mu", "nu"):
            if name in path:
                out[".".join(path[path.index(name):])] = array
        if path[-1] == "count":
            out.setdefault("count", array)
    return out


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    step, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if not (step / "model_weights" / "_METADATA").is_file():
        raise SystemExit(f"{step}: no step of Orbax: model_weights/_METADATA is missing")
    target.mkdir(parents=True, exist_ok=True)
    weights = read_item(step / "model_weights")
    write_safetensors(target / "params.safetensors", {".".join(path): array for path, array in weights.items()})
    if (step / "opt_state" / "_METADATA").is_file():
        write_safetensors(target / "optimizer.safetensors", adam_state(read_item(step / "opt_state")))


if __name__ == "__main__":
    main()
