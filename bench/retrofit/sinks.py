"""What a sliding window costs a model that was trained with full attention, and what keeping its first tokens gives back.

    python sinks.py MODEL TEXT [--tokens 4096]

MODEL: a folder of `ingrain import --store fp32` (SmolLM2); TEXT: a file. Needs torch, safetensors and tokenizers. Prints JSON lines:
mean loss in nats by position. A plain forward pass, independent of ingrain's own code.

A "sink" is what a softmax attends to when it wants nothing: models trained with full attention use the first token for it.
    none          query i sees keys i - w + 1 .. i
    absolute n    and the first n keys, where they stood
    constant      and, once the first key has left the window, that first key (the beginning-of-text token's, which depends on
                  nothing) at a fixed distance of w: what a model can keep as a constant of its own
    constant, 0   the same at distance 0
"""
import argparse
import json
import math
import time

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("text")
parser.add_argument("--tokens", type=int, default=4096)
parser.add_argument("--variants", nargs="*", default=["full", "none 1024", "absolute1 1024", "absolute4 1024", "constant 1024",
                                                      "constant0 1024", "constant 512", "constant 256", "constant 2048"])
parser.add_argument("--full-layers", default="", help="comma separated: these keep full attention")
args = parser.parse_args()
torch.set_grad_enabled(False)

c = json.load(open(args.model + "/config.json"))
w = load_file(args.model + "/model.safetensors")
w = {k: v.float() for k, v in w.items()}
L, D, H, G, d = (c[k] for k in ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim"))
full_layers = {int(x) for x in args.full_layers.split(",") if x}
ids = Tokenizer.from_file(args.model + "/tokenizer.json").encode(open(args.text).read()[: 16 * args.tokens],
                                                                 add_special_tokens=False).ids
ids = torch.tensor(([c["bos_token_id"]] + ids)[: args.tokens])
T = len(ids)
frequency = c["rope_theta"] ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)


def angles(position):
    a = position.double()[:, None] * frequency
    return a.cos().float()[:, None], a.sin().float()[:, None]


def rotate(x, position):  # [T, heads, d]
    cos, sin = angles(position)
    if c["rope_interleaved"]:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)
    a, b = x[..., : d // 2], x[..., d // 2:]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


def norm(x, name):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + c["rms_norm_eps"]) * w[name]


def attention(q, k, v, kind, window, plain_k):
    """q: [T, H, d], rotated; k, v: [T, G, d]; plain_k: not rotated."""
    out = torch.empty(T, H, d)
    keep = int(kind[8:]) if kind.startswith("absolute") else 0
    constant = kind.startswith("constant")
    for begin in range(0, T, 512):
        end = min(begin + 512, T)
        first = 0 if kind == "full" else max(0, begin - window + 1)
        seen = torch.arange(first, end)
        if keep and first > 0:
            seen = torch.cat((torch.arange(min(keep, first)), seen))
        i, j = torch.arange(begin, end)[:, None], seen[None, :]
        visible = j <= i
        if kind != "full":
            visible &= (j > i - window) | (j < keep)
        qs = q[begin:end].view(-1, G, H // G, d)
        s = torch.einsum("tghd,jgd->ghtj", qs, k[seen]) / math.sqrt(d)
        s = s.masked_fill(~visible, -math.inf)
        vs = v[seen]
        if constant and end > window:
            # The first key, as far back from every query as the window is wide (or not at all).
            at = torch.arange(begin, end) - (0 if kind == "constant0" else window)
            key = rotate(plain_k[:1].expand(end - begin, G, d), at)
            own = torch.einsum("tghd,tgd->ght", qs, key) / math.sqrt(d)
            own = own.masked_fill(torch.arange(begin, end) < window, -math.inf)
            s = torch.cat((own[..., None], s), -1)
            vs = torch.cat((v[:1], vs))
        out[begin:end] = torch.einsum("ghtj,jgd->tghd", s.softmax(-1), vs).reshape(-1, H, d)
    return out


def losses(kind, window):
    position = torch.arange(T)
    h = w["model.embed_tokens.weight"][ids]
    for layer in range(L):
        p = f"model.layers.{layer}."
        x = norm(h, p + "input_layernorm.weight")
        q, k, v = (x @ w[p + f"self_attn.{m}_proj.weight"].T for m in "qkv")
        q, plain_k, v = q.view(T, H, d), k.view(T, G, d), v.view(T, G, d)
        o = attention(rotate(q, position), rotate(plain_k, position), v, "full" if layer in full_layers else kind, window, plain_k)
        h = h + o.flatten(1) @ w[p + "self_attn.o_proj.weight"].T
        x = norm(h, p + "post_attention_layernorm.weight")
        m = torch.nn.functional.silu(x @ w[p + "mlp.gate_proj.weight"].T) * (x @ w[p + "mlp.up_proj.weight"].T)
        h = h + m @ w[p + "mlp.down_proj.weight"].T
    h = norm(h, "model.norm.weight")
    out = torch.empty(T - 1)
    for begin in range(0, T - 1, 512):
        end = min(begin + 512, T - 1)
        logits = h[begin:end] @ w["model.embed_tokens.weight"].T
        out[begin:end] = torch.nn.functional.cross_entropy(logits, ids[begin + 1: end + 1], reduction="none")
    return out


for variant in args.variants:
    kind, _, window = variant.partition(" ")
    began = time.time()
    nll = losses(kind, int(window or 0))
    bins, at = {}, 256
    edges = [0, 256]
    while edges[-1] < T:
        edges.append(edges[-1] * 2)
    for a, b in zip(edges, edges[1:]):  # the loss of the token at position p stands at p - 1
        part = nll[max(a - 1, 0): b - 1]
        if len(part):
            bins[f"{a}-{b}"] = round(part.mean().item(), 4)
    print(json.dumps({"text": args.text.split("/")[-1], "variant": variant, "full_layers": sorted(full_layers), **bins,
                      "seconds": round(time.time() - began, 1)}), flush=True)
