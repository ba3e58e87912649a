"""Trains a model to read with parameters, gradients and moments spread over the processes (FSDP), and checkpoints that any number
of processes resumes (torch.distributed.checkpoint):

    torchrun --nproc-per-node 2 examples/python/fsdp_train.py models/reader-17m examples/data/emma.txt -o out --steps 10
    torchrun --nproc-per-node 4 examples/python/fsdp_train.py models/reader-17m examples/data/emma.txt -o out --steps 20 --resume

The steps are those of ddp_train.py. The model is one unit: its parameters are gathered for the whole of a step, so that what is
spread in between is moments and gradients.
"""

import argparse

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from ddp_train import join, settings, train
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

from ingrain.torch import TTTModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true")
    options = settings(parser)
    device = join()
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
    train(trained, optimizer, options, device, int(done))
    weights, moments = get_state_dict(trained, optimizer)
    dcp.save({"model": weights, "optimizer": moments, "step": torch.tensor(options.steps)}, checkpoint_id=checkpoint)
    whole = get_model_state_dict(trained, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if dist.get_rank() == 0:
        finished = TTTModel.load(options.model)
        finished.load_state_dict(whole)
        finished.save(options.output)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
