"""How sure a difference of two models is: paired differences over the test images, resampled. numpy only."""

from typing import NamedTuple

import numpy as np

SAMPLES = 2000
CHUNK = 1 << 22
"""Numbers that are drawn at once."""


class Interval(NamedTuple):
    """The mean of paired differences, and where it lies in 95 of 100 resamplings of the images."""

    mean: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether 0 is outside: the sign of the difference does not depend on which images were tested."""
        return not self.low <= 0 <= self.high


def intervals(differences: np.ndarray, seed: int = 0) -> list[Interval]:
    """The percentile interval (95 %) of the mean of each row of `differences` (K, N). Efron & Tibshirani 1993, chapter 13.

    All rows are resampled alike, `SAMPLES` times, with a fixed seed. An interval of fewer than two images is infinite.
    """
    rows, count = differences.shape
    if count < 2:
        return [Interval(float(row.mean()) if count else 0.0, -np.inf, np.inf) for row in differences]
    means = np.concatenate([drawn @ differences.T for drawn in _shares(count, seed)])  # (SAMPLES, K)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return [Interval(float(differences[k].mean()), float(low[k]), float(high[k])) for k in range(rows)]


def _shares(count: int, seed: int) -> list[np.ndarray]:
    """(SAMPLES, count) in chunks: of each resampling, the share that each image has in it."""
    generator, found, left = np.random.default_rng(seed), [], SAMPLES
    while left:
        some = min(left, max(1, CHUNK // count))
        places = generator.integers(0, count, (some, count)) + count * np.arange(some)[:, None]
        found.append(np.bincount(places.ravel(), minlength=some * count).reshape(some, count) / np.float32(count))
        left -= some
    return found
