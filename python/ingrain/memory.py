"""Memories: what a model has become by reading (include/ingrain/memory.h, reader.h, writing.h)."""

import asyncio
import json
import pathlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, Unpack

import torch

from . import _core
from .model import Model, Path, Tokens, token_list

if TYPE_CHECKING:
    from .dialogue import Answer
    from .notepad import Notepad

InnerStep = _core.InnerStep


class WritingOptions(TypedDict, total=False):
    """How text is written. The defaults change nothing: every token with the model's own probability."""

    max_tokens: int  # 256
    stop: Sequence[str]  # ends before any of these
    learn: Literal["all", "input", "off"]  # from what: given and written text, given text alone, nothing
    temperature: float  # 1; 0: always the likeliest token
    top_k: int  # only the k likeliest; 0: all
    top_p: float  # only the fewest tokens that together reach this probability
    min_p: float  # only tokens with at least this share of the likeliest one's probability
    repetition_penalty: float  # logits of tokens seen are divided by it where positive, else multiplied
    presence_penalty: float
    frequency_penalty: float
    penalty_window: int  # of the latest tokens, 1024
    logit_bias: Mapping[int, float]  # -inf forbids a token
    seed: int  # the same seed gives the same text


class Reading(NamedTuple):
    """What a call read."""

    tokens: int
    nll: torch.Tensor  # [tokens], -log p of each given all before it, nats, fp32 on the CPU; NaN for a memory's very first
    stopped: bool  # keep_going said so: the rest was not read


def _reading(*parts: _core.Reading) -> Reading:
    scores = [part.take_nll() for part in parts]
    return Reading(sum(part.tokens for part in parts), torch.cat(scores) if len(scores) > 1 else scores[0], parts[-1].stopped)


class Reader:
    """Reads text in parts of any length, or tokens, into a memory. The memory, and the tokens, are those of the whole text,
    however it was split. One thread at a time."""

    def __init__(self, memory: "Memory", *, learn: bool = True, begin_text: bool = True, parse_special: bool = False,
                 written: bool = False, measure_steps: bool = False, on_step: Callable[[InnerStep], None] | None = None,
                 keep_going: Callable[[int], bool] | None = None) -> None:
        """learn: make inner steps. begin_text: a memory that has read nothing reads the model's beginning-of-text token first.
        parse_special: special tokens written in a text are those. written: these are the model's own words, which count in
        no loss. measure_steps: InnerStep.loss_after, at the price of one more pass over every chunk.
        on_step: gets every inner step: step, loss_before and loss_after (nats a token), gradient_norm (before the clip).
        keep_going: asked now and then with the tokens that this call has read; False stops.
        What either raises stops the reading where the memory is whole, and goes on. So does Ctrl-C.
        """
        self.memory = memory
        self._core = _core.Reader(memory._core, learn, begin_text, parse_special, written, measure_steps, on_step, keep_going)

    def feed(self, text: str) -> Reading:
        """The next part of a text. What follows its last blank between two words waits for more."""
        return _reading(self._core.feed(text))

    def finish(self) -> Reading:
        """The end of the text: reads what waited."""
        return _reading(self._core.finish())

    def read(self, text: str | Tokens) -> Reading:
        """A whole text, or tokens as they are. Raises Error, naming the position, at the first loss or inner gradient that is
        not finite: the memory is spoilt then."""
        if not isinstance(text, str):
            return _reading(self._core.read_tokens(token_list(text)))
        first = self._core.feed(text)
        return _reading(first) if first.stopped else _reading(first, self._core.finish())


