"""Long curves as far as a screen can show them: of each stretch of rows the smallest and the largest value, and the mean."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from aecore.runs.columns import Columns
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


def thin(told: Columns) -> Thinned:
    """The first and the last row of each curve, and the smallest and largest of each stretch of it, in their order."""
    lengths = np.bincount(told.curve, minlength=1)
    curves = np.split(np.argsort(told.curve, kind="stable"), np.cumsum(lengths)[:-1])  # the places of each one's rows
    curves = sorted((places for places in curves if len(places)), key=lambda places: int(places[0]))
    count = max(FEWEST, min(STRETCHES, MOST // (2 * max(1, len(curves)))))
    found = Thinned([], {}, {}, False)
    kept = np.zeros(len(told.curve), bool)
    for places in curves:
        curve = told.at(places)
        chosen = extremes(curve.value, count)
        kept[places[chosen]] = True
        split, name = told.names[curve.curve[0]]
        if split == "train" and len(chosen) < len(places):
            found.stretches[name] = _means(curve, _bounds(len(places), count))
            found.epoch_means[name] = _of_epochs(curve, count)
    return found._replace(rows=told.at(kept).rows(), thinned=not bool(kept.all()))


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


def _of_epochs(curve: Columns, count: int) -> list[Mean]:
    """The mean of each epoch; of thousands of epochs those that stand out."""
    means = _means(curve, np.r_[0, 1 + np.flatnonzero(np.diff(curve.epoch)), len(curve.epoch)])
    return [means[i] for i in extremes(np.array([mean[2] for mean in means], dtype=np.float64), count)]


def _means(curve: Columns, bounds: np.ndarray) -> list[Mean]:
    finite = np.isfinite(curve.value)
    sums = np.add.reduceat(np.where(finite, curve.value, 0.0), bounds[:-1])
    counts = np.add.reduceat(finite.astype(np.int64), bounds[:-1])
    ends = curve.at(bounds[1:] - 1)
    return [
        (step, epoch, total / n if n else None, n)
        for step, epoch, total, n in zip(
            ends.step.tolist(), ends.epoch.tolist(), sums.tolist(), counts.tolist(), strict=True
        )
    ]
