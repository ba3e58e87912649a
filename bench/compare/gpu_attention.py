"""What a transformer with full attention costs on a GPU in plain PyTorch, to set beside `ingrain bench read` and `decode`.

    python3 bench/compare/gpu_attention.py [--prefill 32768,131072] [--decode 8192,131072] [--compile]

The default shape is the preset 3b with the fast MLPs' parameters in the ordinary ones: 32 blocks, width 2560, 32 heads, MLPs
of 5632 x 40 / 32 = 7040, tied embeddings of 128,256 tokens; bf16, random weights, one sequence. One block is timed and counted
for all (its weights and its cache are larger than any L2), then the head: for the last position only, as a prefill needs, and
for every position, as scoring a text needs. Every kind of attention that PyTorch has for the GPU is timed; before a prefill each
must give the same output as its formula in fp32. A written token reads a cache of all positions; its block is one CUDA graph.
"""
import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {"cuDNN": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION,
            "efficient": SDPBackend.EFFICIENT_ATTENTION, "math": SDPBackend.MATH}
HEAD_ROWS = 4096  # positions whose logits are made at a time


class Block(torch.nn.Module):
    """A pre-norm block with SwiGLU and RoPE on one sequence [T, D]."""

    def __init__(self, width, heads, mlp):
        super().__init__()
        self.heads, self.d = heads, width // heads
        self.norms = torch.nn.ParameterList(torch.ones(width) for _ in range(2))
        self.qkv, self.out = (torch.nn.Linear(width, n, bias=False) for n in (3 * width, width))
        self.gate_up, self.down = torch.nn.Linear(width, 2 * mlp, bias=False), torch.nn.Linear(mlp, width, bias=False)

    def heads_of(self, x_TD, cos, sin):
        q, k, v = self.qkv(F.rms_norm(x_TD, x_TD.shape[-1:], self.norms[0])).view(len(x_TD), 3, self.heads, self.d).permute(1, 2, 0, 3)
        return self.turn(q, cos, sin), self.turn(k, cos, sin), v  # [H, T, d]

    @staticmethod
    def turn(x, cos, sin):
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def after_attention(self, x_TD, o_HTd):
        h = x_TD + self.out(o_HTd.transpose(0, 1).flatten(1))
        gate, up = self.gate_up(F.rms_norm(h, h.shape[-1:], self.norms[1])).chunk(2, -1)
        return h + self.down(F.silu(gate) * up)

    def forward(self, x_TD, cos, sin):
        q, k, v = self.heads_of(x_TD, cos, sin)
        return self.after_attention(x_TD, F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0])

    def write(self, x_1D, cos, sin, cache_2HTd, position):
        q, k, v = self.heads_of(x_1D, cos, sin)
        cache_2HTd[0].index_copy_(1, position, k)
        cache_2HTd[1].index_copy_(1, position, v)
        return self.after_attention(x_1D, F.scaled_dot_product_attention(q[None], cache_2HTd[:1], cache_2HTd[1:])[0])


class Clock:
    """Median seconds of a call on the device."""

    def __init__(self, device, runs):
        self.cuda, self.runs = device == "cuda", runs

    def __call__(self, run):
        run(), run()  # warm up
        return statistics.median(self.once(run) for _ in range(self.runs))

    def once(self, run):
        if not self.cuda:
            start = time.perf_counter()
            run()
            return time.perf_counter() - start
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3


def rotations(first, count, d, o):
    angles = torch.arange(first, first + count, dtype=torch.float64)[:, None] * 500000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    return angles.cos().to(o.device, torch.bfloat16), angles.sin().to(o.device, torch.bfloat16)


def replayed(run, device):
    """The same work as one CUDA graph; on the CPU the work itself."""
    if device != "cuda":
        return run
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run(), run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def same_as_in_fp32(block, o):
    """Stops where the chosen attention computes something else; raises what PyTorch raises where it cannot run."""
    x, turns = torch.randn(256, o.hidden, device=o.device, dtype=torch.bfloat16), rotations(0, 256, block.d, o)
    q, k, v = block.heads_of(x, *turns)
    got = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True).float()
    with sdpa_kernel(SDPBackend.MATH):
        want = F.scaled_dot_product_attention(*(y[None].float() for y in (q, k, v)), is_causal=True)
    error = ((got - want).norm() / want.norm()).item()
    if not error < 1e-2:
        raise SystemExit(f"another result than the formula's (relative error {error:.1e}); no times")


