"""Forms of the retrofit that ingrain does not have, tried without training: a plain PyTorch model of reading, in which one is a few lines.

    python forms_torch.py MODEL OUT.csv --texts TEXT... [--tokens 4096] [--forms NAME...] [--list]

MODEL: a folder of `ingrain import --store fp32` (SmolLM2). Appends a row for every form and text to OUT.csv as it comes, and goes on where
it stopped; waits while the file --hold exists. fp32, one sequence, window 1,024 unless a form says otherwise. What ingrain itself
can do is checked against it: form `s6 w512 nosink` is `ingrain retrofit --suffix 6 --fast-mlp 512 --no-sink`.

A row: form, text, loss at 1,024-2,048, at 2,048-4,096 and so on, the difference to the same window and sink without learning at the
last two of these with a 95% interval (the standard error of the mean over 64-token pieces of the paired differences), seconds.
"""
import argparse
import csv
import json
import math
import os
import time
from pathlib import Path

from rows import append
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

# --- forms: what differs from the usual

USUAL = dict(suffix=6, width=512, chunk=256, rate=1.0, clip=1.0, window=1024, sink=True, optimizer="sgd", momentum=0.0, decay=0.0, steps=1,
             w13=1.0, w2=1.0, own=False, by_layer=False, learn=True, full_layers=())
FORMS = {
    "off": dict(learn=False),
    "off nosink": dict(learn=False, sink=False),
    "s6 w512 nosink": dict(sink=False),
    "s6 w512": {},
    "s6 w1536": dict(width=1536),
    "s15 w512": dict(suffix=15),
    "s30 w512": dict(suffix=30),
    "s30 w512 rate 0.3": dict(suffix=30, rate=0.3),
    "s15 w512 rate 0.3": dict(suffix=15, rate=0.3),
    "s3 w1536": dict(suffix=3, width=1536),
    "s6 w1536 rate 3": dict(width=1536, rate=3.0),
    "s6 w1536 rate 0.3": dict(width=1536, rate=0.3),
    "s6 w1536 chunk 64": dict(width=1536, chunk=64),
    "s6 w1536 chunk 128": dict(width=1536, chunk=128),
    "s6 w1536 chunk 512": dict(width=1536, chunk=512),
    "s6 w1536 chunk 1024": dict(width=1536, chunk=1024),
    "s6 w1536 w2 only": dict(width=1536, w13=0.0),
    "s6 w1536 w13 x 10": dict(width=1536, w13=10.0),
    "s6 w1536 clip by layer": dict(width=1536, by_layer=True),
    "s30 w512 clip by layer rate 0.1": dict(suffix=30, by_layer=True, rate=0.1),
    "s6 own w2": dict(own=True),
    "s6 own w2 rate 0.3": dict(own=True, rate=0.3),
    "s15 own w2 rate 0.3": dict(own=True, suffix=15, rate=0.3),
    "s6 w1536 momentum 0.9 rate 0.3": dict(width=1536, momentum=0.9, rate=0.3),
    "s6 w1536 momentum 0.5": dict(width=1536, momentum=0.5),
    "s6 w1536 muon 0.02": dict(width=1536, optimizer="muon", rate=0.02),
    "s6 w1536 muon 0.1": dict(width=1536, optimizer="muon", rate=0.1),
    "s6 w1536 muon 0.02 momentum 0.9": dict(width=1536, optimizer="muon", rate=0.02, momentum=0.9),
    "s6 w1536 decay 0.02": dict(width=1536, decay=0.02),
    "s6 w1536 two steps": dict(width=1536, steps=2, rate=0.5),
    "s6 w1536 window 512": dict(width=1536, window=512),
    "off window 512": dict(learn=False, window=512),
    "s6 w1536 window 2048": dict(width=1536, window=2048),
    "off window 2048": dict(learn=False, window=2048),
    "off full in 14 and 29": dict(learn=False, full_layers=(14, 29)),
    "off full": dict(learn=False, full_layers=tuple(range(30))),
}

