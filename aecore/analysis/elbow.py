"""From which code size on more of it helps little. numpy only."""

from collections.abc import Sequence

import numpy as np

FEWEST = 4
"""Sizes below which a bend says nothing."""


def elbow(sizes: Sequence[int], errors: Sequence[float]) -> int | None:
    """The size after which the error falls least: the point farthest below the line from the first to the last point.

    Kneedle for a decreasing convex curve (Satopaa et al. 2011), over the logarithm of the size, both axes scaled to [0, 1].
    None for fewer than four sizes, where the error does not fall, and where no point lies below the line.

    >>> elbow([1, 2, 4, 8, 16], [1.0, 0.4, 0.1, 0.08, 0.07])
    4
    """
    order = np.argsort(sizes)
    x, y = np.log(np.asarray(sizes, float)[order]), np.asarray(errors, float)[order]
    if len(set(sizes)) < FEWEST or not np.isfinite(y).all() or y[0] <= y[-1]:
        return None
    x, y = (x - x[0]) / (x[-1] - x[0]), (y - y[-1]) / (y[0] - y[-1])
    below = 1 - x - y
    return int(np.asarray(sizes)[order][below.argmax()]) if below.max() > 1e-9 else None
