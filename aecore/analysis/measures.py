"""How far each image is from its reconstruction, by four measures, an array of one number an image each."""

import numpy as np
import torch

from aecore.analysis.reconstruction import mse, psnr_of, unit
from aecore.models.similarity import ssim_and_ms_ssim

BATCH = 256

Measures = dict[str, np.ndarray]
"""{'mse', 'ssim', 'ms_ssim': (N,) float32}."""


def measures(images: np.ndarray, x_hat: np.ndarray) -> Measures:
    """Every measure of x_hat against images, (N, C, H, W) uint8 each.

    'ms_ssim', the mean over the channels, is similarity at several scales (Wang, Simoncelli & Bovik 2003): as many of the five
    as leave a side of 11 pixels, so two of images of 28 pixels, and then the weights' sum is 1 again.
    """
    found = [np.empty((2, 0))]
    with torch.inference_mode():
        for first in range(0, len(images), BATCH):
            pair = (torch.from_numpy(unit(part[first : first + BATCH])) for part in (images, x_hat))
            found.append(torch.stack(ssim_and_ms_ssim(*pair)).mean(2).numpy())
    ssim, ms_ssim = np.concatenate(found, axis=1)
    values = {"mse": mse(images, x_hat), "ssim": ssim, "ms_ssim": ms_ssim}
    return {name: one.astype(np.float32) for name, one in values.items()}


def means(found: Measures) -> dict[str, float]:
    """{'mse', 'psnr', 'ssim', 'ms_ssim', 'n'}: the mean over the images of each; that of PSNR is of the images' PSNR."""
    whole = {"psnr": psnr_of(found["mse"].astype(np.float64)), **found}
    return {name: float(np.mean(values, dtype=np.float64)) for name, values in whole.items()} | {"n": len(found["mse"])}
