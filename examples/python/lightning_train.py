"""Trains a model to read by Lightning (pip install lightning), which takes care of devices and processes:

    python examples/python/lightning_train.py models/reader-17m examples/data/emma.txt -o out --precision bf16-mixed

In one process the steps are those of ddp_train.py; on several, Lightning gives each of them other batches.
"""

import argparse

import lightning
import torch
from ddp_train import batches, settings

from ingrain.torch import TTTModel


class Reader(lightning.LightningModule):
    def __init__(self, model: str, lr: float) -> None:
        super().__init__()
        self.model, self.lr = TTTModel.load(model), lr

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        loss = self.model(batch)
        self.print(f"step {index + 1}: {loss.item():.6f} nats a token")
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr, betas=(0.9, 0.95), weight_decay=0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    options = settings(parser)
    reader = Reader(options.model, options.lr)
    trainer = lightning.Trainer(max_epochs=1, gradient_clip_val=1.0, precision=options.precision, logger=False,
                                enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(reader, torch.utils.data.DataLoader(list(batches(options)), batch_size=None))
    if trainer.is_global_zero:
        reader.model.save(options.output)


if __name__ == "__main__":
    main()
