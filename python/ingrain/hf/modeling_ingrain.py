# mypy: ignore-errors
"""A language model that learns what it reads, for transformers: PyTorch alone, as small as it can be.

The cache is a memory: it has the fast weights, which every chunk of tokens moves by one step of SGD on that chunk's loss, and
the keys and values of a window. So generate() costs the same a token at any length, and what was read stays in the weights.
Written by ingrain.hf.export(); the same numbers as ingrain's own engine, up to rounding. Reading is not differentiated here:
ingrain.torch.TTTModel trains.
"""

import dataclasses
import inspect
import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Cache, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

# Up to 5.23 generate() hands the cache on as `past_key_values`, from 5.24 on as `cache`.
CACHE = "cache" if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters else "past_key_values"
SEGMENT = 1024  # tokens that attention looks at together, which bounds its mask
REMEMBERED = 64  # of the latest tokens, to know whether a text goes on from them


class IngrainConfig(PreTrainedConfig):
    """`ingrain`: the model's config.json, as ingrain has it."""

    model_type = "ingrain"

    def __init__(self, ingrain=None, **others):
        self.ingrain = ingrain or {}
        super().__init__(**others)

    def layer(self, index):
        layers = self.ingrain.get("layers")
        return {**self.ingrain, **(layers[index] if layers else {})}

    @property
    def prefix(self):
        return self.ingrain["num_hidden_layers"] - self.ingrain["suffix_len"]


@dataclasses.dataclass
class IngrainOutput(ModelOutput):
    """logits [B, T, V]; loss with labels; the memory under the name that this transformers has for it."""

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    past_key_values: Cache | None = None
    cache: Cache | None = None


class IngrainMemory(Cache):
    """What the model has become by reading, for B sequences in step."""

    def __init__(self):
        super().__init__(layers=[])
        self.position = 0
        self.kv = {}  # by layer: keys, rotated, and values, [B, n, G, d], of the positions before `position`
        self.fast = []  # by suffix block: gate, up [B, F, D], down [B, D, F], fp32
        self.h = None  # [B, filled, D]: what the unfinished chunk's tokens are before the first fast MLP
        self.tokens = None  # [B, at least filled]: the latest tokens

    filled = property(lambda self: 0 if self.h is None else self.h.shape[1])
    is_linear = property(lambda self: [False])

    def get_seq_length(self, layer_idx=0):
        return self.position

    def get_max_length(self, *_):
        return -1

    def map(self, of):
        """Puts of(x) in the place of every tensor."""
        self.kv = {layer: tuple(map(of, pair)) for layer, pair in self.kv.items()}
        self.fast = [tuple(map(of, mlp)) for mlp in self.fast]
        self.h, self.tokens = (x if x is None else of(x) for x in (self.h, self.tokens))

    def fork(self):
        """A copy that goes on independently."""
        other = IngrainMemory()
        other.__dict__.update(self.__dict__)
        other.map(torch.clone)
        return other

    def reorder_cache(self, beam_idx):
        self.map(lambda x: x.index_select(0, beam_idx.to(x.device)))

    def batch_repeat_interleave(self, repeats):
        self.map(lambda x: x.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices):
        self.map(lambda x: x[indices])

    def crop(self, *_):
        raise NotImplementedError("a memory cannot forget single tokens: fork() it before")


class Norm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        x_ = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        x_ = x_ * torch.rsqrt(x_.square().mean(-1, keepdim=True) + self.eps)
        return (self.weight.to(x_.dtype) * x_).to(x.dtype)


