"""The same reading with each of its two steps compiled whole by torch.compile: a segment's prefix, and a chunk's score,
gradient and inner step (torch.func.grad: forward and backward in one graph). Shapes are fixed, as torch.compile wants them:
before the text's start there are keys that nobody sees."""
import signal

import torch
from reader import Reader


class CompiledReader(Reader):
    def __init__(self, folder):
        super().__init__(folder)
        self.compiled_prefix = torch.compile(self.prefix_pass, dynamic=False, fullgraph=True)
        self.compiled_chunk = torch.compile(self.learn, dynamic=False, fullgraph=True)
        size = (self.window - 1, self.c["num_key_value_heads"], self.c["head_dim"])
        self.nothing = (torch.zeros(size), torch.zeros(size))

    def place(self, first, count, past, full=False):
        cos, sin, seen = super().place(first, count, past)
        return cos, sin, seen & (torch.arange(seen.shape[1]) >= len(past[0]) - first)

    def learn(self, h, targets, fast, place, past):
        def loss(fast):
            out, carried = self.suffix_pass(h, fast, place, past)
            losses = self.score(out, targets)
            return losses.mean(), (losses, carried)

        g, (losses, carried) = torch.func.grad(loss, has_aux=True)(fast)
        return losses, carried, self.inner_step(fast, g)

    @torch.no_grad()
    def read(self, tokens):
        inputs, targets = tokens[:-1], tokens[1:]
        fast, nll = self.first_fast(), []
        past, past_suffix = [self.nothing] * (self.layers - self.suffix), [self.nothing] * self.suffix
        for first in range(0, len(inputs), 1024):
            part = inputs[first : first + 1024]
            h, past = self.compiled_prefix(part, self.place(first, len(part), past[0]), past)
            for begin in range(0, len(h), self.chunk):
                at, end = first + begin, begin + self.chunk
                place = self.place(at, self.chunk, past_suffix[0])
                losses, past_suffix, fast = self.compiled_chunk(h[begin:end], targets[at : at + self.chunk], fast, place, past_suffix)
                nll.append(losses)
        return torch.cat(nll)


def within(seconds, run):
    """run(), broken off with a TimeoutError after so long; asked again every second, as torch.compile survives some errors."""
    def stop(*_):
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        return run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
