"""What a training run says of itself: rows of metrics, and how losses on a device become rows."""

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor


class Row(NamedTuple):
    """One number of a run, as metrics.csv has it."""

    step: int
    """Optimisation steps done; 0 is the untrained model."""
    epoch: int
    """Of the training split: the epoch that the step belongs to, from 1. Otherwise: epochs done."""
    split: str
    """'train', 'val' or 'test'."""
    name: str
    """'loss' (the sum of the autoencoder's terms), a term, 'mse' (per pixel, in [0,1] units), 'learning_rate', or what `Codes` tells of the watched split."""
    value: float


class Diverged(ArithmeticError):
    """A loss is NaN or infinite: that of a training step, which has not moved the weights then, or the held-out one after a step."""

    def __init__(self, step: int, value: float, which: str = "loss"):
        self.step, self.value = step, value
        self.rows: list[Row] = []
        """Of the steps before it that had not been handed out."""
        happened = f"at step {step:,}: training was stopped before this step changed the weights"
        if which != "loss":
            happened = f"after step {step:,}: training was stopped"
        super().__init__(f"The {which} is {value} {happened}. A lower learning rate or gradient clipping may help.")


FLUSH_SECONDS = 0.2
"""Longest time that losses stay on a GPU: reading each one at once would make every step wait for the device."""


UNREAD = 1024
"""Steps whose losses stay on a GPU at most: an engine may write those of the next one over the first."""


class Losses:
    """The losses of steps, as rows of means over windows of `width` steps.

    On the CPU a step's losses are read at once; on other devices they are collected and read together.
    """

    def __init__(self, width: int):
        self.width = width
        self.names: tuple[str, ...] = ()
        self.sums: list[float] = []
        self.count = 0
        self._pending: list[tuple[int, int, Tensor]] = []
        self._read = time.monotonic()

    def add(self, step: int, epoch: int, names: tuple[str, ...], values: Tensor) -> list[Row]:
        """Note a step's loss and its terms, `values` (1 + terms,), by their names; rows as far as they are known by now.

        Raises:
            Diverged: where a loss is not finite. On the CPU that is known before the optimiser's step.
        """
        self.names = names
        if values.device.type == "cpu":
            return self._into_window(step, epoch, values.tolist())
        self._pending.append((step, epoch, values))
        due = len(self._pending) == UNREAD or time.monotonic() - self._read > FLUSH_SECONDS
        return self.flush() if due else []

    def flush(self) -> list[Row]:
        """Rows of everything noted so far; a window that is not full is kept. Raises Diverged."""
        pending, self._pending, self._read = self._pending, [], time.monotonic()
        if not pending:
            return []
        rows: list[Row] = []
        noted = [values for _, _, values in pending]
        table = torch.stack(noted).tolist() if len(noted) > 1 else [noted[0].tolist()]
        try:
            for (step, epoch, _), values in zip(pending, table, strict=True):
                rows += self._into_window(step, epoch, values)
        except Diverged as error:
            error.rows = rows
            raise
        return rows

    def close(self, step: int, epoch: int) -> list[Row]:
        """Rows of everything, the last window though it is not full."""
        rows = self.flush()
        return rows + self._empty(step, epoch) if self.count else rows

    def _into_window(self, step: int, epoch: int, values: list[float]) -> list[Row]:
        for value in values:
            if not math.isfinite(value):
                raise Diverged(step, value)
        self.sums = [a + b for a, b in zip(self.sums or [0.0] * len(values), values, strict=True)]
        self.count += 1
        return self._empty(step, epoch) if self.count == self.width else []

    def _empty(self, step: int, epoch: int) -> list[Row]:
        rows = [
            Row(step, epoch, "train", name, total / self.count)
            for name, total in zip(self.names, self.sums, strict=True)
        ]
        self.sums, self.count = [], 0
        return rows
