"""How far each image is from its reconstruction, by four measures, an array of one number an image each."""

import numpy as np
import torch

from aecore.analysis.evaluation import ROUNDING
from aecore.analysis.reconstruction import mse, ssim, unit
from aecore.models.similarity import ms_ssim as ms_ssim_of_channels

BATCH = 256

Measures = dict[str, np.ndarray]
"""{'mse', 'ssim', 'ms_ssim': (N,) float32}."""


def measures(images: np.ndarray, x_hat: np.ndarray) -> Measures:
    """Every measure of x_hat against images, (N, C, H, W) uint8 each."""
    found = {"mse": mse(images, x_hat), "ssim": ssim(images, x_hat), "ms_ssim": ms_ssim(images, x_hat)}
    return {name: values.astype(np.float32) for name, values in found.items()}


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) similarity at several scales of images (N, C, H, W), the mean over the channels. Wang, Simoncelli & Bovik 2003.

    As many of the five scales as leave a side of 11 pixels: two of images of 28 pixels, and then the weights' sum is 1 again.
    """
    found = [np.empty(0)]
    with torch.inference_mode():
        for first in range(0, len(a), BATCH):
            pair = (torch.from_numpy(unit(images[first : first + BATCH])) for images in (a, b))
            found.append(ms_ssim_of_channels(*pair).mean(1).numpy())
    return np.concatenate(found)


def psnr_of(errors: np.ndarray) -> np.ndarray:
    """(N,) PSNR in dB of squared errors (N,); one without any error counts as rounding to 8 bits, 58.9 dB."""
    return -10 * np.log10(np.maximum(errors, ROUNDING))


def means(found: Measures) -> dict[str, float]:
    """{'mse', 'psnr', 'ssim', 'ms_ssim', 'n'}: the mean over the images of each; that of PSNR is of the images' PSNR."""
    whole = {"psnr": psnr_of(found["mse"].astype(np.float64)), **found}
    return {name: float(np.mean(values, dtype=np.float64)) for name, values in whole.items()} | {"n": len(found["mse"])}
