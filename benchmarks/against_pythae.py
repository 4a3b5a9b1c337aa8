"""The same convolutional network trained by us and by pythae (Chadebec et al. 2022): test error and time, on MNIST.

    python -m benchmarks.against_pythae [--steps 400] [--batch 100] [--only ae vae vq_vae wae_mmd]

For each model both begin with the same weights (and the same code book: what the untrained encoder makes of some images), see
the same images once in batches of the same size, and use Adam with the same rate; losses and weights of their terms are the same.
The error is the mean squared error per pixel in [0,1] over the test split, from the mean of the posterior where there is one.
Time is the processor's, of this process on one thread, of the training alone: other work on the machine counts little. Images are
found through AELAB_DATA.
"""

import argparse
import contextlib
import io
import logging
import os
import tempfile
import time
from typing import Any

import numpy as np
import torch
from pythae import models
from pythae.data.datasets import BaseDataset
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn

from aecore import training
from aecore.analysis.reconstruction import mse
from aecore.config import DataConfig, RunConfig, parse
from aecore.data import Split, facts, load, to_image
from aecore.models import Autoencoder
from aecore.models.bottlenecks import EnterGaussian
from aecore.models.divergences import IMQ_SCALES
from aecore.models.quantised import EnterVq
from aecore.runs import Lab

