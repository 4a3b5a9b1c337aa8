"""New images from codes that no image was encoded to."""

import numpy as np

from aecore.analysis.latent import decode
from aecore.config import Facts
from aecore.models import Autoencoder


def grid(model: Autoencoder, facts: Facts, n: int, span: float) -> np.ndarray:
    """An n x n map of a two-dimensional code: images (n, n, C, H, W) uint8, both features from -span to span.

    Rows go from the top, where the second feature is largest, as on a plot.

    Raises:
        ValueError: for a code that has not two dimensions.
    """
    side = np.linspace(-span, span, n, dtype=np.float32)
    first, second = np.meshgrid(side, side[::-1])
    return decode(model, np.stack([first.ravel(), second.ravel()], axis=1), facts).reshape(n, n, *facts.shape)


def agreement(images: np.ndarray, real: np.ndarray, labels: np.ndarray, k: int = 5, needed: int = 4) -> np.ndarray:
    """(n,) bool: whether at least `needed` of the k real images that are nearest to each of `images` have one label.

    Nearest by squared distance of the pixels: images (n, C, H, W), real (N, C, H, W) with labels (N,). For images that look
    like one class it is true, for what lies between the classes it is not.
    """
    known = real.reshape(len(real), -1).astype(np.float32) / 255
    squares = np.square(known).sum(1)
    votes = []
    for part in np.array_split(images.reshape(len(images), -1).astype(np.float32) / 255, max(1, len(images) // 250)):
        distances = squares - 2 * part @ known.T  # but for |part|^2, which is the same for all
        near = labels[np.argpartition(distances, k, axis=1)[:, :k]]  # (n, k)
        votes.append((near[:, :, None] == near[:, None]).sum(1).max(1))
    return np.concatenate(votes) >= needed
