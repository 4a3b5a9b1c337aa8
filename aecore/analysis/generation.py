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
