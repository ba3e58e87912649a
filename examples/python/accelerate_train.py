"""Trains a model to read by Hugging Face's Accelerate (pip install accelerate), on whatever `accelerate launch` starts:

    accelerate launch examples/python/accelerate_train.py models/reader-17m examples/data/emma.txt -o out --mixed-precision bf16

The steps are those of ddp_train.py. Mixed precision is torch.autocast's, which decides in what type the model computes.
"""

import argparse

import torch
from accelerate import Accelerator
from ddp_train import batches, settings

from ingrain.torch import TTTModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixed-precision", default="no", choices=["no", "bf16"])
    options = settings(parser)
    accelerator = Accelerator(mixed_precision=options.mixed_precision)
    model = TTTModel.load(options.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.95), weight_decay=0.1)
    trained, optimizer = accelerator.prepare(model, optimizer)
    for step, batch in enumerate(batches(options, accelerator.process_index, accelerator.num_processes)):
        loss = trained(batch.to(accelerator.device))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        mean = accelerator.reduce(loss.detach(), "mean").item()
        accelerator.print(f"step {step + 1}: {mean:.6f} nats a token")
    if accelerator.is_main_process:
        accelerator.unwrap_model(trained).save(options.output)
    accelerator.end_training()


if __name__ == "__main__":
    main()
