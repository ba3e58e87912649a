"""Trains a model to read with parameters, gradients and moments spread over the processes (FSDP), and checkpoints that any number
of processes resumes (torch.distributed.checkpoint):

    torchrun --nproc-per-node 2 examples/python/fsdp_train.py models/reader-17m examples/data/emma.txt -o out --steps 10
    torchrun --nproc-per-node 4 examples/python/fsdp_train.py models/reader-17m examples/data/emma.txt -o out --steps 20 --resume

The steps are those of ddp_train.py. The model is one unit: its parameters are gathered for the whole of a step, so that what is
spread in between is moments and gradients.
"""

import argparse
import os

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from ddp_train import batches, settings
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

from ingrain.torch import TTTModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true")
    options = settings(parser)
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = f"cuda:{os.environ['LOCAL_RANK']}" if torch.cuda.is_available() else "cpu"
    model = TTTModel.load(options.model, device=device)
    trained = fully_shard(model)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=options.lr, betas=(0.9, 0.95), weight_decay=0.1)
    checkpoint, done = f"{options.output}.checkpoint", torch.tensor(0)
    if options.resume:
        weights, moments = get_state_dict(trained, optimizer)
        state = {"model": weights, "optimizer": moments, "step": done}
        dcp.load(state, checkpoint_id=checkpoint)
        set_state_dict(trained, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        done = state["step"]
    for step, batch in enumerate(batches(options, rank, world)):
        if step < done:
            continue  # was seen before
        loss = trained(batch.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        dist.all_reduce(mean := loss.detach() / world)
        if rank == 0:
            print(f"step {step + 1}: {mean.item():.6f} nats a token", flush=True)
    weights, moments = get_state_dict(trained, optimizer)
    dcp.save({"model": weights, "optimizer": moments, "step": torch.tensor(options.steps)}, checkpoint_id=checkpoint)
    whole = get_model_state_dict(trained, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if rank == 0:
        finished = TTTModel.load(options.model)
        finished.load_state_dict(whole)
        finished.save(options.output)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
