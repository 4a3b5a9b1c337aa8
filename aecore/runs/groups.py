"""Runs that differ in their seed alone, and what they say together."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aecore.runs.values import UNLIKE


class Interval(NamedTuple):
    """Mean of several runs, and half the width of its 95 % interval; None of one run alone."""

    mean: float
    half: float | None
    n: int


def interval(found: Iterable[float | None]) -> Interval | None:
    """Mean and 95 % interval by Student's t of the numbers that are known; None where there is none.

    >>> interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, half=2.4841..., n=3)
    """
    from scipy.special import stdtrit  # few pages group runs

    numbers = [value for value in found if value is not None and math.isfinite(value)]
    n = len(numbers)
    if n == 0:
        return None
    mean = math.fsum(numbers) / n
    if n == 1:
        return Interval(mean, None, 1)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in numbers) / (n - 1))
    return Interval(mean, float(stdtrit(n - 1, 0.975)) * spread / math.sqrt(n), n)


def once(found: Sequence[float | None], seeds: Sequence[Any]) -> list[float | None]:
    """A number for each seed, the mean of its runs: the same seed again is no further draw.

    >>> once([1.0, 3.0, 5.0, None], [0, 0, 1, 2])
    [2.0, 5.0, None]
    """
    runs: dict[Any, list[float | None]] = {}
    for value, seed in zip(found, seeds, strict=True):
        runs.setdefault(seed, []).append(value)
    means = [interval(values) for values in runs.values()]
    return [None if mean is None else mean.mean for mean in means]


def by_seed(ids: Sequence[str], configs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The ids in groups of equal configs but for seed and name, each where its first one stands; one without a config is alone."""
    groups: dict[Any, list[str]] = {}
    for run_id, config in zip(ids, configs, strict=True):
        key = tuple(sorted((path, str(value)) for path, value in config.items() if path not in UNLIKE)) or run_id
        groups.setdefault(key, []).append(run_id)
    return list(groups.values())
