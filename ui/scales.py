"""The scales of plots: from values to pixels, and where their ticks are."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Axis(NamedTuple):
    """A title with its unit, and the scale."""

    title: str
    log: bool = False
    base: int = 10
    """Of a logarithmic scale: where its ticks are; of base 2 at its values, where there are few powers."""
    room: Sequence[float] = ()
    """Values that it reaches to, whether points are there or not."""
    whole: bool = False
    """Whether there is nothing between two whole numbers."""
    words: Sequence[str] = ()
    """What stands at 1, 2, ... instead of numbers."""


class Scale:
    """From values to pixels."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, end: float):
        self.axis, self.start, self.end = axis, start, end
        self.reached = sorted({*values, *axis.room, *range(1, len(axis.words) + 1)})
        low, high = self._value(self.reached[0]), self._value(self.reached[-1])
        room = (0.5 if axis.words else 0) or 0.06 * (high - low) or (0.3 if axis.log else 0.1 * abs(high) or 1.0)
        self.low, self.high = low - room, high + room
        if not axis.log and min(values) >= 0:
            self.low = max(self.low, 0.0)

    def _value(self, value: float) -> float:
        return math.log(value, self.axis.base) if self.axis.log else value

    def at(self, value: float) -> float:
        share = (self._value(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.axis.words:
            return [place + 1.0 for place in range(len(self.axis.words))]
        found = self._log_ticks() if self.axis.log else _even(self.low, self.high)
        if self.axis.base == 2 and len(found) < 3 and self._apart():
            return self.reached
        whole = [value for value in found if value.is_integer()] if self.axis.whole else []
        return whole or found

    def _apart(self) -> bool:
        """Whether there is room for a number at each value."""
        return all(abs(self.at(b) - self.at(a)) > 28 for a, b in pairwise(self.reached))

    def _log_ticks(self) -> list[float]:
        base = self.axis.base
        powers = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
        if len(powers) >= 3 or base == 2:
            step = max(1, len(powers) // 7)
            return [float(base) ** power for power in powers][::step]
        many = [m * 10.0**p for p in range(math.floor(self.low), math.ceil(self.high) + 1) for m in (1, 2, 3, 5)]
        fine = [v for v in many if self.low <= math.log10(v) <= self.high]
        return fine if len(fine) >= 2 else _even(base**self.low, base**self.high)


def number(value: float) -> str:
    """A tick's value in few characters.

    >>> number(0.02), number(16.0), number(1500.0), number(469_000.0), number(2_000_000.0)
    ('0.02', '16', '1,500', '469k', '2M')
    """
    if value and abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M" if abs(value) < 1e9 else f"{value / 1e9:.3g}G"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.4g}k"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def told(values: Sequence[float]) -> list[str]:
    """Ticks in few characters, in more where two would read the same.

    >>> told([12.82, 12.84]), told([436_100.0, 436_150.0])
    (['12.82', '12.84'], ['436,100', '436,150'])
    """
    found = list(map(number, values))
    if len(set(found)) == len(found):
        return found
    step = min(abs(b - a) for a, b in pairwise(values))
    return [f"{value:,.{max(0, math.ceil(-math.log10(step)))}f}" for value in values]


def _even(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = magnitude * min((1, 2, 5, 10), key=lambda m: abs(m * magnitude - rough))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]
