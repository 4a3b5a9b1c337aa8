"""The runs of a sweep along what was varied."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean
from typing import Any, NamedTuple

from aecore.analysis.elbow import elbow
from aecore.config import flat
from ui.comparison import Compared
from ui.differing import titles
from ui.scales import Axis
from ui.stored import told
from ui.widgets import say
from ui.words import shown

CODE_SIZE = "code size, numbers"
MOST_LINES = 8
"""Where each of more runs than that has a second value of its own, they are on no lines."""


class Trial(NamedTuple):
    """One run of a sweep: what was set, and what came of it."""

    run: Compared
    x: float
    line: str
    """The second field's value, where two were varied."""
    metrics: dict[str, Any]
    validation: float | None
    """MSE on the validation split: what may be chosen by."""
    joined: bool = True
    """Whether a line goes through it and those with the same second value: not through pairs that were drawn at random."""


def trials(runs: Sequence[Compared], sizes: Sequence[int]) -> tuple[Axis, list[Trial]]:
    """What the horizontal axis is, and the runs along it; `sizes` are the code sizes of those that wait, too."""
    axis, places, lines = _varied(runs, sizes)
    joined = not len(set(lines)) == len(lines) > MOST_LINES
    found = []
    for run, x, line in zip(runs, places, lines, strict=True):
        result = told(run, "result.json")
        chosen = result.get("mse") if result.get("split") == "val" else None
        found.append(Trial(run, x, line if joined else "", told(run, "analysis/metrics.json"), chosen, joined))
    return axis, sorted(found, key=lambda trial: trial.x)


def _varied(runs: Sequence[Compared], sizes: Sequence[int]) -> tuple[Axis, list[float], list[str]]:
    """The axis, the place of each run on it, and the line that it is on: the code size, or else what was varied: numbers before words."""
    flats, own = [flat(run.config) for run in runs], [run.row.code_size for run in runs]
    paths = [p for p in flats[0] if p not in ("name", "training.seed") and len({str(one.get(p)) for one in flats}) > 1]
    columns = {path: [one.get(path) for one in flats] for path in paths}
    numbers = [path for path, column in columns.items() if all(map(_number, column))]
    first, called = next(iter([*numbers, *paths]), ""), titles(runs, paths)
    if len(set(sizes)) > 1 or not first:
        rest = [path for path in paths if not _alike(columns[path], own)]
        axis, places = Axis(CODE_SIZE, _wide(sizes), 2, sizes, whole=True), [float(size) for size in own]
    else:
        rest = [path for path in paths if path != first]
        axis, places = _along(called[first], columns[first])
    names = [
        ", ".join(f"{called[path]} {say(shown(columns[path][at]))}" for path in rest[:1]) for at in range(len(runs))
    ]
    return axis, places, names


def _along(title: str, values: Sequence[Any]) -> tuple[Axis, list[float]]:
    """An axis of numbers, or of words in the order in which they were queued, and the places on it."""
    if all(map(_number, values)):
        whole = all(isinstance(value, int) for value in values)
        return Axis(title, _wide(values), room=values, whole=whole), [float(value) for value in values]
    words = list(dict.fromkeys(say(shown(value)) for value in values))
    return Axis(title, words=words), [words.index(say(shown(value))) + 1.0 for value in values]


def _wide(values: Sequence[float]) -> bool:
    """Whether an axis of these is a logarithmic one."""
    return min(values) > 0 and max(values) >= 8 * min(values)


def _alike(column: Sequence[Any], sizes: Sequence[int]) -> bool:
    """Whether a field goes with the code size, one to one, as that which sets it does."""
    pairs = sorted(
        {(size, str(value)): (size, value) for size, value in zip(sizes, column, strict=True)}.values(),
        key=lambda pair: pair[0],
    )
    if not len(pairs) == len(set(sizes)) == len(set(map(str, column))):
        return False
    return not all(map(_number, column)) or all(a[1] < b[1] for a, b in pairwise(pairs))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_contest(found: Sequence[Trial]) -> bool:
    """Whether these runs should give the same images: only then do their errors say which is better."""
    return len({trial.run.kind for trial in found}) < 2


def best_size(found: Sequence[Trial]) -> int | None:
    """The elbow of the mean validation error over the code size: the test images are only for telling."""
    if not is_contest(found) or not all(trial.joined for trial in found):
        return None
    errors: dict[int, list[float]] = {}
    for trial in found:
        if trial.validation is not None:
            errors.setdefault(int(trial.x), []).append(trial.validation)
    return elbow(list(errors), [mean(values) for values in errors.values()])
