"""What the rules of `aecore.runs.health` say of a run: found once where it has ended, and now and then while it goes on."""

from collections.abc import Sequence
from functools import lru_cache

from aecore.config import ConfigError
from aecore.runs import LabError, RunFolder, RunRow
from aecore.runs.database import OPEN
from aecore.runs.health import NOTHING, Finding, Seen, health
from ui.lab import lab
from ui.moments import sample_of
from ui.shared import once_in

LATELY = 10
"""Seconds for which that holds of a run that goes on: its whole curve is read for it."""


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
def _going(path: str, _attempt: int) -> tuple[Finding, ...]:
    return _health(path, ended=False)


@lru_cache(maxsize=256)
def _ended(path: str, _attempt: int, _size: int) -> tuple[Finding, ...]:
    return _health(path, ended=True)


def _health(path: str, ended: bool) -> tuple[Finding, ...]:
    folder = RunFolder(path)
    try:
        return tuple(health(folder.metrics()[0], folder.config(), _seen(folder), ended))
    except (ConfigError, ValueError):
        return ()


def _seen(folder: RunFolder) -> Seen:
    """What the newest sample shows; nothing where there is none that can be read, or the model is untrained."""
    steps, inputs = folder.sample_steps(), folder.inputs()
    if not steps or steps[-1] == 0 or inputs is None:
        return NOTHING
    try:
        newest = sample_of(folder, steps[-1])
    except LabError:
        return NOTHING
    return Seen(newest.codes, inputs.images, newest.x_hat)
