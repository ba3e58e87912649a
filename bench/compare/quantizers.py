"""What each type of `ingrain quantize` costs in loss, beside llama.cpp's own rounding of the same tensors to the same types.

    python bench/compare/quantizers.py MODEL [--types q8_0 q4_k_m ...] [--bytes 61440] [--context 2048]

MODEL is a model in F32 or 16 bits (or quantized: then that is what is compared with). Every type is written by `ingrain quantize`; a copy
gets each quantized tensor from ggml_quantize_chunk() of PyPI's xllamacpp instead, without an importance matrix. Both are read by
ingrain in fp32, chunk by chunk from an empty context, without learning. Two figures of all tokens of the chunks but their first: the
mean of what a token's loss gains, with its standard error, and the root of the mean square, which says more, as what rounding
makes better and worse does not cancel in it. Needs PyPI's gguf, numpy and xllamacpp.
"""
import argparse
import ctypes
import json
import pathlib
import shutil
import subprocess
import tempfile

import gguf
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = ["q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0", "iq4_xs", "iq4_nl", "q3_k_m", "q2_k"]


def llama_cpp():
    import xllamacpp

    lib = ctypes.CDLL(str(next(pathlib.Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                        ctypes.c_int64, ctypes.c_void_p]
    return lib


def replace_tensors(lib, source, file):
    """`file`'s quantized tensors anew, from `source`'s numbers."""
    kinds = gguf.GGMLQuantizationType
    originals = {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}
    places = [(t.name, t.tensor_type, t.data_offset, t.n_bytes) for t in gguf.GGUFReader(file).tensors]
    with open(file, "r+b") as out:
        for name, kind, offset, size in places:
            if kind in (kinds.F32, kinds.F16, kinds.BF16):
                continue
            tensor = originals[name]
            x = numpy.ascontiguousarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), numpy.float32)
            rows, row = x.size // int(tensor.shape[0]), int(tensor.shape[0])
            made = numpy.zeros(size, numpy.uint8)
            lib.ggml_quantize_chunk(int(kind), x.ctypes.data, made.ctypes.data, 0, rows, row, None)
            out.seek(offset)
            out.write(made.tobytes())


def run(o, *words):
    return subprocess.run([o.ingrain, *words], check=True, stdout=subprocess.PIPE).stdout


def loss(o, model, chunks, folder):
    out = []
    for chunk in chunks:
        chunk.astype(numpy.uint32).tofile(folder / "tokens.bin")
        told = run(o, "eval", model, "--tokens", folder / "tokens.bin", "--token-type", "u32", "--dtype", "fp32", "--learning", "off",
                   "--json", "--per-token")
        out += json.loads(told)["learning_off"]["nll"][1:]
    return numpy.array(out)


def apart(nll, exact):
    off = nll - exact
    return f"{off.mean():+.5f} +- {off.std() / len(off) ** 0.5:.5f} | {numpy.mean(off**2) ** 0.5:.5f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--ingrain", type=pathlib.Path, default=ROOT / "build/release/src/cli/ingrain")
    parser.add_argument("--types", nargs="+", default=TYPES)
    parser.add_argument("--text", type=pathlib.Path, default=ROOT / "examples/data/emma.txt")
    parser.add_argument("--bytes", type=int, default=60 * 1024)
    parser.add_argument("--context", type=int, default=2048)
    o = parser.parse_args()
    lib = llama_cpp()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        whole = folder / "whole.gguf"
        run(o, "quantize", o.model, "-o", whole, "--type", "f32")
        text = o.text.read_bytes()[: o.bytes].decode(errors="ignore")
        (folder / "text").write_text(text)
        made = subprocess.run([o.ingrain, "tokens", whole, "-", "--json"], check=True, input=text.encode(), stdout=subprocess.PIPE)
        ids = numpy.array([token["id"] for token in json.loads(made.stdout)])
        chunks = [ids[at : at + o.context] for at in range(0, len(ids) - o.context + 1, o.context)]
        exact = loss(o, whole, chunks, folder)
        print(f"{o.model}: {len(ids)} tokens, {len(chunks)} chunks of {o.context}\n")
        print("| type | file | bits a weight | ingrain: loss above fp32 | a token apart | llama.cpp's rounding | a token apart |\n"
              "| --- | --- | --- | --- | --- | --- | --- |")
        print(f"| f32 | {whole.stat().st_size / 1e6:.1f} MB | 32 | {exact.mean():.5f} (the loss itself) | | | |", flush=True)
        weights = sum(int(numpy.prod(t.shape)) for t in gguf.GGUFReader(whole).tensors)
        for kind in o.types:
            ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
            run(o, "quantize", o.model, "-o", ours, "--type", kind, "--force")
            shutil.copy(ours, theirs)
            replace_tensors(lib, whole, theirs)
            size = ours.stat().st_size
            print(f"| {kind} | {size / 1e6:.1f} MB | {8 * size / weights:.2f} | {apart(loss(o, ours, chunks, folder), exact)} | "
                  f"{apart(loss(o, theirs, chunks, folder), exact)} |", flush=True)


if __name__ == "__main__":
    main()
