"""Training in PyTorch: a module whose backward pass is ingrain's exact gradient through every inner step.

    model = ingrain.torch.TTTModel.load("models/reader-17m")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    for tokens in batches:                # [B, T + 1] int64, T a multiple of model.chunk
        model(tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save("out")
"""

import functools
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from . import _core
from .errors import Error
from .model import Path


class _Rule:
    """What the model is, without its weights. Copies of a module share it; a pickle has its configuration."""

    def __init__(self, core: _core.Learner, source: str) -> None:
        self.core = core
        self.source = source  # where the tokenizer is; empty: nowhere

    def __deepcopy__(self, memo: dict[int, object]) -> "_Rule":
        return self

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return _rule_of, (self.core.config(), self.source)


def _rule_of(config: str, source: str) -> _Rule:
    return _Rule(_core.Learner.of(config, source), source)


class _Loss(torch.autograd.Function):
    """The loss, its gradient computed along with it: the tangent method needs no graph between the two."""

    @staticmethod
    def forward(ctx: Any, rule: _Rule, options: _core.LossOptions, tokens: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        out = rule.core.gradient(parameters, ctx.needs_input_grad[3:], tokens, options)
        ctx.gradients = out.gradients
        norm = out.inner_norm if out.inner_norm is not None else out.loss.new_empty(0)
        ctx.mark_non_differentiable(out.chunk_loss, out.nll, norm)
        return out.loss, out.chunk_loss, out.nll, norm

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *others: Tensor) -> tuple[Tensor | None, ...]:
        wanted = [x for x in ctx.gradients if x is not None]
        scaled = iter(torch._foreach_mul(wanted, g.to(wanted[0].dtype)) if wanted else [])
        return None, None, None, *(None if x is None else next(scaled) for x in ctx.gradients)


def _autocast_type(device: str) -> str:
    """What torch.autocast asks for; "": nothing."""
    if not torch.is_autocast_enabled(device):
        return ""
    asked = torch.get_autocast_dtype(device)
    if asked != torch.bfloat16:
        raise Error(f"torch.autocast asks for {asked}, in which gradients through inner steps are not computed; "
                    "use torch.bfloat16 (\"bf16\", \"bf16-mixed\")")
    return "bf16"


class TTTModel(nn.Module):
    """A model that learns what it reads, as a module: forward(tokens) is its loss, and the backward pass fills .grad with the
    exact gradient of that loss through every inner step (docs/mathematics.md, "Learning to read").

    What trains modules trains it: any optimizer, DistributedDataParallel and FSDP under torchrun, Accelerate, Lightning. The
    parameters are named as in ingrain's own training ("blocks.3.wqkv", docs/training.md), and are the C++ side's weights:
    nothing is copied, unless `compute` is another type than theirs. One that does not require a gradient costs none.
    DDP's find_unused_parameters is not needed, as every parameter gets a gradient; higher derivatives there are none of.
    The backward pass must come before parameters are changed only as far as autograd asks for it: the gradient is computed
    in the forward pass. Ctrl-C waits for that.

    Settings, which may be changed between two calls:
    through_steps: False holds the fast weights at their start (train.mode = "standard").
    rate_multiplier: of the inner rate, for its warm-up.
    compute: type of products and activations, "fp32", "bf16", "fp64"; "": that of torch.autocast where it is on (Accelerate's
    mixed_precision, Lightning's precision), else that of the parameters.
    recompute: blocks' activations in the backward pass, in place of keeping them.
    kept_mib: for fast weights kept between the sweeps; beyond it they are computed again.

    Of the last forward pass, detached: chunk_loss [B, T / chunk] and nll [B, T] (nats, before each chunk's step), inner_norm
    [B, T / chunk - 1] (|g| of every inner step; empty where there was none, or no gradient was computed).
    """

    chunk_loss: Tensor
    nll: Tensor
    inner_norm: Tensor

    def __init__(self, rule: _Rule, parameters: list[tuple[str, Tensor]]) -> None:
        """Of load() or draw()."""
        super().__init__()
        self._rule = rule
        self._names = [name for name, _ in parameters]
        for name, tensor in parameters:
            *folders, last = name.split(".")
            place: nn.Module = self
            for folder in folders:
                if folder not in place._modules:
                    place.add_module(folder, nn.Module())
                place = cast(nn.Module, place._modules[folder])
            place.register_parameter(last, nn.Parameter(tensor))
        self.through_steps = True
        self.rate_multiplier = 1.0
        self.compute = ""
        self.recompute = True
        self.kept_mib = 4096

    @staticmethod
    def load(model: Path, *, dtype: str = "fp32", device: str = "cpu") -> "TTTModel":
        """Of a model folder, a Hugging Face folder or a GGUF file. dtype: "fp32", "fp64" or, of matrices alone, "bf16". Raises
        Error as Model.load does. Source: src/api/learner.cpp."""
        core, parameters = _core.Learner.load(model, dtype, device)
        return TTTModel(_Rule(core, str(model)), parameters)

    @staticmethod
    def draw(config: str, *, seed: int = 1, dtype: str = "fp32", device: str = "cpu") -> "TTTModel":
        """Of the text of a config.json (docs/formats.md), with weights drawn at random: the same as `ingrain train` draws for the
        same seed."""
        core, parameters = _core.Learner.draw(config, seed, dtype, device)
        return TTTModel(_Rule(core, ""), parameters)

    @property
    def config(self) -> str:
        """The text of its config.json."""
        return self._rule.core.config()

    @property
    def chunk(self) -> int:
        """Tokens of an inner step."""
        return self._rule.core.chunk()

    @property
    def vocab_size(self) -> int:
        return self._rule.core.vocab_size()

    def _parameter_list(self) -> list[Tensor]:
        """As the C++ side wants them; whatever stands in a parameter's place, as under torch.func.functional_call."""
        return [functools.reduce(getattr, name.split("."), cast(Any, self)) for name in self._names]

    def forward(self, tokens: Tensor) -> Tensor:
        """The mean over sequences and chunks of the chunks' losses, nats: a scalar. tokens: [B, T + 1] integers, T a multiple of
        `chunk`; a target that is the model's beginning of text counts nowhere. Raises Error for other lengths and ids."""
        parameters = self._parameter_list()
        compute = self.compute or _autocast_type(parameters[0].device.type)
        options = _core.LossOptions(self.through_steps, self.rate_multiplier, compute, self.recompute, self.kept_mib)
        tokens = tokens.to(torch.int64)
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
            loss, chunk_loss, nll, norm = _Loss.apply(self._rule, options, tokens, *parameters)  # type: ignore[no-untyped-call]
        else:
            out = self._rule.core.loss(parameters, tokens, options)
            loss, chunk_loss, nll, norm = out.loss, out.chunk_loss, out.nll, out.loss.new_empty(0)
        self.chunk_loss, self.nll, self.inner_norm = chunk_loss, nll, norm
        return cast(Tensor, loss)

    def save(self, folder: Path, *, dtype: str = "fp32") -> None:
        """Writes a model folder (docs/formats.md) with the tokenizer of the model that it was loaded from, for ingrain.Model.load and
        `ingrain`. dtype: of the tensors in the file."""
        self._rule.core.save(folder, self._parameter_list(), dtype)
