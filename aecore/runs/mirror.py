"""`run.json` in each run's folder: the run's rows in the database, so that the database can be lost."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from aecore.runs import files, migrations
from aecore.runs.tables import events, jobs, runs

NAME = "run.json"
PRIVATE = "private"
"""A file in the folder of a private run, with its owner's name."""


def write(connection: Connection, lab: Path, run_ids: Iterable[str]) -> None:
    """Write the mirrors of these runs as this transaction sees them. The caller holds the write lock.

    A run without a folder has none. Where the folder cannot be written, the state still changes: the next change of the
    run writes all of it again.
    """
    for run_id in run_ids:
        folder = folder_of(lab, run_id)
        if folder is not None:
            with contextlib.suppress(OSError):
                files.write_json(folder / NAME, snapshot(connection, run_id))


def hide(folder: Path, owner: str | None) -> None:
    """Note in a run's folder that it is private to its owner, or that all may see it. Raises OSError."""
    if owner is None:
        (folder / PRIVATE).unlink(missing_ok=True)
    else:
        files.write_text(folder / PRIVATE, owner)


def hidden_by(folder: Path) -> str | None:
    """Whose run it is where its folder says that it is private; None where all may see it."""
    try:
        return (folder / PRIVATE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def folder_of(lab: Path, run_id: str) -> Path | None:
    """Where a run's folder lies: among the runs, in the trash, or nowhere."""
    return next((path for place in ("runs", "trash") if (path := lab / place / run_id).is_dir()), None)


def snapshot(connection: Connection, run_id: str) -> dict[str, Any]:
    """{'layout', 'run': row, 'jobs': rows, 'events': rows}: each row by the names of its columns."""
    return {
        "layout": migrations.LAYOUT,
        "run": _rows(connection, select(runs).where(runs.c.id == run_id))[0],
        "jobs": _rows(connection, select(jobs).where(jobs.c.run_id == run_id).order_by(jobs.c.id)),
        "events": _rows(connection, select(events).where(events.c.run_id == run_id).order_by(events.c.id)),
    }


def _rows(connection: Connection, query: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]
