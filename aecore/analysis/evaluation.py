"""The figures of a model on a split."""

import numpy as np

from aecore.analysis.reconstruction import mse, psnr, reconstruct, ssim
from aecore.config import Facts
from aecore.models import Autoencoder


def evaluate(
    model: Autoencoder,
    images: np.ndarray,
    facts: Facts,
    seen: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> dict[str, float]:
    """{'mse', 'psnr', 'ssim', 'n'}: means over images (N, C, H, W) uint8 that the decoder should give, each against its
    reconstruction as a picture.

    PSNR is the mean of the images' PSNR, in dB, not the PSNR of the mean error. With `seen`, what the encoder sees instead
    of the images, reconstructions are made from that, and {'psnr_seen', 'gain'} come on top: see `gain`. `labels` (N,) are
    needed where the decoder asks for them.
    """
    seen = images if seen is None else seen
    x_hat = reconstruct(model, seen, facts, labels)
    figures = {name: float(measure(images, x_hat).mean()) for name, measure in MEASURES.items()}
    return figures | {"n": float(len(images))} | ({} if seen is images else gain(images, seen, x_hat))


def gain(images: np.ndarray, seen: np.ndarray, x_hat: np.ndarray) -> dict[str, float]:
    """{'psnr_seen', 'gain'} in dB: the mean PSNR of what the encoder saw, and by how much the reconstructions are above it.

    gain = mean over the images of PSNR(x_hat, image) - PSNR(seen, image), all of them uint8. Images that the task left as
    they were, such as a grey one whose colours are to be found, are left out: there is nothing to gain. {} if all were.
    """
    changed = mse(images, seen) > 0
    if not changed.any():
        return {}
    before = psnr(images[changed], seen[changed])
    after = psnr(images[changed], x_hat[changed])
    return {"psnr_seen": float(before.mean()), "gain": float((after - before).mean())}


MEASURES = {"mse": mse, "psnr": psnr, "ssim": ssim}
