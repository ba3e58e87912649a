"""Tensors of a memory that outlive it, for who looks at every access: AddressSanitizer in test_python_lifetimes.py, and valgrind (a
minute of processor time, so no part of ./ingrain test):

    PYTHONMALLOC=malloc OMP_NUM_THREADS=1 valgrind --undef-value-errors=no --error-limit=no .venv/bin/python tests/python/lifetimes.py

Nothing but the dynamic linker's strncmp may be reported. What lies in the tensors is checked, too. With --then-read-what-is-gone
the last thing it does is what must be reported."""
import ctypes
import gc
import os
import pathlib
import sys
import tempfile

from python_package import save_tiny

import torch  # noqa: E402, I001
import ingrain  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    model = ingrain.Model.load(save_tiny(pathlib.Path(folder) / "tiny"), dtype="fp32", device="cpu")
memory = ingrain.Memory(model)
memory.read("a text of some length, read for its weights")
weights, everything, parameters = memory.fast_weights(), memory.tensors(), model.parameters()
shared, place, nll = torch.from_dlpack(weights["fast.0.w2"]), memory.next_logits(copy=False), memory.read("more of it").nll
before = {name: x.clone() for name, x in weights.items()}
memory.read("and more that makes steps from these weights, which are held")
del memory, model
gc.collect()
assert all(torch.equal(x, before[name]) for name, x in weights.items()) and torch.equal(shared, before["fast.0.w2"])
assert all(x.double().sum().isfinite() for x in (place, nll[1:], *everything.values(), *parameters.values()))


def read(places):
    """Every byte, by memcpy, which AddressSanitizer watches in programs that were compiled without it."""
    return [ctypes.string_at(*place) for place in places]


places = [(x.data_ptr(), x.nbytes) for x in (*weights.values(), shared, place, nll)]
read([*places, *((x.data_ptr(), x.nbytes) for x in (*everything.values(), *parameters.values()))])
del weights, shared, place, nll, everything, parameters
gc.collect()
print("all tensors lived as long as they were held", flush=True)
if "--then-read-what-is-gone" in sys.argv:
    read(places[:1])
os._exit(0)  # without torch's own end, which valgrind takes minutes for
