"""What simple methods reach: errors that a trained autoencoder is held against."""

from collections.abc import Callable

import numpy as np

from aecore.analysis.projection import PCA, fit_pca
from aecore.analysis.reconstruction import mse, psnr_of

CHUNK = 1 << 23
"""Pixels that are worked on at once."""


def reached(make: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> dict[str, float]:
    """{'mse', 'psnr'} of what a method makes of images (N, C, H, W) uint8: means over them, of pictures, as of a model's."""
    step = max(1, CHUNK // max(1, images[0].size))
    parts = [images[first : first + step] for first in range(0, len(images), step)]
    errors = np.concatenate([mse(part, make(part)) for part in parts])
    return {"mse": float(errors.mean(dtype=np.float64)), "psnr": float(psnr_of(errors).mean(dtype=np.float64))}


def pca_mse(train: np.ndarray, test: np.ndarray, k: int) -> float:
    """Mean squared error per pixel of `test` (N, C, H, W) uint8, in [0,1] units, on the first k principal components of the training
    images, as numbers: neither rounded nor cut to black and white. k is at most min(N, C H W).

    It is the least that a linear autoencoder with k code units can reach on its training images. Baldi & Hornik 1989.
    """
    fitted = fit_images(train, k)
    pca = fitted._replace(mean=fitted.mean / 255)  # fitted to bytes as they are, used on [0,1]
    return _mean([np.square(x - pca.lift(pca.project(x))).mean(axis=1) for x in _rows(test)])


def fit_images(train: np.ndarray, k: int) -> PCA:
    """The first k principal components of images (N, C, H, W) uint8 as they are, in bytes."""
    return fit_pca(train.reshape(len(train), -1), k)


def mean_of(train: np.ndarray) -> np.ndarray:
    """The mean (C, H, W) uint8 of images (N, C, H, W): what is given for each of them."""
    mean: np.ndarray = train.mean(axis=0, dtype=np.float64).round().astype(np.uint8)
    return mean


def pca_of(fitted: PCA, images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) uint8 as the components see them, as uint8 again."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    lifted = fitted.lift(fitted.project(flat))
    return lifted.round().clip(0, 255).astype(np.uint8).reshape(images.shape)


def _rows(images: np.ndarray) -> list[np.ndarray]:
    """(N, C, H, W) uint8 as chunks of (n, C H W) float32 in [0,1]."""
    flat = images.reshape(len(images), -1)
    step = max(1, CHUNK // flat.shape[1])
    return [flat[first : first + step].astype(np.float32) / 255 for first in range(0, len(flat), step)]


def _mean(errors: list[np.ndarray]) -> float:
    return float(np.concatenate(errors).mean(dtype=np.float64))
