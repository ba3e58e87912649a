"""The model of a folder in plain PyTorch, as one would write it first: reading with and without learning, with windowed
or full attention. Only for comparison; fp32 on the CPU."""
import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.nn.functional import scaled_dot_product_attention as sdpa


class Reader:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.c = json.loads((folder / "config.json").read_text())
        self.w = {name: x.float() for name, x in load_file(folder / "model.safetensors").items()}
        if self.c["learned_inner_rates"] or self.c["attention_bias"] or self.c["rope_scaling"]:
            raise SystemExit(f"{folder}: this comparison knows models like reader-17m only")
        self.layers, self.suffix = self.c["num_hidden_layers"], self.c["suffix_len"]
        self.window, self.chunk = self.c["sliding_window"], self.c["chunk_size"]

    def get(self, layer, name):
        return self.w[f"model.layers.{layer}.{name}.weight"]

    def norm(self, x, weight):
        return F.rms_norm(x, weight.shape, weight, self.c["rms_norm_eps"])

    def place(self, first, count, past, full=False):
        """What a pass over `count` positions from `first` on knows of where it is: RoPE's cosines and sines (angles in fp64),
        and which keys each query sees; None: all before it. past: the first block's keys and values of before."""
        d = self.c["head_dim"]
        steps = self.c["rope_theta"] ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
        angles = (torch.arange(first, first + count, dtype=torch.float64)[:, None] * steps)[:, None]
        before = 0 if past is None else len(past[0])
        i, j = torch.arange(before, before + count)[:, None], torch.arange(before + count)
        return angles.cos().float(), angles.sin().float(), None if full else (j <= i) & (j > i - self.window)

    def rope(self, x, cos, sin):
        """x: [T, H, d]; interleaved pairs or halves."""
        if self.c["rope_interleaved"]:
            a, b = x[..., ::2], x[..., 1::2]
            return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def attention(self, h, layer, place, past):
        """The attention step on [T, D]; past: (k, v) of the positions before. Returns h and the keys and values to carry."""
        T, d = h.shape[0], self.c["head_dim"]
        cos, sin, seen = place
        x = self.norm(h, self.get(layer, "input_layernorm"))
        q, k, v = (F.linear(x, self.get(layer, f"self_attn.{n}_proj")).view(T, -1, d) for n in "qkv")
        if self.c["qk_norm"]:
            q, k = self.norm(q, self.get(layer, "self_attn.q_norm")), self.norm(k, self.get(layer, "self_attn.k_norm"))
        q, k = self.rope(q, cos, sin), self.rope(k, cos, sin)
        if past is not None:
            k, v = torch.cat([past[0], k]), torch.cat([past[1], v])
        heads = [x.transpose(0, 1)[None] for x in (q, k, v)]
        grouped = self.c["num_key_value_heads"] != self.c["num_attention_heads"]
        o = sdpa(*heads, attn_mask=seen, is_causal=seen is None, enable_gqa=grouped)
        y = F.linear(o[0].transpose(0, 1).flatten(1), self.get(layer, "self_attn.o_proj"))
        if self.c["post_norm"]:
            y = self.norm(y, self.get(layer, "self_attn_post_norm"))
        return h + y, tuple(self.carried(x[1 - self.window :]) for x in (k, v))

    def carried(self, x):
        """Keys and values that later chunks see: constants to an inner step, which is all that reading differentiates."""
        return x.detach()

    def mlp(self, h, layer, kind, weights, post):
        x = self.norm(h, self.get(layer, kind))
        y = F.linear(F.silu(F.linear(x, weights[0])) * F.linear(x, weights[1]), weights[2])
        return h + (self.norm(y, self.get(layer, post)) if post else y)

    def slow(self, h, layer):
        w = [self.get(layer, f"mlp.{n}_proj") for n in ("gate", "up", "down")]
        return self.mlp(h, layer, "post_attention_layernorm", w, "mlp_post_norm" if self.c["post_norm"] else None)

    def first_fast(self):
        return [self.get(i, f"fast_mlp.{n}_proj").clone() for i in range(self.layers - self.suffix, self.layers)
                for n in ("gate", "up", "down")]

    def score(self, h, targets):
        head = self.w["model.embed_tokens.weight"] if self.c["tie_word_embeddings"] else self.w["lm_head.weight"]
        return F.cross_entropy(F.linear(self.norm(h, self.w["model.norm.weight"]), head), targets, reduction="none")

    def prefix_pass(self, tokens, place, past):
        """Embedding and prefix blocks on [T] tokens; past: of every prefix block. Returns h and what each block carries on."""
        h, carried = F.embedding(tokens, self.w["model.embed_tokens.weight"]), []
        for i in range(self.layers - self.suffix):
            h, kv = self.attention(h, i, place, past[i])
            carried.append(kv)
            h = self.slow(h, i)
        return h, carried

    def suffix_pass(self, h, fast, place, past):
        """The suffix on [T, D]; past: of every suffix block. Returns h and what each block carries on."""
        carried, start = [], self.layers - self.suffix
        for s in range(self.suffix):
            h, kv = self.attention(h, start + s, place, past[s])
            carried.append(kv)
            h = self.mlp(h, start + s, "fast_mlp_norm", fast[3 * s : 3 * s + 3],
                         "fast_mlp_post_norm" if self.c["fast_post_norm"] else None)
            h = self.slow(h, start + s)
        return h, carried

    def read(self, tokens, learn=True, full=False):
        """-log p of tokens 1 .. n-1 (n - 1 a multiple of the chunk), each scored before it is learnt from."""
        inputs, targets = tokens[:-1], tokens[1:]
        segment = len(inputs) if full else 1024
        fast, nll = self.first_fast(), []
        past, past_suffix = [None] * (self.layers - self.suffix), [None] * self.suffix
        for first in range(0, len(inputs), segment):
            part = inputs[first : first + segment]
            with torch.no_grad():
                h, past = self.prefix_pass(part, self.place(first, len(part), past[0], full), past)
            chunk = self.chunk if learn else len(h)
            for begin in range(0, len(h), chunk):
                at = first + begin
                place = self.place(at, chunk, past_suffix[0], full)
                losses, past_suffix, fast = self.read_chunk(h[begin : begin + chunk], targets[at : at + chunk], fast, place, past_suffix, learn)
                nll.append(losses)
        return torch.cat(nll)

    def read_chunk(self, h, targets, fast, place, past, learn):
        """Scores a chunk, then makes the inner step. Returns the scores, what the blocks carry on, and the fast weights."""
        fast = [w.detach().requires_grad_(learn) for w in fast]
        with torch.set_grad_enabled(learn):
            out, past = self.suffix_pass(h, fast, place, past)
            losses = self.score(out, targets)
        if not learn:
            return losses, past, fast
        g = torch.autograd.grad(losses.mean(), fast)
        return losses.detach(), past, self.inner_step(fast, g)

    def inner_step(self, fast, g):
        norm = torch.stack([x.norm() for x in g]).norm()
        rate = self.c["inner_lr"] * (self.c["inner_clip"] / norm).clamp(max=1)
        return [w - rate * x for w, x in zip(fast, g)]
