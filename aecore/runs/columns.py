"""The rows of metrics.csv as columns that grow with the file: 24 bytes a row, in few large pieces, and no row is read twice."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from aecore.runs.folder import MetricRow, RunFolder

TYPES = (np.int64, np.int32, np.int32, np.float64)
PIECE = 1 << 18
"""Bytes of the file that are rows of Python's at a time: some thousand rows."""


class Columns(NamedTuple):
    """Rows in the order of the file."""

    step: np.ndarray
    """(n,) int64."""
    epoch: np.ndarray
    """(n,) int32."""
    curve: np.ndarray
    """(n,) int32: its place among the names."""
    value: np.ndarray
    """(n,) float64."""
    names: Sequence[tuple[str, str]]
    """Split and name of each curve, in the order in which they begin."""
    end: int = 0
    """The byte to go on from."""

    def at(self, places: np.ndarray) -> "Columns":
        """Only these rows, by their places or as a mask."""
        return self._replace(**{name: getattr(self, name)[places] for name in self._fields[:4]})

    def rows(self) -> list[MetricRow]:
        names = [self.names[place] for place in self.curve.tolist()]
        numbers = zip(self.step.tolist(), self.epoch.tolist(), names, self.value.tolist(), strict=True)
        return [(step, epoch, split, name, value) for step, epoch, (split, name), value in numbers]


class Growing:
    """Columns that are read on. What was handed out stays as it was."""

    def __init__(self) -> None:
        self._columns = [np.empty(0, kind) for kind in TYPES]
        self._places: dict[tuple[str, str], int] = {}
        self._count, self._end, self._turn = 0, 0, Lock()

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Sequence[MetricRow]) -> "Growing":
        if rows:
            step, epoch, splits, names, value = zip(*rows, strict=True)
            places, more = self._places, self._count + len(rows)
            curve = [places.setdefault(pair, len(places)) for pair in zip(splits, names, strict=True)]
            self._make_room(more)
            for column, new in zip(self._columns, (step, epoch, curve, value), strict=True):
                column[self._count : more] = _numbers(new, column.dtype)
            self._count = more
        return self

    def _make_room(self, count: int) -> None:
        """For twice as many: memory that nothing was written to is none yet."""
        if count > len(self._columns[0]):
            for place, old in enumerate(self._columns):
                self._columns[place] = np.empty(2 * count, old.dtype)
                self._columns[place][: self._count] = old[: self._count]

    def read_on(self, folder: RunFolder, until: int) -> Columns:
        """All rows, of what was written since only as far as byte `until`. Raises ValueError where a line is none."""
        with self._turn:
            while self._end < until:
                rows, end = folder.metrics(self._end, min(until, self._end + PIECE))
                if end == self._end:  # a line that is being written
                    break
                self.add(rows)
                self._end = end
            return self.all()

    def all(self) -> Columns:
        step, epoch, curve, value = (column[: self._count] for column in self._columns)
        return Columns(step, epoch, curve, value, list(self._places), self._end)


def _numbers(found: Sequence[float], kind: np.dtype[Any]) -> np.ndarray:
    try:
        return np.fromiter(found, kind, len(found))
    except OverflowError:
        raise ValueError(f"{max(found, key=abs)} in metrics.csv is no step and no epoch: it is too large.") from None


RUNS, ROWS = 8, 1_000_000
"""How many are kept, and rows of all of them together: the newest in any case."""
_kept: OrderedDict[tuple[str, int, int], Growing] = OrderedDict()
_turn = Lock()


def read_on(folder: RunFolder, attempt: int, file: int, until: int) -> Columns:
    """The rows of a run, of which only those are read that nobody has asked for before.

    Args:
        attempt, file: the run's attempt, and the inode of its metrics.csv: what goes on from a checkpoint is read anew.
        until: the file's length in bytes.
    """
    with _turn:
        key = (str(folder.path), attempt, file)
        growing = _kept.setdefault(key, Growing()) if file else Growing()
        if file:
            _kept.move_to_end(key)
    found = growing.read_on(folder, until)
    with _turn:
        while len(_kept) > RUNS or (len(_kept) > 1 and sum(map(len, _kept.values())) > ROWS):
            _kept.popitem(last=False)
    return found