SHAPE, LATENT, RATE, COMMITMENT = (1, 28, 28), 16, 1e-3, 0.25
BACKBONE = {"kind": "conv", "channels": [16, 32], "kernel": 4, "stride": 2, "padding": 1, "output": "sigmoid"}
PARTS: dict[str, dict[str, Any]] = {
    "ae": {"bottleneck": {"kind": "vector"}, "objective": {"kind": "reconstruction"}},
    "vae": {"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "elbo", "loss": "bce"}},
    # pythae sums over pixels and takes the mean over a vector: the same weight in our mean over pixels
    "vq_vae": {
        "bottleneck": {"kind": "vq", "dimension": LATENT, "commitment": COMMITMENT / 784, "restart": 0},
        "objective": {"kind": "reconstruction"},
    },
    "wae_mmd": {"bottleneck": {"kind": "vector"}, "objective": {"kind": "wae", "weight": 10}},
}


class Encoder(BaseEncoder):
    """Our layers under pythae's name."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.layers, self.bottleneck = model.encoder.layers, model.encoder.bottleneck
        if isinstance(self.bottleneck, EnterVq):
            self.bottleneck = self.bottleneck.project

    def forward(self, x: Tensor) -> ModelOutput:
        features = self.layers(x)
        if isinstance(self.bottleneck, EnterGaussian):
            mu, log_var = self.bottleneck.posterior(features)
            return ModelOutput(embedding=mu, log_covariance=log_var)
        return ModelOutput(embedding=self.bottleneck(features))


class Decoder(BaseDecoder):
    def __init__(self, model: Autoencoder):
        super().__init__()
        self.decoder: nn.Module = model.decoder

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.decoder(z))


def configured(name: str, steps: int, batch: int, seed: int = 1) -> RunConfig:
    train = {"batch_size": batch, "epochs": 1, "max_steps": steps, "learning_rate": RATE, "device": "cpu", "seed": seed}
    return parse({"data": {"name": "mnist"}, "model": {"backbone": BACKBONE, **PARTS[name]}, "training": train})


def ours(config: RunConfig, train: Split, test: np.ndarray) -> tuple[float, float]:
    """Test error and seconds."""
    known, few = facts(config.data, []), train.images[:100]
    labels = torch.zeros(len(train.images), dtype=torch.int64)
    data = training.Data(
        torch.from_numpy(train.images), labels, torch.from_numpy(few), labels[:100], np.arange(100), "val", known
    )
    state = training.start(config, known, 1)
    if isinstance(enter := state.model.encoder.bottleneck, EnterVq):
        fill(first_vectors(state.model, train), enter.book.vectors, enter.book.sums, enter.book.counts)
    begin = time.process_time()
    for _ in training.train(state, data, config):
        pass
    seconds = time.process_time() - begin
    return error(state.model.eval(), lambda x: state.model.decode(state.model.encode(x)), test), seconds


def theirs(name: str, config: RunConfig, train: Split, test: np.ndarray) -> tuple[float, float]:
    """The same of pythae, from the weights that ours begins with."""
    start = training.start(config, facts(config.data, []), 1).model
    model = of_pythae(name, Encoder(start), Decoder(start))
    if isinstance(model, models.VQVAE):
        book = model.quantizer
        fill(first_vectors(start, train), book.embeddings, book.ema_embed, book.cluster_size)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        setting = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=1,
            per_device_train_batch_size=config.training.batch_size,
            learning_rate=RATE,
            optimizer_cls="Adam",
            no_cuda=True,
            seed=config.training.seed,
        )
        images = torch.from_numpy(train.images).float() / 255
        trainer = BaseTrainer(model, BaseDataset(images, torch.zeros(len(images))), training_config=setting)
        begin = time.process_time()
        trainer.train()
        seconds = time.process_time() - begin
    return error(model.eval(), lambda x: rebuilt(model, x), test), seconds


def first_vectors(model: Autoencoder, train: Split) -> Tensor:
    """(codes, width): what the untrained encoder makes of places of the first images, drawn at random."""
    enter = model.encoder.bottleneck
    assert isinstance(enter, EnterVq)
    with torch.inference_mode():
        found, _ = enter.vectors(model.encoder.layers(torch.from_numpy(train.images[:100]).float() / 255))
    return found[torch.randperm(len(found), generator=torch.Generator().manual_seed(0))[: enter.codes]].clone()


def fill(start: Tensor, vectors: Tensor, sums: Tensor, counts: Tensor) -> None:
    """A code book whose every vector was taken once."""
    vectors.data.copy_(start)
    sums.data.copy_(start)
    counts.data.fill_(1.0)


def of_pythae(name: str, encoder: Encoder, decoder: Decoder) -> Any:
    shape = {"input_dim": SHAPE, "latent_dim": LATENT}
    configs = {
        "ae": lambda: models.AE(models.AEConfig(**shape), encoder, decoder),
        "vae": lambda: models.VAE(models.VAEConfig(**shape, reconstruction_loss="bce"), encoder, decoder),
        "vq_vae": lambda: models.VQVAE(
            models.VQVAEConfig(**shape, num_embeddings=512, use_ema=True, commitment_loss_factor=COMMITMENT),
            encoder,
            decoder,
        ),
        "wae_mmd": lambda: models.WAE_MMD(
            models.WAE_MMD_Config(**shape, reg_weight=10.0, scales=list(IMQ_SCALES)), encoder, decoder
        ),
    }
    return configs[name]()


def rebuilt(model: Any, x: Tensor) -> Tensor:
    """Without noise."""
    z = model.encoder(x).embedding
    if isinstance(model, models.VQVAE):
        z = model.quantizer(z.permute(0, 2, 3, 1)).quantized_vector
    reconstruction: Tensor = model.decoder(z).reconstruction
    return reconstruction


def error(model: nn.Module, reconstruct: Any, test: np.ndarray) -> float:
    with torch.inference_mode():
        parts = [reconstruct(torch.from_numpy(part).float() / 255) for part in np.array_split(test, 40)]
    return float(mse(test, to_image(torch.cat(parts), (0, 1)).numpy()).mean())


def told(name: str, error: float, seconds: float, their_error: float, their_seconds: float) -> None:
    ratio = their_seconds / seconds
    print(f"{name:10}{error:>10.5f}{their_error:>12.5f}{seconds:>9.1f}{their_seconds:>10.1f}{ratio:>15.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1, help="of weights, order and noise; a row each, then the means")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # pythae prints its settings
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    roots = Lab.open().data_roots
    data = DataConfig(name="mnist")
    train, test = load(data, "train", roots), load(data, "test", roots).images
    chosen = train.take(np.random.default_rng(0).permutation(len(train.labels))[: options.steps * options.batch])
    print(f"{options.steps} steps of {options.batch}, torch {torch.__version__}, one thread")
    print(f"{'model':10}{'our MSE':>10}{'pythae MSE':>12}{'our s':>9}{'pythae s':>10}{'times as fast':>15}")
    for name in options.only:
        found = []
        for seed in range(1, options.seeds + 1):
            config = configured(name, options.steps, options.batch, seed)
            found.append((*ours(config, chosen, test), *theirs(name, config, chosen, test)))
            told(name, *found[-1])
        if options.seeds > 1:
            told("  mean", *np.mean(found, 0))
            off = np.array(found)[:, 0] - np.array(found)[:, 2]
            print(f"  ours minus pythae's: {off.mean():+.5f}, standard error {off.std(ddof=1) / len(off) ** 0.5:.5f}")


if __name__ == "__main__":
    main()
