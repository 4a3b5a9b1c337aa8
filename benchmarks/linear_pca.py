"""A trained `linear-pca` run against principal component analysis of the same training images.

    python -m benchmarks.linear_pca RUN

RUN is a run's folder or id. Prints both errors per pixel on the training images, their ratio (hold 1.01), and the largest
principal angle between the decoder's span and the principal subspace. Baldi & Hornik 1989.
"""

import sys

import numpy as np
import torch

import aecore
from aecore.analysis.baselines import pca_mse
from aecore.analysis.projection import fit_pca, largest_angle
from aecore.data import load, normalise
from aecore.runs import Lab

BATCH = 1000


def main(run: str) -> None:
    trained = aecore.load(run)
    images = load(trained.config.data, "train", Lab.open().data_roots).images
    k = trained.model.code_shape[0]
    errors = []
    with torch.inference_mode():
        for part in torch.from_numpy(np.array(images)).split(BATCH):
            x = normalise(part, trained.facts.value_range)  # (B, C, H, W)
            errors.append((trained.decoder(trained.encoder(x)) - x).square().mean(dim=(1, 2, 3)))
    ours, best = float(torch.cat(errors).mean()), pca_mse(images, images, k)
    pixels = images[0].size
    span = next(p for p in trained.decoder.parameters() if p.shape == (pixels, k)).detach().numpy().T
    components = fit_pca(images.reshape(len(images), -1) / 255.0, k).components
    print(f"linear autoencoder {ours:.6f}, PCA with {k} components {best:.6f}, ratio {ours / best:.5f}")
    print(f"largest principal angle {largest_angle(span, components):.2f} degrees")


if __name__ == "__main__":
    main(sys.argv[1])
