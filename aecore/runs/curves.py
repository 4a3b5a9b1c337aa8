"""What the rules of health look at: the values that a run wrote, by name, and its newest sample."""

from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from aecore.runs.folder import MetricRow


class Seen(NamedTuple):
    """Of the newest sample; None where there is none."""

    codes: np.ndarray | None = None
    """(m, D), for units that never change."""
    targets: np.ndarray | None = None
    """(n, C, H, W) uint8."""
    x_hat: np.ndarray | None = None
    """(n, C, H, W) uint8: what the model made of them, for pixels that never change."""


class Curves:
    """The values of a run by name: those of the training, and those of the watched split. It grows with the run."""

    def __init__(self) -> None:
        self.train: dict[str, array[float]] = {}
        self.watched: dict[str, array[float]] = {}
        self.epochs: dict[str, array[float]] = {}
        """Of the watched values: epochs done."""
        self.step = 0
        """Of the last row."""
        self.codes, self.targets, self.x_hat = Seen()
        self.ended = True

    def add(self, rows: Iterable[MetricRow]) -> "Curves":
        for step, epoch, split, name, value in rows:
            self.step = max(self.step, step)
            (self.train if split == "train" else self.watched).setdefault(name, array("d")).append(value)
            if split != "train":
                self.epochs.setdefault(name, array("d")).append(epoch)
        return self

    def of_train(self, name: str) -> np.ndarray:
        """(n,) finite values of each step or window, in order."""
        return _finite(self.train.get(name))

    def of_watch(self, name: str) -> np.ndarray:
        """(n,) finite values, the untrained model's first."""
        return _finite(self.watched.get(name))

    def epochs_of(self, name: str) -> np.ndarray:
        """(n,) int64: epochs done at each value of `of_watch`; an evaluation may come after several."""
        finite = np.isfinite(np.array(self.watched.get(name) or (), dtype=np.float64))
        return np.array(self.epochs.get(name) or (), dtype=np.int64)[finite]

    def last(self, name: str) -> float | None:
        found = self.of_watch(name)
        return float(found[-1]) if len(found) else None


def _finite(values: "array[float] | None") -> np.ndarray:
    found = np.array(values or (), dtype=np.float64)  # a copy: what shares an array's memory keeps it from growing
    return found[np.isfinite(found)]
