"""Pages rerun when something that they show in words has changed, and not by the clock: the browser asks for a stamp."""

import time
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import streamlit as st

from aecore.jobs.forecast import Forecast, forecast, told
from aecore.runs import RunRow, events, runs
from aecore.runs import run as read_run
from aecore.runs.database import OPEN
from ui.healing import run_health
from ui.lab import lab
from ui.live import component

FINDINGS = 10
"""Seconds between looks at how a run does: its whole curve is read for it."""
PARTS = 10
"""Of a run's progress that the table of runs shows as it goes; its page shows every step."""

_pulse = component("pulse")


def pulse(path: str, stamp: str, key: str, seconds: float = 2) -> None:
    """Rerun what this stands in (the page, or the fragment) when the route at `path` gives another stamp than this; asked so often.

    Where the route refuses, the page was open for longer than its tokens hold: all of it is made anew, which gives it new ones.
    """
    data = {"path": path, "stamp": stamp, "every": 1000 * seconds}
    said = _pulse(data=data, key=key, on_changed_change=lambda: None, on_refused_change=lambda: None)
    if said.refused:
        st.rerun()


def run_stamp(row: RunRow) -> str:
    """Of everything on a run's page but its curves and pictures, which are alive by themselves."""
    folder = lab().run(row.id)
    expected = forecast(lab()).get(row.id) if row.shown == "queued" else None
    written = [_written(folder.path / name) for name in ("log.txt", "result.json", "analysis/metrics.json")]
    return stamp_of(
        (row.shown, row.reason, row.note, row.tags, row.archived, row.device, bool(row.step)),
        (told(expected) if expected else "", written, len(events(lab(), row.id))),
        _findings(row.id, row.shown, int(time.time() / FINDINGS) if row.state in OPEN else 0),
    )


def table_stamp(rows: Sequence[RunRow], expected: Mapping[str, Forecast]) -> str:
    """Of the table of runs: which there are, their states, and roughly how far they are and when they start."""
    return stamp_of(
        [(r.id, r.shown, r.tags, r.note, r.archived, int(PARTS * r.progress), r.eta_seconds is None) for r in rows],
        [(run, one.position, one.starts and one.starts // 60) for run, one in expected.items()],
    )


def run_stamp_now(run_id: str) -> str:
    """Raises LabError where the run is gone."""
    return run_stamp(read_run(lab(), run_id))


def table_stamp_now() -> str:
    """At most a second old: many viewers ask. Who does not see all runs has another one."""
    return _table_stamp(f"{lab().path} {lab().viewer}", int(time.time()))


@lru_cache(maxsize=64)
def _table_stamp(_seen: str, _second: int) -> str:
    return table_stamp(runs(lab()), forecast(lab()))


@lru_cache(maxsize=64)
def _findings(run_id: str, _shown: str, _when: int) -> tuple[str, ...]:
    return tuple(found.rule for found in run_health(read_run(lab(), run_id)))  # their numbers change all the time


def _written(path: Path) -> int:
    """When a file was written last, 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def stamp_of(*parts: object) -> str:
    return f"{zlib.crc32(repr(parts).encode()):08x}"
