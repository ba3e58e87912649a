"""The notepad: what was read, found again by the words of a question (include/ingrain/notepad.h)."""

from collections.abc import Sequence
from typing import NamedTuple

from . import _core
from .model import Path


class Passage(NamedTuple):
    source: str  # the document's name
    offset: int  # of its first byte in the document
    score: float  # BM25: higher is better; comparable within one search
    text: str


class Notepad:
    """The exact words beside a memory, which has the gist: documents cut into passages, in RAM. docs/notepad.md tells more."""

    def __init__(self, core: _core.Notepad | None = None) -> None:
        """An empty one."""
        self._core = core if core is not None else _core.Notepad()

    @staticmethod
    def beside(memory: Path) -> "Notepad":
        """A copy of the notes beside a memory file, as `ingrain read` writes them. Raises Error if there are none."""
        return Notepad(_core.Notepad.beside(memory))

    def save_beside(self, memory: Path) -> None:
        """Writes it beside a memory file, for `ingrain ask MEMORY --notepad`, whole or not at all. Raises Error if a file of that
        name is no notepad."""
        self._core.save_beside(memory)

    def add(self, document: str, text: str) -> int:
        """Notes a document's text; returns into how many passages it was cut. Raises Error beyond 1 GiB."""
        return self._core.add(document, text)

    def __len__(self) -> int:
        """Passages."""
        return self._core.passages()

    def __bool__(self) -> bool:
        return True

    def search(self, question: str, limit: int = 4) -> list[Passage]:
        """At most `limit` passages that fit the question's words best, best first."""
        return [Passage(*found) for found in self._core.search(question, limit)]


def text_of(passages: Sequence[Passage]) -> str:
    """What a model reads of them before the question, for Dialogue.aside()."""
    return _core.Notepad.text_of(list(passages))