class Mlp(nn.Module):
    def __init__(self, width, inner, activation):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)
        self.act = nn.GELU("tanh") if activation == "gelu_pytorch_tanh" else nn.SiLU()

    def forward(self, x, weights=None):
        """weights: of every sequence its own, [B, out, in]."""
        if weights is None:
            return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))
        gate, up, down = (w.to(x.dtype).transpose(1, 2) for w in weights)
        return (self.act(x @ gate) * (x @ up)) @ down


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.heads, self.groups, self.dim = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        width, bias = c["hidden_size"], c.get("attention_bias", False)
        self.q_proj = nn.Linear(width, self.heads * self.dim, bias=bias)
        self.k_proj = nn.Linear(width, self.groups * self.dim, bias=bias)
        self.v_proj = nn.Linear(width, self.groups * self.dim, bias=bias)
        self.o_proj = nn.Linear(self.heads * self.dim, width, bias=False)
        self.whole = c.get("qk_norm_whole", False)
        if c.get("qk_norm", False):
            self.q_norm = Norm(self.heads * self.dim if self.whole else self.dim, c["rms_norm_eps"])
            self.k_norm = Norm(self.groups * self.dim if self.whole else self.dim, c["rms_norm_eps"])
        self.scale = c.get("attention_scale") or self.dim**-0.5

    def frequencies(self, device):
        pair = torch.arange(0, self.dim, 2, dtype=torch.float64, device=device)
        f = self.c["rope_theta"] ** (-pair / self.dim)
        s = self.c.get("rope_scaling")
        if not s:
            return f
        if s["rope_type"] == "linear":
            return f / s["factor"]
        turns = f * s["original_max_position_embeddings"] / (2 * math.pi)
        low, high = s["low_freq_factor"], s["high_freq_factor"]
        keep = ((turns - low) / (high - low)).clamp(0, 1)
        return f * (keep + (1 - keep) / s["factor"])

    def rotate(self, x, first):
        """x [B, T, heads, d] of the positions from `first` on. Angles are exact at any position."""
        if not self.c.get("rope", True):
            return x
        position = torch.arange(first, first + x.shape[1], dtype=torch.float64, device=x.device)
        angle = position[:, None, None] * self.frequencies(x.device)
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        cos, sin = angle.cos().to(wide), angle.sin().to(wide)
        if self.c["rope_interleaved"]:
            a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
            return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)
        a, b = x.to(wide).chunk(2, -1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1).to(x.dtype)

    def forward(self, x, first, past):
        """x [B, T, D] at the positions from `first` on; past: older keys and values, or None. Returns y, keys, values."""
        B, T, _ = x.shape
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        if hasattr(self, "q_norm") and self.whole:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (part.view(B, T, -1, self.dim) for part in (q, k, v))
        if hasattr(self, "q_norm") and not self.whole:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = self.rotate(q, first), self.rotate(k, first)
        keys, values = (k, v) if past is None else (torch.cat([past[0], k], 1), torch.cat([past[1], v], 1))
        S = keys.shape[1]
        distance = torch.arange(S - T, S, device=x.device)[:, None] - torch.arange(S, device=x.device)
        seen = (distance >= 0) & (distance < (self.c["sliding_window"] or S + 1))
        each = self.heads // self.groups
        full = (part.repeat_interleave(each, 2).transpose(1, 2) for part in (keys, values))
        o = F.scaled_dot_product_attention(q.transpose(1, 2), *full, attn_mask=seen, scale=self.scale)
        return self.o_proj(o.transpose(1, 2).flatten(2)), keys, values


class Block(nn.Module):
    def __init__(self, c, suffix):
        super().__init__()
        norm = lambda there=True: Norm(c["hidden_size"], c["rms_norm_eps"]) if there else None  # noqa: E731
        self.scale = c.get("residual_scale", 1)
        pre, post, activation = c.get("pre_norm", True), c.get("post_norm", True), c.get("hidden_act", "silu")
        self.input_layernorm, self.self_attn = norm(pre), Attention(c)
        self.self_attn_post_norm = norm(post)
        if suffix:
            self.fast_mlp_norm = norm()
            self.fast_mlp = Mlp(c["hidden_size"], c["fast_intermediate_size"], activation)
            self.fast_mlp_post_norm = norm(c.get("fast_post_norm", True))
        self.post_attention_layernorm, self.mlp = norm(pre), Mlp(c["hidden_size"], c["intermediate_size"], activation)
        self.mlp_post_norm = norm(post)

    def add(self, h, y, post):
        return h + (y * self.scale if post is None else post(y))

    def mix(self, h, first, past):
        y, keys, values = self.self_attn(h if self.input_layernorm is None else self.input_layernorm(h), first, past)
        return self.add(h, y, self.self_attn_post_norm), keys, values

    def learn_mlp(self, h, weights):
        return self.add(h, self.fast_mlp(self.fast_mlp_norm(h), weights), self.fast_mlp_post_norm)

    def think(self, h):
        x = h if self.post_attention_layernorm is None else self.post_attention_layernorm(h)
        return self.add(h, self.mlp(x), self.mlp_post_norm)


