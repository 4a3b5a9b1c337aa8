"""What simple methods reach: errors that a trained autoencoder is held against."""

import numpy as np

from aecore.analysis.projection import PCA, fit_pca

CHUNK = 1 << 23
"""Pixels that are worked on at once."""


def mean_image_mse(train: np.ndarray, test: np.ndarray) -> float:
    """Mean squared error per pixel, in [0,1] units, of giving the mean training image for each of `test` (N, C, H, W) uint8."""
    mean = train.mean(axis=0, dtype=np.float64).ravel() / 255
    return _mean([np.square(x - mean).mean(axis=1) for x in _rows(test)])


def pca_mse(train: np.ndarray, test: np.ndarray, k: int) -> float:
    """The same for k principal components of the training images; k is at most min(N, C H W).

    It is the least that a linear autoencoder with k code units can reach on its training images. Baldi & Hornik 1989.
    """
    return fitted_mse(fit_images(train, k), test)


def fit_images(train: np.ndarray, k: int) -> PCA:
    """The first k principal components of images (N, C, H, W) uint8 as they are, in bytes."""
    return fit_pca(train.reshape(len(train), -1), k)


def fitted_mse(fitted: PCA, test: np.ndarray) -> float:
    """`pca_mse` of components that are known already."""
    pca = fitted._replace(mean=fitted.mean / 255)  # fitted to bytes as they are, used on [0,1]
    return _mean([np.square(x - pca.lift(pca.project(x))).mean(axis=1) for x in _rows(test)])


def mean_of(train: np.ndarray) -> np.ndarray:
    """The mean (C, H, W) uint8 of images (N, C, H, W)."""
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
