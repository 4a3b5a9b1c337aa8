"""What the rules of `aecore.runs.health` say of a run: found once where it has ended, and now and then while it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from aecore.config import ConfigError
from aecore.runs import LabError, RunFolder, RunRow, files
from aecore.runs.curves import Curves, Seen
from aecore.runs.database import OPEN
from aecore.runs.health import NOTHING, Finding, health
from ui.lab import lab
from ui.moments import inputs_of, sample_of
from ui.shared import once_in

LATELY = 10
"""Seconds for which that holds of a run that goes on."""


def run_health(row: RunRow) -> Sequence[Finding]:
    """The findings of a run as it stands; none where its files cannot be read."""
    folder = lab().run(row.id)
    try:
        size = (folder.path / "metrics.csv").stat().st_size
    except FileNotFoundError:
        return ()
    path = str(folder.path)
    return _going(path, row.attempt) if row.state in OPEN else _ended(path, row.attempt, size)


@once_in(LATELY)
def _going(path: str, attempt: int) -> tuple[Finding, ...]:
    return _health(path, _read_so_far(path, attempt, files.inode(Path(path) / "metrics.csv")))


@lru_cache(maxsize=256)
def _ended(path: str, _attempt: int, _size: int) -> tuple[Finding, ...]:
    return _health(path)


@dataclass
class _Read:
    """Of a curve that grows: what was read, and the byte to go on from."""

    curves: Curves = field(default_factory=Curves)
    end: int = 0


@lru_cache(maxsize=32)
def _read_so_far(_path: str, _attempt: int, _file: int) -> _Read:
    """One that is read on; anew where a run goes on from a checkpoint, whose rows after it were cut off."""
    return _Read()


def _health(path: str, going: _Read | None = None) -> tuple[Finding, ...]:
    folder, read = RunFolder(path), going or _Read()
    try:
        config, seen = folder.config(), _seen(folder)
        rows, read.end = folder.metrics(read.end)
        return tuple(health(rows, config, seen, going is None, read.curves))
    except (ConfigError, ValueError):
        return ()


def _seen(folder: RunFolder) -> Seen:
    """What the newest sample shows; nothing where there is none that can be read, or the model is untrained."""
    steps = folder.sample_steps()
    if not steps or steps[-1] == 0:
        return NOTHING
    try:
        newest = sample_of(folder, steps[-1])
        return Seen(newest.codes, inputs_of(folder).images, newest.x_hat)
    except LabError:
        return NOTHING
