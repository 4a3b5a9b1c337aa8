"""Reconstructions, and the error of each image: MSE, PSNR, SSIM, all on pixels in [0,1]."""

import numpy as np

from aecore.analysis.passes import parts, pictures
from aecore.config import Facts
from aecore.models import Autoencoder

SIGMA, LARGEST_WINDOW = 1.5, 11
K1, K2 = 0.01, 0.03
CHUNK = 4 << 20
"""Pixels that SSIM works on at once: it needs about ten times as much memory in between."""


def reconstruct(model: Autoencoder, images: np.ndarray, facts: Facts, batch: int | None = None) -> np.ndarray:
    """Images (N, C, H, W) uint8 encoded and decoded, as uint8 of the same shape.

    Raises:
        ValueError: where the images have another shape than those that the model was trained on.
    """
    results = [np.empty((0, *facts.shape), np.uint8)]
    with model.evaluating():
        results += [pictures(model.decode(model.encode(x)), facts) for x in parts(model, images, facts, batch)]
    return np.concatenate(results)


def mse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) mean squared error per pixel of images (N, C, H, W), uint8 or float in [0,1]."""
    difference = unit(a) - unit(b)
    return np.mean(np.square(difference, out=difference), axis=(1, 2, 3))


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) peak signal-to-noise ratio in dB, 10 log10(1 / MSE); infinite for equal images."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mse(a, b))


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) structural similarity of images (N, C, H, W), uint8 or float in [0,1]. Wang et al. 2004.

    Gaussian window of min(11, the largest odd number up to the side), sigma 1.5, biased covariance, data range 1, mean over
    the channels and over all pixels whose window lies inside the image: scikit-image's gaussian_weights=True with
    use_sample_covariance=False.
    """
    pixels = int(np.prod(a.shape[1:]))
    size = max(1, CHUNK // pixels)
    return np.concatenate(
        [np.empty(0)] + [_ssim(unit(a[i : i + size]), unit(b[i : i + size])) for i in range(0, len(a), size)]
    )


def window_side(height: int, width: int) -> int:
    """Side of SSIM's window for images of this size."""
    side = min(height, width)
    return min(LARGEST_WINDOW, side - 1 + side % 2)


def unit(images: np.ndarray) -> np.ndarray:
    """uint8 or float in [0,1] as float64 in [0,1]."""
    return images / 255.0 if images.dtype == np.uint8 else images.astype(np.float64)


def _ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    radius = window_side(*a.shape[2:]) // 2
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SIGMA) ** 2)
    weights /= weights.sum()
    mean_a, mean_b = _filter(a, weights), _filter(b, weights)  # (N, C, H - 2 radius, W - 2 radius)
    variance_a = _filter(a * a, weights) - mean_a**2
    variance_b = _filter(b * b, weights) - mean_b**2
    covariance = _filter(a * b, weights) - mean_a * mean_b
    c1, c2 = K1**2, K2**2
    similarity = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    result: np.ndarray = similarity.mean(axis=(1, 2, 3))
    return result


def _filter(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Images filtered by `weights` along both sides, where the whole window lies inside."""
    for axis in (2, 3):
        length = images.shape[axis] - len(weights) + 1
        shifted = (images.take(range(i, i + length), axis=axis) for i in range(len(weights)))
        images = sum((w * part for w, part in zip(weights, shifted, strict=True)), np.zeros(()))
    return images
