"""Trains a model to read, in PyTorch, on as many processes as torchrun starts:

    torchrun --nproc-per-node 2 examples/python/ddp_train.py models/reader-17m examples/data/emma.txt -o out --steps 10

Each process has its share of the batch; the gradients are averaged by DistributedDataParallel, so that the result does not
depend on how many processes there are, but for the order of sums.
"""

import argparse
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import ingrain
from ingrain.torch import TTTModel


def settings(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What every example of this folder that trains is told."""
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4, help="sequences of a step, over all processes")
    parser.add_argument("--length", type=int, default=2048, help="tokens of a sequence; a multiple of the model's chunk")
    parser.add_argument("--lr", type=float, default=1e-4)
    return parser.parse_args()


def batches(options: argparse.Namespace, rank: int = 0, world: int = 1) -> Iterator[torch.Tensor]:
    """Of each step this process's share, [B / world, length + 1]: sequences of the text, the same in all runs."""
    if options.batch % world:
        raise SystemExit(f"--batch {options.batch} is no multiple of the {world} processes")
    with open(options.text, encoding="utf-8") as file:
        tokens = ingrain.Model.load(options.model, dtype="fp32", device="cpu").encode(file.read(), document=True)
    data = torch.tensor(tokens).unfold(0, options.length + 1, options.length)  # a sequence's last token is the next one's first
    order = torch.Generator().manual_seed(1)
    for _ in range(options.steps):
        yield data[torch.randint(len(data), (options.batch,), generator=order)][rank::world]


def join() -> str:
    """Meets the processes that torchrun started; this one's device."""
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return f"cuda:{os.environ['LOCAL_RANK']}" if torch.cuda.is_available() else "cpu"


def train(trained: torch.nn.Module, optimizer: torch.optim.Optimizer, options: argparse.Namespace, device: str, done: int = 0) -> None:
    """All steps but the first `done`, which were made before; the first process tells of each."""
    rank, world = dist.get_rank(), dist.get_world_size()
    for step, batch in enumerate(batches(options, rank, world)):
        if step < done:
            continue
        loss = trained(batch.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        dist.all_reduce(mean := loss.detach() / world)
        if rank == 0:
            print(f"step {step + 1}: {mean.item():.6f} nats a token", flush=True)


def main() -> None:
    options = settings(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter))
    device = join()
    model = TTTModel.load(options.model, device=device)
    trained = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.95), weight_decay=0.1)
    train(trained, optimizer, options, device)
    if dist.get_rank() == 0:
        model.save(options.output)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
