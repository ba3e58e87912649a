"""A meta-training step: ours (tangents) against reverse over reverse in plain PyTorch, alternating, medians.

    python bench/compare/meta.py PROGRAM MODEL [--length N] [--runs R] [--threads T]

MODEL: a model folder or a shape (bench/shapes/hidden-256.json: random weights). PyTorch differentiates through every inner
step with create_graph; its suffix uses the formula of attention, as the fused one has no second derivative, its prefix the
fused one. One sequence of random tokens, fp32, the gradient of every parameter, no optimizer. The script first lets both
compute the same batch and stops where the losses or the gradient's norms differ.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import tempfile
import time

import numpy
import torch
from reader import Reader
from table import print_table
from torch.nn.attention import SDPBackend, sdpa_kernel


class MetaReader(Reader):
    """Reading that stays differentiable from end to end."""

    def carried(self, x):
        return x

    def step(self, tokens):
        """The outer loss (mean over chunks, each scored before it is learnt from) and its gradient for all parameters."""
        parameters = [w.requires_grad_() for w in self.w.values()]
        inputs, targets = tokens[:-1], tokens[1:]
        past, past_suffix, segments = [None] * (self.layers - self.suffix), [None] * self.suffix, []
        for first in range(0, len(inputs), 1024):
            part = inputs[first : first + 1024]
            h, past = self.prefix_pass(part, self.place(first, len(part), past[0]), past)
            segments.append(h)
        h, fast, losses = torch.cat(segments), self.first_fast(), []
        for at in range(0, len(h), self.chunk):
            with sdpa_kernel(SDPBackend.MATH):
                place = self.place(at, self.chunk, past_suffix[0])
                out, past_suffix = self.suffix_pass(h[at : at + self.chunk], fast, place, past_suffix)
            losses.append(self.score(out, targets[at : at + self.chunk]).mean())
            if at + self.chunk < len(h):
                fast = self.inner_step(fast, torch.autograd.grad(losses[-1], fast, create_graph=True))
        loss = torch.stack(losses).mean()
        return loss.item(), torch.autograd.grad(loss, parameters)


def model_settings(path):
    """[model] of run.toml: a folder, or every field of a shape."""
    if path.is_dir():
        return f"folder = {json.dumps(str(path))}\n"
    fields = {k: v for k, v in json.loads(path.read_text()).items() if k != "model_type" and v is not None}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())


def first_step(program, model, config, length, folder):
    """One step of `ingrain train`, whose rate is 0 so that no weight moves. Returns its log entry and the tokens it saw."""
    tokens = numpy.random.default_rng(7).integers(2, config["vocab_size"], 2 * length + 1, dtype=numpy.uint32)
    tokens.tofile(folder / "tokens")
    (folder / "run.toml").write_text(f"""
[model]
{model_settings(model)}
[data]
train = "tokens"
raw_type = "u32"
sequence_length = {length}
order = "numpy"
[train]
mode = "meta"
steps = 1
warmup = 1
ilr_warmup = 1
dtype = "fp32"
device = "cpu"
[checkpoint]
folder = "run"
""")
    done = subprocess.run([program, "train", folder / "run.toml"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    order = numpy.random.default_rng(1)  # data.order = "numpy", data.seed = 1: docs/data.md
    first = order.integers(0, length)
    first += order.permutation((2 * length - first) // length)[0] * length
    seen = torch.from_numpy(tokens[first : first + length + 1].astype(numpy.int64))
    return json.loads((folder / "run" / "log.jsonl").read_text().splitlines()[0]), seen


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("model", type=pathlib.Path)
    p.add_argument("--length", type=int, default=2048)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    model = o.model.resolve()
    config = json.loads(((model / "config.json") if model.is_dir() else model).read_text())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ours_said, tokens = first_step(o.program, model, config, o.length, folder)
        reader = MetaReader(folder / "run" / "model")
    loss, gradient = reader.step(tokens)
    norm = torch.stack([g.norm() for g in gradient]).norm().item()
    print(f"loss: ours {ours_said['loss']:.5f}, PyTorch {loss:.5f}; gradient's norm: ours {ours_said['gradient_norm']:.5f}, PyTorch {norm:.5f}")
    if abs(loss - ours_said["loss"]) > 1e-4 or abs(norm / ours_said["gradient_norm"] - 1) > 1e-3:
        raise SystemExit("the two do not compute the same; no times")

    command = [o.program, "bench", "train", model, "--mode", "meta", "--device", "cpu", "--dtype", "fp32", "--runs", "1",
               "--length", str(o.length), "--threads", str(o.threads), "--json"]
    seconds, peaks = {"ingrain": [], "PyTorch, create_graph": []}, {}
    for _ in range(o.runs):
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["figures"]
        value = {f["name"]: f["value"] for f in figures}
        seconds["ingrain"].append(o.length / value["meta: tokens"])
        peaks["ingrain"] = next((v for name, v in value.items() if "peak memory" in name), float("nan"))
        start = time.perf_counter()
        reader.step(tokens)
        seconds["PyTorch, create_graph"].append(time.perf_counter() - start)
    peaks["PyTorch, create_graph"] = 1.024e-3 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print_table(o.length, o.threads, seconds, peaks)


if __name__ == "__main__":
    main()
