"""Models: weights and a tokenizer (include/ingrain/model.h)."""

import json
import os
import pathlib
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from . import _core
from .errors import Error

Path = str | os.PathLike[str]
Tokens = Sequence[int] | torch.Tensor


def token_list(tokens: Tokens) -> list[int]:
    """Token ids as the extension takes them, of a sequence or a tensor of one dimension."""
    if isinstance(tokens, torch.Tensor):
        numbers: list[int] = tokens.flatten().tolist()
        return numbers
    return list(tokens)


class Score(NamedTuple):
    """How well a model predicted what it read."""

    scored: int  # tokens; beginnings of text and the first of all are not
    not_finite: int  # of them
    mean_nll: float  # nats a token, over those that are finite
    bits_per_byte: float | None  # of the text that they stand for, where a tokenizer knows it


class Model:
    """A language model that can read. Immutable; safe to use by many threads at once; any number of memories share it.

    Pickling one keeps its path and options, not its weights: who unpickles it loads it, once in a process, and a model with
    other weights is refused.
    """

    def __init__(self, core: _core.Model, path: str, options: dict[str, Any]) -> None:
        self._core = core
        self._source = path, options

    @staticmethod
    def load(path: Path, *, dtype: str = "auto", weights: str = "native", device: str = "auto",
             need_tokenizer: bool = True, step_delay: int | None = None) -> "Model":
        """Loads a model folder, a Hugging Face folder or a GGUF file.

        dtype: what it computes in, "fp32", "bf16", "fp64"; "auto": bf16 where the processor or GPU multiplies it natively.
        weights: "native", as the file has them; "q8_0", "q4_1": rounded to eight or four bits (CPU); "expanded".
        device: "cpu", "cuda", "cuda:N"; "auto": the first GPU that can be used, else the CPU.
        need_tokenizer: False takes a model without one, too, for tokens alone.
        step_delay: so many tokens after a chunk are still read with the weights before its inner step, in place of
            what the model says (docs/retrofit.md); from 0 to below the chunk, else Error.

        Raises Error, naming file and field, for what is missing, malformed or contradicts the rest; OptionError.
        Source: src/store/open_model.cpp.
        """
        core = _core.Model.load(path, dtype, weights, device, need_tokenizer, step_delay)
        options = {"dtype": dtype, "weights": weights, "device": device, "need_tokenizer": need_tokenizer,
                   "step_delay": step_delay}
        return Model(core, str(pathlib.Path(path).absolute()), options)

    def __reduce__(self) -> tuple[Callable[..., "Model"], tuple[str, dict[str, Any], str]]:
        path, options = self._source
        return _load_again, (path, options, self.fingerprint)

    def __repr__(self) -> str:
        return f"<ingrain.Model {self._source[0]}: {self.parameter_count:,} parameters, {self.dtype}, {self.device}>"

    @property
    def path(self) -> str:
        """Where it was loaded from."""
        return self._source[0]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the stored weights. A memory belongs to models with the same one."""
        return self._core.fingerprint()

    @property
    def parameter_count(self) -> int:
        return self._core.parameter_count()

    @property
    def device(self) -> str:
        """Where it is: "cpu", "cuda:0"."""
        return self._core.device()

    @property
    def dtype(self) -> str:
        """What it computes in: "fp32", "bf16", "fp64"."""
        return self._core.dtype()

    @property
    def window(self) -> int | None:
        """Tokens that attention sees, in the layer that sees most; None: all."""
        return self._core.window()

    @property
    def chunk(self) -> int:
        """Tokens of an inner step."""
        return self._core.chunk()

    @property
    def learns(self) -> bool:
        """Whether it has fast weights, which reading moves; else a memory is attention's window alone."""
        return self._core.learns()

    @property
    def begin_of_text(self) -> int | None:
        """The token that a text begins with, if it has one."""
        return self._core.begin_of_text()

    @property
    def warnings(self) -> list[str]:
        """What is odd about its files, in whole sentences; it works all the same."""
        return self._core.warnings()

    @property
    def config(self) -> dict[str, Any]:
        """What it is: its config.json (docs/formats.md)."""
        fields: dict[str, Any] = json.loads(_core.config_of(self._core))
        return fields

    def encode(self, text: str, *, document: bool = False, parse_special: bool = False) -> list[int]:
        """The token ids of `text`. document: with the beginning-of-text token in front, if the model has one.
        parse_special: special tokens written in it ("<|im_end|>") are those; otherwise they are text like any other."""
        return (self._core.encode_document if document else self._core.encode)(text, parse_special)

    def decode(self, tokens: Tokens, *, special: bool = False) -> str:
        """Their text; special tokens have none, unless `special`."""
        return self._core.decode(token_list(tokens), special)

    def parameters(self) -> dict[str, torch.Tensor]:
        """Its weights by ingrain's names ("blocks.3.wqkv"), the very tensors: not to be written to. Those that are kept in
        few bits are left out. Names and shapes: docs/training.md."""
        return dict(_core.parameters(self._core))

    def score(self, tokens: Tokens, nll: torch.Tensor | Sequence[float], *, unscored: int = 1) -> Score:
        """Adds up scores, nats, as Memory.read gives them of `tokens`; the first `unscored` were predicted by nothing (1
        of a memory that had read nothing before)."""
        numbers: list[float] = nll.tolist() if isinstance(nll, torch.Tensor) else list(nll)
        return Score(*_core.score(self._core, token_list(tokens), numbers, unscored))


_loaded: "weakref.WeakValueDictionary[tuple[Any, ...], Model]" = weakref.WeakValueDictionary()


def _load_again(path: str, options: dict[str, Any], fingerprint: str) -> Model:
    key = (path, *sorted(options.items()))
    model = _loaded.get(key)
    if model is None:
        model = _loaded[key] = Model.load(path, **options)
    if model.fingerprint != fingerprint:
        raise Error(f"{path}: holds the model {model.fingerprint}; what was pickled belongs to {fingerprint}")
    return model


def find_models(places: Sequence[Path]) -> list[pathlib.Path]:
    """The models in these folders: folders with a config.json, and .gguf files."""
    return [pathlib.Path(path) for path in _core.find_models(list(places))]


def model_of_memory(file: Path, places: Sequence[Path]) -> pathlib.Path:
    """The first model in these folders that a memory file belongs to, by its fingerprint. Error if there is none."""
    return pathlib.Path(_core.model_of_memory(file, list(places)))


def train(run: Path, *, overrides: Sequence[str] = (), resume: bool = False, say: Callable[[str], None] | None = None) -> None:
    """A training run by its TOML file (docs/training.md), as `ingrain train` does it; ingrain.torch trains in PyTorch.

    overrides: "train.steps=100", on top of the file. resume: from the newest checkpoint, bit for bit. say: gets lines for
    people. Ctrl-C raises KeyboardInterrupt after the step, with a checkpoint. Raises Error naming file, field and remedy.
    """
    _core.run_training(run, list(overrides), resume, say)