class Writing(Iterator[str]):
    """A text in the making: pieces of whole characters, each written when it is asked for. Also an asynchronous iterator."""

    def __init__(self, core: _core.Writing) -> None:
        self._core = core

    def __iter__(self) -> "Writing":
        return self

    def __next__(self) -> str:
        piece = self._core.next()
        if piece is None:
            raise StopIteration
        return piece

    def __aiter__(self) -> "Writing":
        return self

    async def __anext__(self) -> str:
        piece = await asyncio.to_thread(self._core.next)
        if piece is None:
            raise StopAsyncIteration
        return piece

    @property
    def text(self) -> str:
        """All that was given out so far."""
        return self._core.written()[0]

    @property
    def tokens(self) -> list[int]:
        """All that was drawn and read, an end-of-text token included."""
        return self._core.written()[1]

    @property
    def reason(self) -> str:
        """Why it ended: "end of text", "stop string", "maximum of tokens"; "interrupted" until then."""
        return self._core.written()[2]


class MemoryInfo(NamedTuple):
    """What a memory file says of itself (docs/formats.md)."""

    model_fingerprint: str  # of the model that it belongs to
    config: dict[str, Any]  # that model's config.json
    compact: bool  # rounded to bf16
    position: int  # tokens read
    filled: int  # of them in the unfinished chunk
    steps: int  # inner steps made
    batch: int  # sequences; Memory.load() takes files of one
    nbytes: int  # of the file
    version: int  # of the format


def memory_info(file: Path, *, check: bool = False) -> MemoryInfo:
    """Of a file, without its model: by its beginning alone, or (check) with all of it held against its checksum. Raises Error,
    naming the file, if it is no memory, or damaged."""
    fingerprint, config, compact, position, filled, steps, batch, nbytes, version = _core.memory_info(file, check)
    return MemoryInfo(fingerprint, json.loads(config), compact, position, filled, steps, batch, nbytes, version)


