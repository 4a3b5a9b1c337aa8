"""The figures of a model on a split."""

import numpy as np

from aecore.analysis.reconstruction import mse, psnr, reconstruct, ssim
from aecore.config import Facts
from aecore.models import Autoencoder


def evaluate(model: Autoencoder, images: np.ndarray, facts: Facts) -> dict[str, float]:
    """{'mse', 'psnr', 'ssim', 'n'}: means over images (N, C, H, W) uint8, each against its reconstruction as a picture.

    PSNR is the mean of the images' PSNR, in dB, not the PSNR of the mean error.
    """
    x_hat = reconstruct(model, images, facts)
    figures = {name: float(measure(images, x_hat).mean()) for name, measure in MEASURES.items()}
    return figures | {"n": float(len(images))}


MEASURES = {"mse": mse, "psnr": psnr, "ssim": ssim}