def reading_row(name, T, block_s, head_s, all_heads_s, o):
    multiply_adds = T * (4 * o.hidden**2 + 3 * o.hidden * o.mlp) + T * (T + 1) * o.hidden
    last, every = o.layers * block_s + head_s, o.layers * block_s + all_heads_s
    print(f"prefill {T:7} {name:20} {1e3 * block_s:9.2f} ms a block ({2e-12 * multiply_adds / block_s:6.1f} TFLOP/s)  "
          f"{T / last:9.0f} tokens/s, {T / every:9.0f} with every position's head", flush=True)


def attempt(label, run):
    """A kind of attention that this PyTorch or GPU lacks is said, not fatal."""
    try:
        run()
    except (RuntimeError, torch.OutOfMemoryError) as e:
        print(f"{label}: {type(e).__name__}: {str(e).splitlines()[0][:150] if str(e) else ''}", flush=True)


def prefill(block, head, T, o, clock):
    x, turns = torch.randn(T, o.hidden, device=o.device, dtype=torch.bfloat16), rotations(0, T, block.d, o)
    head_s = clock(lambda: x[-1:] @ head.t())

    def all_heads():
        for i in range(0, T, HEAD_ROWS):
            x[i : i + HEAD_ROWS] @ head.t()  # dropped at once

    all_heads_s = clock(all_heads)
    for name, backend in BACKENDS.items():
        if name == "math" and T > 4096:
            continue  # T x T scores in memory

        def measure(run, name=name, backend=backend):
            with sdpa_kernel(backend):
                same_as_in_fp32(block, o)
                reading_row(name, T, clock(lambda: run(x, *turns)), head_s, all_heads_s, o)

        attempt(f"prefill {T:7} {name:20}", lambda measure=measure: measure(block))
        if o.compile and name != "math":
            torch._dynamo.reset()
            attempt(f"prefill {T:7} {name} compiled", lambda measure=measure, name=name: measure(torch.compile(block), name + " compiled"))


def decode(block, head, T, o, clock):
    x = torch.randn(1, o.hidden, device=o.device, dtype=torch.bfloat16)
    cache = torch.randn(2, o.heads, T, block.d, device=o.device, dtype=torch.bfloat16)
    turns, position = rotations(T - 1, 1, block.d, o), torch.tensor([T - 1], device=o.device)
    head_s = clock(replayed(lambda: x @ head.t(), o.device))
    size = 2 * (cache.numel() + sum(w.numel() for w in block.parameters()))  # bytes of bf16
    for name, backend in BACKENDS.items():

        def measure(name=name, backend=backend):
            with sdpa_kernel(backend):
                block_s = clock(replayed(lambda: block.write(x, *turns, cache, position), o.device))
            print(f"decode  {T:7} {name:20} {1e3 * block_s:9.3f} ms a block ({1e-9 * size / block_s:6.0f} GB/s)  "
                  f"{1e3 * (o.layers * block_s + head_s):9.3f} ms a token, {1 / (o.layers * block_s + head_s):9.1f} tokens/s", flush=True)

        attempt(f"decode  {T:7} {name:20}", measure)


def lengths(text):
    return [int(x) for x in text.split(",") if x]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    for name, value in {"layers": 32, "hidden": 2560, "heads": 32, "mlp": 7040, "vocab": 128256, "runs": 5}.items():
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--prefill", type=lengths, default=[32768, 131072], help="lengths, separated by commas")
    p.add_argument("--decode", type=lengths, default=[8192, 131072])
    p.add_argument("--compile", action="store_true", help="prefill with torch.compile too (compiles for a minute a row)")
    o = p.parse_args()
    if o.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("this PyTorch sees no GPU; --device cpu tries the script at a tiny shape")
    name = torch.cuda.get_device_name() if o.device == "cuda" else "CPU"
    print(f"full attention in PyTorch {torch.__version__} on {name}: {o.layers} blocks of width {o.hidden}, {o.heads} heads, MLP {o.mlp}, "
          f"vocabulary {o.vocab}; bf16; one block timed, times {o.layers}; median of {o.runs}", flush=True)
    torch.manual_seed(0)
    with torch.inference_mode():
        block = Block(o.hidden, o.heads, o.mlp).to(o.device, torch.bfloat16)
        head = torch.randn(o.vocab, o.hidden, device=o.device, dtype=torch.bfloat16) * 0.02
        clock = Clock(o.device, o.runs)
        for T in o.prefill:
            prefill(block, head, T, o, clock)
        for T in o.decode:
            decode(block, head, T, o, clock)


if __name__ == "__main__":
    main()