class Memory:
    """What a model has become by reading: fast weights, attention windows, the unfinished chunk, the position. Of fixed size,
    however much was read.

    One thread at a time: a second call meanwhile raises UsageError. Different memories, of one model too, may compute in
    different threads at once; while they do, Python's other threads run. Copying, pickling and bytes() give independent
    memories; pickles name the model by its path, and hold the memory's file.
    """

    def __init__(self, model: Model, core: _core.Memory | None = None) -> None:
        """One that has read nothing."""
        self.model = model
        with torch.inference_mode(False):  # whose tensors could not be written to afterwards
            self._core = core if core is not None else _core.Memory(model._core)

    @staticmethod
    def load(file: Path, model: Model) -> "Memory":
        """Raises Error, naming the file, if it is damaged or belongs to another model (both fingerprints are named)."""
        return Memory(model, _core.Memory.load(file, model._core))

    @staticmethod
    def from_bytes(content: bytes, model: Model) -> "Memory":
        """The inverse of bytes(memory)."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "memory")
            file.write_bytes(content)
            return Memory.load(file, model)

    def save(self, file: Path, *, compact: bool = False) -> None:
        """Writes a file, whole or not at all (docs/formats.md). Going on from it gives the same bits; `compact`: in bf16, half as
        large. Kept boundaries are not part of it."""
        self._core.save(file, compact)

    def __bytes__(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "memory")
            self.save(file)
            return file.read_bytes()

    def __reduce__(self) -> tuple[Callable[[bytes, Model], "Memory"], tuple[bytes, Model]]:
        return Memory.from_bytes, (bytes(self), self.model)

    def fork(self) -> "Memory":
        """A copy that goes on independently. Nothing is shared but the model."""
        return Memory(self.model, self._core.copy())

    def __copy__(self) -> "Memory":
        return self.fork()

    def __deepcopy__(self, memo: dict[int, object]) -> "Memory":
        return self.fork()

    def __repr__(self) -> str:
        return f"<ingrain.Memory: {self.position:,} tokens, {self.steps} inner steps, {self.nbytes / 1e6:.1f} MB>"

    @property
    def position(self) -> int:
        """Tokens read."""
        return self._core.position()

    @property
    def steps(self) -> int:
        """Inner steps made: one for every chunk that was learnt from."""
        return self._core.steps()

    @property
    def nbytes(self) -> int:
        """Of its tensors."""
        return self._core.bytes()

    def least_file_bytes(self, more: int = 0, *, compact: bool = False) -> int:
        """At least so many bytes is the file that save() writes once `more` tokens are read."""
        return self._core.least_file_bytes(more, compact)

    def learnt(self) -> dict[int, float]:
        """How far each suffix block's fast weights are from those that the model starts with, by the block's number: the norm of
        the difference. Empty where the model does not learn."""
        return dict(self._core.learnt())

    def distance(self, other: "Memory") -> dict[int, float]:
        """The same from another memory's. Raises UsageError if that belongs to another model."""
        return dict(self._core.distance(other._core))

    def keep_boundaries(self, nbytes: int) -> None:
        """From now on keeps copies of itself at the latest chunk boundaries, as many as fit; 0 keeps none."""
        self._core.keep_boundaries(nbytes)

    @property
    def boundaries(self) -> list[int]:
        """The positions that rewind() knows, rising."""
        return self._core.boundaries()

    def rewind(self, position: int) -> None:
        """Becomes what it was at that boundary, as if nothing later had been read. UsageError if it is not kept."""
        self._core.rewind(position)

    def read(self, text: str | Tokens, *, learn: bool = True, on_step: Callable[[InnerStep], None] | None = None) -> Reading:
        """Reads a text or tokens; Reader has more options, and takes a text in parts."""
        return Reader(self, learn=learn, on_step=on_step).read(text)

    def generate(self, *, seen: Tokens = (), **options: Unpack[WritingOptions]) -> Writing:
        """Continues what was read: an iterator over pieces of text, also with `async for`. Each token is read as it is drawn,
        so that the memory goes on while it writes; fork() it first to keep it. `seen`: tokens that count for the penalties
        from the start. Raises Error if nothing was read, OptionError."""
        return Writing(_core.Writing(self._core, dict(options), token_list(seen)))

    async def agenerate(self, *, seen: Tokens = (), **options: Unpack[WritingOptions]) -> AsyncIterator[str]:
        """The same as an asynchronous generator; tokens are computed in a thread."""
        async for piece in self.generate(seen=seen, **options):
            yield piece

    def ask(self, question: str, *, aside: str = "", notepad: "Notepad | None" = None, passages: int = 4,
            **options: Unpack[WritingOptions]) -> "Answer":
        """Asks a fork of it, in the model's own template; the memory stays as it is. aside: what the answer may know, read
        before the question. notepad: up to `passages` of it that fit the question are read before it, too, and become the answer's
        `sources`. A Dialogue goes on from answer to answer."""
        from .dialogue import Dialogue
        from .notepad import text_of

        found = tuple(notepad.search(question, passages)) if notepad is not None else ()
        dialogue = Dialogue(self, keep=0)
        if text := "\n".join(part for part in (text_of(found), aside) if part):
            dialogue.aside(text)
        dialogue.say("user", question)
        return dialogue.answer(**options)._replace(sources=found)

    def fast_weights(self) -> dict[str, torch.Tensor]:
        """What the model has learnt, as it is now: "fast.S.w13" [2F, D] (gate above up) and "fast.S.w2" [D, F] of suffix block S,
        fp32 (fp64). The memory's very tensors, without a copy, which outlive it. On a CPU they stay what they are when the
        memory reads on; on a GPU they follow it. Not to be written to: forks may share them."""
        return dict(_core.fast_weights(self._core))

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that its file would hold, by the names and shapes of docs/formats.md. As above, but that keys, values and the
        unfinished chunk are views that later tokens may write to."""
        return dict(_core.tensors(self._core))

    def next_logits(self, *, copy: bool = True) -> torch.Tensor:
        """What the next token is predicted from, [V]. copy=False: the memory's own place, which the next token is written to.
        Raises Error if nothing was read."""
        logits = _core.next_logits(self._core)
        return logits.clone() if copy else logits
