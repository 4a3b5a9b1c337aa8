"""How well the error of an image tells that its class was left out: five models and PCA, MNIST without the 0.

    python -m benchmarks.anomalies [--epochs 10] [--code 8]

Every model has the dense layers and the training of the preset `anomaly-mnist`, and learns the digits 1 to 9; only the code, the
objective or the task is another one. The score is the mean squared error of a test image; AUROC is the chance that a 0 has a
larger one than another digit. Trained on the CPU, on one thread. MNIST is found through AELAB_DATA.
"""

import argparse
import sys

import numpy as np
import torch

from aecore.analysis.anomalies import detection
from aecore.analysis.baselines import fit_images
from aecore.analysis.reconstruction import mse, reconstruct
from aecore.analysis.seen import seen
from aecore.config import RunConfig
from aecore.data import choose, load
from aecore.runs import Lab
from benchmarks.behaviour import configured, facts_of, trained

MODELS: dict[str, list[str]] = {
    "plain": [],
    "variational (VAE)": ["model.bottleneck.kind=gaussian", "model.objective.kind=elbo"],
    "Wasserstein (WAE)": ["model.objective.kind=wae"],
    "contractive": ["model.objective.kind=contractive"],
    "denoising, sigma 0.3": ["task.kind=denoise", "task.sigma=0.3"],
}


def errors_of_pca(config: RunConfig, images: np.ndarray, code: int) -> np.ndarray:
    """(N,) mean squared errors of principal components fitted to the training images."""
    train = choose(load(config.data, "train", Lab.open().data_roots), config.training).images
    fitted = fit_images(train, code)
    x = images.reshape(len(images), -1)
    back = fitted.lift(fitted.project(x)).reshape(images.shape)
    return mse(images, back.round().clip(0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--code", type=int, default=8)
    parser.add_argument("--only", nargs="+", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    test = load(configured("anomaly-mnist", []).data, "test", Lab.open().data_roots)
    strange = test.labels == 0
    print(f"{options.epochs} epochs, code size {options.code}, {len(strange):,} test images, {strange.sum()} of them 0")
    print(f"{'model':24}{'AUROC':>8}{'average precision':>20}{'MSE of 1-9':>12}{'MSE of 0':>10}")
    for name in options.only:
        changes = MODELS[name]
        sized = [f"training.epochs={options.epochs}", f"model.bottleneck.latent_dim={options.code}"]
        config = configured("anomaly-mnist", [*changes, *sized])
        print("python -m aecore train --preset anomaly-mnist", *(f"--set {one}" for one in changes), file=sys.stderr)
        model, facts = trained(config), facts_of(config)
        told(name, mse(test.images, reconstruct(model, seen(config, test.images, facts), facts)), strange)
    told("PCA", errors_of_pca(configured("anomaly-mnist", []), test.images, options.code), strange)


def told(name: str, errors: np.ndarray, strange: np.ndarray) -> None:
    found = detection(errors, strange)
    known, left_out = errors[~strange].mean(), errors[strange].mean()
    print(
        f"{name:24}{found['auroc']:>8.3f}{found['average_precision']:>20.3f}{known:>12.5f}{left_out:>10.5f}", flush=True
    )


if __name__ == "__main__":
    main()
