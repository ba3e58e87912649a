"""Dialogues: messages in, answers out, read as the model's own template has them (include/ingrain/dialogue.h)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Unpack

from . import _core
from .memory import Memory, WritingOptions
from .notepad import Passage


class Answer(NamedTuple):
    text: str
    reason: str  # why it ended: "end of text", "stop string", "maximum of tokens", "interrupted"
    tokens_read: int  # before it, those among them that were read again
    tokens_written: int
    sources: tuple[Passage, ...] = ()  # read from the notepad before the question

    def __str__(self) -> str:
        return self.text


class Dialogue:
    """A conversation that begins with a fork of `memory`. Where a template drops or closes parts of earlier turns, the memory
    goes back to the last token that agrees. One thread at a time."""

    def __init__(self, memory: Memory, *, special: bool = False, keep: int = 1 << 30) -> None:
        """special: control tokens in what is said are meant as such. keep: bytes for copies to go back to; 0: none, and no
        undo(). Raises Error if the model's template cannot be parsed."""
        self.model = memory.model
        self._core = _core.Dialogue(memory._core, special, keep)

    def say(self, role: str, content: str) -> None:
        """The next message ("system", "user", "assistant"); it is read with the next answer."""
        self._core.say(role, content)

    @property
    def messages(self) -> list[tuple[str, str]]:
        """(role, content) of all; assigning replaces them."""
        return self._core.messages()

    @messages.setter
    def messages(self, messages: Sequence[tuple[str, str]]) -> None:
        self._core.set_messages(list(messages))

    def aside(self, text: str) -> None:
        """What the next answer may know and the memory is not to keep."""
        self._core.aside(text)

    def answer(self, on_text: Callable[[str], None] | None = None, **options: Unpack[WritingOptions]) -> Answer:
        """Reads what is new and writes the answer, which becomes the next message. on_text: gets it as it comes. What fails,
        Ctrl-C too, leaves memory and messages as they were after the last answer, where copies are kept."""
        return Answer(*self._core.answer(dict(options), on_text))

    def scores(self, answers: Sequence[str], **options: Unpack[WritingOptions]) -> list[float]:
        """The log-probability, nats, that the next answer begins with each of these texts. Changes nothing."""
        return self._core.scores(list(answers), dict(options))

    def undo(self, **options: Unpack[WritingOptions]) -> bool:
        """Becomes what it was before the last question; the latest ones from copies of the memory, others (those from before
        restore(), too) by reading again, by these options. False if nothing was asked, or no copies are kept."""
        return self._core.undo(dict(options))

    def close(self) -> None:
        """Reads what ends the last answer's turn, where a limit ended it: before its memory is used for something else."""
        self._core.close()

    def memory(self) -> Memory:
        """A fork of its memory."""
        return Memory(self.model, self._core.memory())

    def state(self) -> str:
        """All but the memory, as JSON, for restore() in a dialogue that began with the same memory."""
        return self._core.state()

    def restore(self, state: str) -> None:
        self._core.restore(state)
