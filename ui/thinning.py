"""Long curves as far as a screen can show them: of each stretch of rows the smallest and the largest value, and the mean."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from aecore.runs.folder import MetricRow, TimingRow

STRETCHES = 800
"""Of a curve: about a third of the pixels that a projector has across."""
FEWEST, MOST = 50, 60_000
"""Stretches of a curve where there are thousands of curves, and rows of all curves together."""

Mean = tuple[int, int, float | None, int]
"""Step and epoch of the last of some rows, the mean of those that are finite, and how many there are."""


class Thinned(NamedTuple):
    """Rows of curves. What is told of training beside them is told of those curves alone that lost some."""

    rows: list[MetricRow]
    stretches: dict[str, list[Mean]]
    epoch_means: dict[str, list[Mean]]
    thinned: bool
    """Whether any row was left out."""


def thin(rows: Sequence[MetricRow]) -> Thinned:
    """The first and the last row of each curve, and the smallest and largest of each stretch of it, in their order."""
    curves: dict[tuple[str, str], list[int]] = {}
    for place, (_, _, split, name, _) in enumerate(rows):
        curves.setdefault((split, name), []).append(place)
    count = max(FEWEST, min(STRETCHES, MOST // (2 * max(1, len(curves)))))
    found = Thinned([], {}, {}, False)
    kept: list[int] = []
    for (split, name), places in curves.items():
        values = np.array([rows[place][4] for place in places])
        chosen = extremes(values, count)
        kept += [places[i] for i in chosen]
        if split == "train" and len(chosen) < len(places):
            curve = [rows[place] for place in places]
            found.stretches[name] = _means(curve, values, _bounds(len(values), count))
            found.epoch_means[name] = _of_epochs(curve, values, count)
    return found._replace(rows=[rows[place] for place in sorted(kept)], thinned=len(kept) < len(rows))


def thin_timing(rows: Sequence[TimingRow]) -> list[TimingRow]:
    """The same of what is measured every second, by the speed."""
    return [rows[i] for i in extremes(np.array([row.images_per_second for row in rows]), STRETCHES)]


def extremes(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the first and last value, and of the smallest and largest one of `count` stretches; of all where they are few.

    Returns: (n,) int64, rising.
    """
    if len(values) <= 2 * count + 2:
        return np.arange(len(values))
    bounds, finite = _bounds(len(values), count), np.isfinite(values)
    low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
    found = [0, len(values) - 1]
    for begin, end in pairwise(bounds):
        found += [begin + int(low[begin:end].argmin()), begin + int(high[begin:end].argmax())]
    return np.unique(found)


def _bounds(length: int, count: int) -> np.ndarray:
    """(count + 1,) places between stretches that are as equal as can be."""
    return np.arange(count + 1) * length // count


def _of_epochs(rows: Sequence[MetricRow], values: np.ndarray, count: int) -> list[Mean]:
    """The mean of each epoch; of thousands of epochs those that stand out."""
    epochs = np.array([row[1] for row in rows])
    means = _means(rows, values, np.r_[0, 1 + np.flatnonzero(np.diff(epochs)), len(epochs)])
    return [means[i] for i in extremes(np.array([mean[2] for mean in means], dtype=np.float64), count)]


def _means(rows: Sequence[MetricRow], values: np.ndarray, bounds: np.ndarray) -> list[Mean]:
    finite = np.isfinite(values)
    sums = np.add.reduceat(np.where(finite, values, 0.0), bounds[:-1])
    counts = np.add.reduceat(finite.astype(np.int64), bounds[:-1])
    ends = [rows[end - 1] for end in bounds[1:]]
    return [
        (row[0], row[1], float(total / n) if n else None, int(n))
        for row, total, n in zip(ends, sums, counts, strict=True)
    ]