class Blocks(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = config.ingrain
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Block(config.layer(i), i >= config.prefix) for i in range(c["num_hidden_layers"]))
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])
        if c.get("learned_inner_rates"):
            self.inner_rate = nn.Parameter(torch.ones(c["suffix_len"]))


class IngrainForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = IngrainConfig
    base_model_prefix = "model"
    _supports_sdpa = True
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        self.model = Blocks(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @classmethod
    def _supports_default_dynamic_cache(cls):
        return False  # forward() makes a memory

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def get_output_embeddings(self):
        return getattr(self, "lm_head", None)

    # Reading

    def new_memory(self, batch=1):
        """A memory that has read nothing, for so many sequences."""
        memory = IngrainMemory()
        for block in self.model.layers[self.config.prefix :]:
            mlp = block.fast_mlp
            weights = (mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight)
            wide = torch.float64 if weights[0].dtype == torch.float64 else torch.float32
            memory.fast.append(tuple(w.detach().to(wide).expand(batch, -1, -1).clone() for w in weights))
        return memory

    @torch.no_grad()
    def read(self, tokens, memory, learn=True):
        """Reads tokens [B, n] into the memory. Returns what each predicts, before it is scored against the next: [B, n, V]."""
        pieces = [self._segment(part, memory, learn) for part in tokens.split(SEGMENT, 1)]
        return torch.cat(pieces, 1)

    def _segment(self, tokens, memory, learn):
        c, prefix = self.config.ingrain, self.config.prefix
        h = self.model.embed_tokens(tokens) * c.get("embedding_scale", 1)
        first = memory.position
        for i, block in enumerate(self.model.layers[: prefix + 1]):
            h = self._mix(block, i, h, first, memory, extra=0)
            if i < prefix:
                h = block.think(h)
        out = []
        while h.shape[1]:
            if memory.filled == c["chunk_size"] and c["suffix_len"]:
                memory.tokens = torch.cat([memory.tokens, tokens[:, :1]], 1)  # the chunk's last target
                self._inner_step(memory, learn)
                memory.tokens = memory.tokens[:, :-1]
            n = min(h.shape[1], c["chunk_size"] - memory.filled) if c["suffix_len"] else h.shape[1]
            x, _ = self._suffix(h[:, :n], memory.position, memory.fast, None, memory)
            out.append(self._logits(x))
            if c["suffix_len"]:
                memory.h = h[:, :n] if memory.h is None else torch.cat([memory.h, h[:, :n]], 1)
            known = tokens[:, :n] if memory.tokens is None else torch.cat([memory.tokens, tokens[:, :n]], 1)
            memory.tokens = known[:, -max(memory.filled, REMEMBERED) :]
            memory.position += n
            h, tokens = h[:, n:], tokens[:, n:]
        return torch.cat(out, 1)

    def _mix(self, block, i, h, first, memory, extra):
        """A block's attention, going on from the memory's keys; keeps what later queries need, and `extra` positions more."""
        h, keys, values = block.mix(h, first, memory.kv.get(i))
        window = self.config.layer(i)["sliding_window"]
        kept = keys.shape[1] if window is None else window - 1 + extra
        memory.kv[i] = tuple(x[:, max(0, x.shape[1] - kept) :] for x in (keys, values))
        return h

    def _suffix(self, h, first, fast, past, memory=None):
        """From the first fast MLP to the final norm. memory: keeps the keys that were made."""
        prefix, chunk = self.config.prefix, self.config.ingrain["chunk_size"]
        for s, block in enumerate(self.model.layers[prefix:]):
            if s:
                if memory is not None:
                    h = self._mix(block, prefix + s, h, first, memory, extra=chunk)
                else:
                    h = block.mix(h, first, past(prefix + s))[0]
            h = block.think(block.learn_mlp(h, fast[s]))
        return self.model.norm(h), h

    def _logits(self, x):
        head = self.lm_head.weight if hasattr(self, "lm_head") else self.model.embed_tokens.weight
        return x @ head.T

    def _inner_step(self, memory, learn):
        """The chunk is full and its last target known: W <- W - eta g min(1, c / |g|), for every sequence on its own."""
        c, b = self.config.ingrain, memory.filled
        if learn:
            target = memory.tokens[:, -b:]
            valid = (target != c["bos_token_id"]).float()
            weight = valid / valid.sum(1, keepdim=True).clamp_min(1e-10)
            older = lambda i: tuple(x[:, : x.shape[1] - b] for x in memory.kv[i])  # noqa: E731
            with torch.enable_grad():
                leaves = [tuple(w.detach().requires_grad_() for w in mlp) for mlp in memory.fast]
                x, _ = self._suffix(memory.h, memory.position - b, leaves, older)
                nll = F.cross_entropy(self._logits(x).float().transpose(1, 2), target, reduction="none")
                g = torch.autograd.grad((weight * nll).sum(), [w for mlp in leaves for w in mlp])
            norm = torch.stack([x.square().sum((1, 2)) for x in g]).sum(0).sqrt()
            scale = (c["inner_clip"] / norm).clamp_max(1) * c["inner_lr"]
            for s, mlp in enumerate(memory.fast):
                rate = self.model.inner_rate[s] if hasattr(self.model, "inner_rate") else 1
                memory.fast[s] = tuple(w - (rate * scale)[:, None, None] * d for w, d in zip(mlp, g[3 * s : 3 * s + 3]))
        memory.h = None

    # What transformers asks for

    def forward(self, input_ids=None, attention_mask=None, past_key_values=None, cache=None, labels=None, use_cache=None,
                learn=True, return_dict=None, logits_to_keep=0, **_):
        """learn: make inner steps; otherwise only the window is filled. Padding is refused: a sequence is read from its first
        token on, in step with the others."""
        if attention_mask is not None and not bool(attention_mask.bool().all()):
            raise ValueError("padding would be read as text: give sequences of one length, or one at a time")
        given = past_key_values if cache is None else cache
        memory = given if given is not None else self.new_memory(input_ids.shape[0])
        logits = self.read(input_ids, memory, learn)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten().to(logits.device))
        if logits_to_keep:
            logits = logits[:, -logits_to_keep:] if isinstance(logits_to_keep, int) else logits[:, logits_to_keep]
        kept = memory if use_cache or given is not None else None
        out = IngrainOutput(loss=loss, logits=logits, **{CACHE: kept})
        return out if return_dict is not False else out.to_tuple()

    def prepare_inputs_for_generation(self, input_ids, next_sequence_length=None, past_key_values=None, cache=None,
                                      is_first_iteration=False, use_cache=True, learn=True, **_):
        """A memory that is given may have read the beginning of input_ids, as a cache has; or input_ids are what is new."""
        memory = past_key_values if cache is None else cache
        if memory is not None and is_first_iteration:
            read, known = memory.position, memory.tokens
            if known is not None and input_ids.shape[1] > read:
                m = min(known.shape[1], read)
                if torch.equal(input_ids[:, read - m : read], known[:, known.shape[1] - m :]):
                    input_ids = input_ids[:, read:]
        elif memory is not None and next_sequence_length is not None:
            input_ids = input_ids[:, -next_sequence_length:]
        return {"input_ids": input_ids, CACHE: memory, "use_cache": use_cache, "learn": learn}
