"""Pages rerun when something that they show in words has changed, and not by the clock: the browser asks for a stamp."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from aecore.jobs.forecast import Forecast, forecast, told
from aecore.runs import RunRow, events, rights, runs
from aecore.runs import run as read_run
from ui.healing import run_health
from ui.lab import lab, whole
from ui.live import component
from ui.shared import once_in

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
    """Of everything on a run's page but its curves and pictures, which are alive by themselves; the same for all who see it."""
    here = whole()
    folder = here.run(row.id)
    expected = forecast(here).get(row.id) if row.shown == "queued" else None
    written = [_written(folder.path / name) for name in ("log.txt", "result.json", "analysis/metrics.json")]
    return stamp_of(
        (row.shown, row.reason, row.note, row.tags, row.archived, row.device, bool(row.step)),
        (told(expected) if expected else "", written, len(events(here, row.id))),
        [found.rule for found in run_health(row)],  # their numbers change all the time
    )


def table_stamp(rows: Sequence[RunRow], expected: Mapping[str, Forecast]) -> str:
    """Of the table of runs: which there are, their states, and roughly how far they are and when they start."""
    return stamp_of(
        [(r.id, r.shown, r.tags, r.note, r.archived, int(PARTS * r.progress), r.eta_seconds is None) for r in rows],
        [(run, one.position, one.starts and one.starts // 60) for run, one in expected.items()],
    )


def run_stamp_now(run_id: str) -> str:
    """Raises LabError where the run is gone, or not there for who asks."""
    lab().run(run_id)
    return _run_stamp(str(whole().path), run_id)


@once_in(1)
def _run_stamp(_path: str, run_id: str) -> str:
    return run_stamp(read_run(whole(), run_id))


def table_stamp_now() -> str:
    """Of the runs that are there for who asks; two seconds old at most. It is found once for all who see the same runs."""
    path, viewer = str(whole().path), lab().viewer
    private = {row.owner for row in _all(path)[0] if row.private}
    shut = frozenset(owner for owner in private if not rights.sees(viewer, owner, private=True))
    return _table_stamp(path, viewer and viewer.only, rights.sees(viewer, "", private=False), shut)


@once_in(1)
def _table_stamp(path: str, only: frozenset[str] | None, public: bool, shut: frozenset[str]) -> str:
    rows, expected = _all(path)
    there = (only is None or row.id in only for row in rows)
    seen = [
        row for row, one in zip(rows, there, strict=True) if one and (row.owner not in shut if row.private else public)
    ]
    ids = {row.id for row in seen}
    return table_stamp(seen, {run: one for run, one in expected.items() if run in ids})


@once_in(1)
def _all(_path: str) -> tuple[list[RunRow], dict[str, Forecast]]:
    return runs(whole()), forecast(whole())


def _written(path: Path) -> int:
    """When a file was written last, 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def stamp_of(*parts: object) -> str:
    return f"{zlib.crc32(repr(parts).encode()):08x}"
