"""Everything that is known of runs by name, for a table's columns and filters: the row, every config field, every result."""

import os
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from aecore.config import ConfigError, flat
from aecore.runs import files
from aecore.runs.errors import LabError
from aecore.runs.folder import RunFolder
from aecore.runs.index import RunRow
from aecore.runs.lab import Lab

ROW = {
    "id": "id",
    "state": "shown",
    "name": "name",
    "owner": "owner",
    "data": "dataset",
    "code": "code_size",
    "epoch": "epoch",
    "epochs": "epochs",
    "step": "step",
    "loss": "loss",
    "speed": "images_per_second",
    "device": "device",
    "parent": "parent",
    "sweep": "sweep",
    "tag": "tags",
    "note": "note",
}
"""Name in a filter -> field of the row."""
FIELDS = attrgetter(*ROW.values())
SEED = "training.seed"
UNLIKE = frozenset({SEED, "name"})
"""Fields in which runs of one group may differ."""
RESULTS = ("result.", "test.", "quality.", "factors.")
"""How the names of results begin: of the training, on the test images, of the code, and of known factors in it."""

Values = Mapping[str, Any]


def values(lab: Lab, row: RunRow) -> Values:
    """{name: value} of the row, `flat` config fields by their paths, and results as `result.mse`, `test.psnr`,
    `quality.knn_accuracy` and `factors.mig`.

    A run whose files cannot be read has what its row says. Results that come without a change of the row are found within LOOK
    seconds.
    """
    return all_values(lab, [row])[0]


def all_values(lab: Lab, rows: Sequence[RunRow]) -> list[Values]:
    """The same of many: a Path for each file of thousands of runs takes longer than the files do."""
    place = str(lab.runs_folder)
    return [_values(f"{place}/{row.id}", row) for row in rows]


def config_values(lab: Lab, row: RunRow) -> Values:
    """{path: value} of every field of a run's config; nothing where it cannot be read."""
    return _config(os.path.join(lab.runs_folder, row.id))


def _config(folder: str) -> Values:
    try:
        return _read_config(folder)
    except ConfigError:  # it may come back, from a backup
        return {}


@lru_cache(maxsize=20_000)
def _read_config(folder: str) -> Values:
    """It never changes. Raises ConfigError."""
    return flat(RunFolder(Path(folder)).config())


LOOK = 10
"""Seconds after which the files of a run that says nothing new are looked at again, as an analysis leaves them."""


class _Known(NamedTuple):
    """Of a run: its row, when its files were looked at and how old they were then, what they said, and all of it together."""

    row: RunRow | None
    looked: Hashable
    written: tuple[int, ...]
    results: Values
    values: Values


_known: dict[str, _Known] = {}
"""By the run's folder: one object for all who ask, as long as nothing of it changes, so that nobody may change it."""
NOTHING = _Known(None, None, (), {}, {})
MANY = 20_000


def _values(folder: str, row: RunRow) -> Values:
    """Thousands of files are not looked at each time: for each the thread lets go of the interpreter, and waits for it again."""
    moment = int(time.monotonic() / LOOK + hash(folder) % 97 / 97)  # not all runs at once
    looked, known = (row.state, row.attempt, row.ended, moment), _known.get(folder, NOTHING)
    if looked == known.looked and row is known.row:
        return known.values
    written, results, values = known.written, known.results, known.values
    if looked != known.looked:
        written = tuple(_written(f"{folder}/{file}") for file in FILES)
    if written != known.written:
        results = _measured(folder, *written)
    if results is not known.results or row != known.row:
        values = {**_config(folder), **results, **dict(zip(ROW, FIELDS(row), strict=True))}
    if len(_known) >= MANY:
        _known.clear()
    _known[folder] = _Known(row, looked, written, results, values)
    return values


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


FILES = ("result.json", "analysis/metrics.json", "config.json")


def _measured(folder: str, result: int, analysis: int, _config: int) -> Values:
    """Numbers of result.json, and those on the test images; a file that was written at 0 is not there."""
    kept = (
        _json(Path(folder), "result.json") if result else {},
        _json(Path(folder), "analysis/metrics.json") if analysis else {},
    )
    parts = {"result": kept[0], "test": kept[1].get("test", {})}
    parts |= {"quality": kept[1].get("code", {}), "factors": kept[1].get("disentanglement", {})}
    return {
        f"{part}.{name}": value
        for part, content in parts.items()
        if isinstance(content, dict)
        for name, value in content.items()
        if isinstance(value, int | float)
    }


def _json(folder: Path, name: str) -> dict[str, Any]:
    with suppress(OSError, LabError):
        return files.told(folder, name) or {}
    return {}


def names(found: Sequence[Values]) -> list[str]:
    """Every name that some run has: the row's first, then results, then config fields, in their order."""
    kinds = dict.fromkeys(map(tuple, found))  # thousands of runs have a handful of sets of names
    seen = dict.fromkeys(name for kind in kinds for name in kind)
    rest = [name for name in seen if name not in ROW]
    results = [name for name in rest if name.startswith(RESULTS)]
    return [*ROW, *sorted(results), *(name for name in rest if name not in results)]
