"""Reconstructions, and the error of each image: MSE, PSNR, SSIM, all on pixels in [0,1]."""

from collections.abc import Callable
from math import prod

import numpy as np
import torch

from aecore.analysis.passes import of_part, parts, pictures
from aecore.config import Facts
from aecore.models import Autoencoder
from aecore.models.similarity import ssim_map

CHUNK = 1 << 19
"""Pixels that are compared at once: SSIM needs about 20 numbers for each in between."""


def reconstruct(
    model: Autoencoder, images: np.ndarray, facts: Facts, labels: np.ndarray | None = None, batch: int | None = None
) -> np.ndarray:
    """Images (N, C, H, W) uint8 encoded and decoded, as uint8 of the same shape; as images of these labels (N,), where the
    decoder asks for them.

    Raises:
        ValueError: where the images have another shape than those that the model was trained on, or labels are missing.
    """
    results, done = [np.empty((0, *facts.shape), np.uint8)], 0
    with model.evaluating():
        for x in parts(model, images, facts, batch):
            results.append(pictures(model.decode(model.encode(x), of_part(model, labels, done, len(x))), facts))
            done += len(x)
    return np.concatenate(results)


def mse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) mean squared error per pixel of images (N, C, H, W), uint8 or float in [0,1]."""
    return _by_chunk(_mse, a, b)


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) peak signal-to-noise ratio in dB, 10 log10(1 / MSE): see `psnr_of`."""
    return psnr_of(mse(a, b))


ROUNDING = 1 / (12 * 255**2)
"""MSE of rounding to 8 bits, 58.9 dB: an image without any error counts as this good, so that means are numbers."""


def psnr_of(errors: np.ndarray) -> np.ndarray:
    """(N,) PSNR in dB of squared errors (N,); one below that of rounding to 8 bits counts as that, 58.9 dB."""
    return -10 * np.log10(np.maximum(errors, ROUNDING))


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) structural similarity of images (N, C, H, W), uint8 or float in [0,1]. Wang et al. 2004.

    Gaussian window of win_size = min(11, the largest odd number up to the side), sigma 1.5, biased covariance, data range 1,
    mean over the channels and over all pixels whose window lies inside the image. These are scikit-image's numbers with that
    win_size, gaussian_weights=True and use_sample_covariance=False; as there, the Gaussian itself always has 11 taps, and
    images of less than 11 pixels are mirrored at their edges for it.
    """
    return _by_chunk(_ssim, a, b)


def unit(images: np.ndarray) -> np.ndarray:
    """uint8 or float in [0,1] as float64 in [0,1]."""
    return images / 255.0 if images.dtype == np.uint8 else images.astype(np.float64)


def _by_chunk(measure: Callable[[np.ndarray, np.ndarray], np.ndarray], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) float64: `measure` of images in [0,1], a chunk of them at a time."""
    size = max(1, CHUNK // prod(a.shape[1:]))
    chunks = [slice(first, first + size) for first in range(0, len(a), size)]
    return np.concatenate([np.empty(0), *(measure(unit(a[chunk]), unit(b[chunk])) for chunk in chunks)])


def _mse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.square(a - b).mean(axis=(1, 2, 3))
    return result


def _ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        result: np.ndarray = ssim_map(torch.from_numpy(a), torch.from_numpy(b)).mean((1, 2, 3)).numpy()
    return result
