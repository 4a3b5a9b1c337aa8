"""The preset `linear-pca` on MNIST against principal component analysis: the error within 1 %, and the same subspace.

    AELAB_DATA=... python -m benchmarks.linear_pca [--epochs N]

Both are measured on the training images, per pixel, in [0,1] units.
"""

import argparse
import os
import time
from pathlib import Path

import torch

from aecore import training
from aecore.analysis.baselines import pca_mse
from aecore.analysis.projection import fit_pca, largest_angle
from aecore.config import preset, with_values
from aecore.data import normalise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=preset("linear-pca").config.training.epochs)
    config = with_values(preset("linear-pca").config, {"training.epochs": parser.parse_args().epochs})
    roots = [Path(place) for place in os.environ.get("AELAB_DATA", "lab/data").split(os.pathsep)]
    data = training.prepare(config, roots, training.device.choose(config.training.device))
    state = training.start(config, data.facts)
    begin = time.perf_counter()
    for row in training.train(state, data, config):
        if row.name == "mse":
            print(f"epoch {row.epoch:3}  {row.split} {row.value:.6f}", flush=True)
    seconds = time.perf_counter() - begin
    report(state, data, seconds)


def report(state: training.TrainState, data: training.Data, seconds: float) -> None:
    """Error and subspace beside those of PCA."""
    images = data.train_images.cpu().numpy()
    weight = dict(state.model.decoder.named_parameters())["bottleneck.0.weight"].detach().cpu().numpy()  # (pixels, k)
    k = weight.shape[1]
    error = reconstruction_error(state, data)
    least = pca_mse(images, images, k)
    angle = largest_angle(weight.T, fit_pca(images.reshape(len(images), -1), k).components)
    print(f"linear autoencoder {error:.6f}, PCA {least:.6f}: {100 * (error / least - 1):.3f} % above (hold 1 %)")
    print(f"largest principal angle between the decoder's span and the principal subspace: {angle:.2f} degrees")
    print(f"{seconds:.1f} s of training on {training.device.describe(state.device)}")


def reconstruction_error(state: training.TrainState, data: training.Data) -> float:
    """Mean squared error per pixel over all training images, unclipped, as PCA's."""
    total = 0.0
    with state.model.evaluating():
        for part in data.train_images.split(4096):
            x = normalise(part, data.facts.value_range)
            total += float((state.model.decode(state.model.encode(x)) - x).square().double().sum())
    return total / data.train_images.numel()


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    main()
