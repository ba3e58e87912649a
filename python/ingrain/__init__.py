"""Language models that learn what they read.

    import ingrain

    model = ingrain.Model.load("models/reader-17m")
    memory = ingrain.Memory(model)
    memory.read(open("book.txt").read())
    for piece in memory.fork().generate(max_tokens=60, temperature=0.7):
        print(piece, end="", flush=True)

ingrain.torch trains models in PyTorch, ingrain.hf hands them to transformers. docs/python.md tells more.
"""

import torch as _torch

from . import _abi, _built

_problem = _abi.problem(_built.TORCH, _torch.__version__)
if _problem:
    raise ImportError(_problem)

from .dialogue import Answer, Dialogue  # noqa: E402
from .errors import Error, OptionError, UsageError  # noqa: E402
from .memory import InnerStep, Memory, MemoryInfo, Reader, Reading, Writing, memory_info  # noqa: E402
from .model import Model, Score, find_models, model_of_memory, train  # noqa: E402
from .notepad import Notepad, Passage  # noqa: E402

__version__ = _built.VERSION

__all__ = [
    "Answer",
    "Dialogue",
    "Error",
    "InnerStep",
    "Memory",
    "MemoryInfo",
    "Model",
    "Notepad",
    "OptionError",
    "Passage",
    "Reader",
    "Reading",
    "Score",
    "UsageError",
    "Writing",
    "find_models",
    "memory_info",
    "model_of_memory",
    "train",
]