parser = argparse.ArgumentParser()
parser.add_argument("model", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--texts", nargs="*", type=Path, default=[])
parser.add_argument("--tokens", type=int, default=4096)
parser.add_argument("--forms", nargs="*", default=list(FORMS))
parser.add_argument("--hold", type=Path, default=Path("/nonexistent"))
parser.add_argument("--list", action="store_true")
args = parser.parse_args()
if args.list:
    raise SystemExit("\n".join(f"{name}: {what}" for name, what in FORMS.items()))

c = json.load(open(args.model / "config.json"))
w = {k: v.float() for k, v in load_file(args.model / "model.safetensors").items()}
L, D, H, G, d = (c[k] for k in ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim"))
tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
frequency = c["rope_theta"] ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)


def rotate(x, position):  # [T, heads, d], interleaved pairs
    a = position.double()[:, None] * frequency
    cos, sin = a.cos().float()[:, None], a.sin().float()[:, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + c["rms_norm_eps"]) * weight


def layer(i, name):
    return w[f"model.layers.{i}.{name}.weight"]


class Attention:
    """A layer's attention of one text's tokens in order, with its keys and values; a sink is the first key, always a window back."""

    def __init__(self, i, form):
        self.i, self.full = i, i in form["full_layers"]
        self.window, self.sink = form["window"], form["sink"] and not self.full
        self.k = self.v = None

    def __call__(self, h, first):
        T, x = len(h), norm(h, layer(self.i, "input_layernorm"))
        q, k, v = (x @ layer(self.i, f"self_attn.{m}_proj").T for m in "qkv")
        position = torch.arange(first, first + T)
        q, v, plain_k = rotate(q.view(T, H, d), position), v.view(T, G, d), k.view(T, G, d)
        k = rotate(plain_k, position)
        if first == 0:
            self.k0, self.v0 = plain_k[:1].detach(), v[:1].detach()
        k_all = k if self.k is None else torch.cat((self.k, k))
        v_all = v if self.v is None else torch.cat((self.v, v))
        older = len(k_all) - T
        self.k, self.v = k_all.detach(), v_all.detach()
        keys = self.window - (1 if self.sink else 0)
        if not self.full:
            self.k, self.v = self.k[-self.window:], self.v[-self.window:]
        out = []
        for begin in range(0, T, 512):
            end = min(begin + 512, T)
            low = 0 if self.full else max(0, older + begin - keys + 1)
            i, j = torch.arange(older + begin, older + end)[:, None], torch.arange(low, older + end)[None]
            seen = j <= i
            if not self.full:
                seen &= j > i - keys
            qs = q[begin:end].view(-1, G, H // G, d)
            s = torch.einsum("tghd,jgd->ghtj", qs, k_all[low:older + end]) / math.sqrt(d)
            s, vs = s.masked_fill(~seen, -math.inf), v_all[low:older + end]
            if self.sink:
                back = rotate(self.k0.expand(end - begin, G, d), position[begin:end] - (self.window - 1))
                own = torch.einsum("tghd,tgd->ght", qs, back) / math.sqrt(d)
                own = own.masked_fill(position[begin:end] < keys, -math.inf)
                s, vs = torch.cat((s, own[..., None]), -1), torch.cat((vs, self.v0))
            out.append(torch.einsum("ghtj,jgd->tghd", s.softmax(-1), vs).reshape(-1, H * d))
        return h + torch.cat(out) @ layer(self.i, "self_attn.o_proj").T


def mlp(i, h, down=None):
    x = norm(h, layer(i, "post_attention_layernorm"))
    u = F.silu(x @ layer(i, "mlp.gate_proj").T) * (x @ layer(i, "mlp.up_proj").T)
    return h + u @ (layer(i, "mlp.down_proj") if down is None else down).T


def fast(i, h, w1, w3, w2):
    x = norm(h, layer(i, "post_attention_layernorm"))
    return h + (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


def orthogonal(g):
    """Newton and Schulz's iteration towards the nearest orthogonal matrix (the quintic one)."""
    x = g / (g.norm() + 1e-12)
    flip = x.shape[0] > x.shape[1]
    x = x.T if flip else x
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if flip else x) * math.sqrt(max(1, g.shape[0] / g.shape[1]))


class InnerOptimizer:
    def __init__(self, form, start):
        self.f, self.start = form, [x.clone() for x in start]
        self.velocity = [torch.zeros_like(x) for x in start]

    def step(self, weights, gradients):
        f = self.f
        per = 1 if f["own"] else 3
        groups = [range(b, b + per) for b in range(0, len(weights), per)] if f["by_layer"] else [range(len(weights))]
        for group in groups:
            size = math.sqrt(sum(gradients[n].square().sum().item() for n in group))
            scale = min(1.0, f["clip"] / size) if size > 0 else 0.0
            for n in group:
                g = gradients[n] * scale
                if f["momentum"]:
                    self.velocity[n].mul_(f["momentum"]).add_(g)
                    g = self.velocity[n]
                if f["optimizer"] == "muon":
                    g = orthogonal(g) if g.norm() > 0 else g
                of = 1.0 if f["own"] else (f["w2"] if n % 3 == 2 else f["w13"])
                weights[n].sub_(f["rate"] * of * g)
                if f["decay"]:
                    weights[n].lerp_(self.start[n], f["decay"])


def head_loss(h, targets):
    return F.cross_entropy(norm(h, w["model.norm.weight"]) @ w["model.embed_tokens.weight"].T, targets, reduction="none")


prefixes = {}


def prefix(text, ids, form):
    """The input of the first suffix block, kept for forms that share what comes before."""
    until = L - form["suffix"]
    key = (form["window"], form["sink"], form["full_layers"])
    kept = prefixes.setdefault((text, key), {})
    if until not in kept:
        begin = max((u for u in kept if u < until), default=0)
        h = kept[begin] if begin else w["model.embed_tokens.weight"][ids]
        with torch.no_grad():
            for i in range(begin, until):
                h = mlp(i, Attention(i, form)(h, 0))
        kept[until] = h
    return kept[until]


def read(text, ids, form):
    """Losses of tokens 1 .. T-1."""
    h, first = prefix(text, ids, form), L - form["suffix"]
    attention = [Attention(i, form) for i in range(first, L)]
    weights = []
    for i in range(first, L):
        width = form["width"]
        if form["own"]:
            weights.append(layer(i, "mlp.down_proj").clone())
        else:
            weights += [layer(i, "mlp.gate_proj")[:width].clone(), layer(i, "mlp.up_proj")[:width].clone(), torch.zeros(D, width)]
    optimizer, losses, chunk = InnerOptimizer(form, weights), [], form["chunk"]
    for t in range(0, len(ids) - 1, chunk):
        targets = ids[t + 1:t + 1 + chunk]
        whole = len(targets) == chunk and form["learn"]
        before = [(a.k, a.v) for a in attention]
        for step in range(form["steps"] if whole else 1):
            with torch.set_grad_enabled(whole):
                for a, kv in zip(attention, before):
                    a.k, a.v = kv
                leaves = [x.requires_grad_(whole) for x in weights]
                x = h[t:t + chunk]
                for n, i in enumerate(range(first, L)):
                    x = attention[n](x, t)
                    if form["own"]:
                        x = mlp(i, x, leaves[n])
                    else:
                        x = mlp(i, x if not form["learn"] else fast(i, x, *leaves[3 * n:3 * n + 3]))
                nll = head_loss(x[:len(targets)], targets)
                if step == 0:
                    losses.append(nll.detach())
                if whole:
                    gradients = torch.autograd.grad(nll.mean(), leaves)
            weights = [x.detach() for x in weights]
            if whole:
                optimizer.step(weights, gradients)
    return torch.cat(losses)


def bins(nll):
    edges, out = [256], {}
    while edges[-1] <= len(nll):
        edges.append(2 * edges[-1])
    for a, b in zip([0] + edges, edges):
        part = nll[max(a - 1, 0):b - 1]
        if len(part):
            out[f"{a}-{b}"] = part.mean().item()
    return out


def difference(nll, off, a, b):
    pieces = (nll - off)[a - 1:b - 1].unflatten(0, (-1, 64)).mean(1) if (min(b - 1, len(nll)) - a + 1) % 64 == 0 else None
    if pieces is None:
        part = (nll - off)[a - 1:b - 1]
        pieces = part[:len(part) // 64 * 64].unflatten(0, (-1, 64)).mean(1)
    return pieces.mean().item(), 1.96 * pieces.std().item() / math.sqrt(len(pieces))


done = set()
if args.out.exists():
    done = {(r["form"], r["text"], r["tokens"]) for r in csv.DictReader(open(args.out))}
FIELDS = ["form", "text", "tokens", "mean", "1024-2048", "2048-4096", "4096-8192", "8192-16384", "from", "difference", "interval", "seconds"]
kept_off = {}
for name in args.forms:
    form = {**USUAL, **FORMS[name]}
    for text in args.texts:
        if (name, text.stem, str(args.tokens)) in done:
            continue
        while args.hold.exists():
            time.sleep(5)
        ids = tokenizer.encode(text.read_text()[:16 * args.tokens], add_special_tokens=False).ids
        ids = torch.tensor(([c["bos_token_id"]] + ids)[:args.tokens])
        began = time.time()
        nll = read(text.stem, ids, form)
        seconds = time.time() - began
        key = (text, form["window"], form["sink"], form["full_layers"])
        if key not in kept_off:
            cache = args.out.parent / "off" / f"{text.stem}-{args.tokens}-{form['window']}-{form['sink']}-{len(form['full_layers'])}.pt"
            if cache.exists():
                kept_off[key] = torch.load(cache)
            else:
                with torch.no_grad():
                    kept_off[key] = nll if not form["learn"] else read(text.stem, ids, {**form, "learn": False, "own": False})
                cache.parent.mkdir(exist_ok=True)
                torch.save(kept_off[key], cache)
        a = args.tokens // 2
        by, interval = difference(nll, kept_off[key], a, args.tokens)
        row = {"form": name, "text": text.stem, "tokens": args.tokens, "mean": round(nll.mean().item(), 4), "from": a, "difference": round(by, 4),
               "interval": round(interval, 4), "seconds": round(seconds, 1)}
        row.update({k: round(v, 4) for k, v in bins(nll).items() if k in FIELDS})
        append(args.out, FIELDS, row)
