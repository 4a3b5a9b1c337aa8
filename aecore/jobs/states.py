"""The states of a job and the one way from one to another: compare-and-swap, with an event row for each change.

    queued -> starting     the supervisor takes it, holding a slot
    starting -> running    the trainer claims it: `attempt` grows by one and fences off every earlier copy
    running -> completed | failed | cancelled    the trainer's own word, or the supervisor's when it died without one

What people want goes into `want`; a live job that should stop is still `running`, until it has saved.
A terminal state is never overwritten.
"""

import time
from typing import Any

from sqlalchemy import Connection, insert, select, update

from aecore.runs import Lab, database
from aecore.runs.database import LIVE, events, jobs

MOVES: dict[str, frozenset[str]] = {
    "queued": frozenset({"starting", "running", "cancelled", "failed"}),
    "starting": frozenset({"queued", "running", "failed", "cancelled"}),
    "running": frozenset({"running", "completed", "failed", "cancelled"}),
    "paused": frozenset({"queued", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
TERMINAL = frozenset(state for state, onward in MOVES.items() if not onward)


class Fenced(RuntimeError):
    """This process's attempt is over: the job was finished, or another attempt took over. Nothing may be written any more."""


def move(
    lab: Lab, job_id: int, new: str, *, by: str, reason: str = "", attempt: int | None = None, **values: Any
) -> bool:
    """Bring a job into another state, and say so in an event.

    Args:
        by: who: a person, 'supervisor' or 'trainer'.
        attempt: only if the job is still at this attempt.
        values: further columns to set in the same step.

    Returns: False, and nothing changed, where the job's state (or attempt) does not allow it.
    """
    with database.writing(lab.engine) as connection:
        return swap(connection, job_id, new, by=by, reason=reason, attempt=attempt, **values)


def swap(
    connection: Connection,
    job_id: int,
    new: str,
    *,
    by: str,
    reason: str = "",
    attempt: int | None = None,
    **values: Any,
) -> bool:
    """`move` inside a transaction that is already open for writing."""
    row = connection.execute(select(jobs.c.state, jobs.c.attempt, jobs.c.run_id).where(jobs.c.id == job_id)).one()
    if new not in MOVES[row.state] or attempt not in (None, row.attempt):
        return False
    values = {"state": new, "reason": reason} | values
    if new in TERMINAL:
        values["ended"] = time.time()
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
    note(connection, job_id, row.run_id, row.state, new, by, reason)
    return True


def note(connection: Connection, job_id: int, run_id: str, old: str, new: str, by: str, reason: str) -> None:
    """Write an event row."""
    row = {"job_id": job_id, "run_id": run_id, "at": time.time(), "old": old, "new": new, "by": by, "reason": reason}
    connection.execute(insert(events).values(row))


def claim(lab: Lab, job_id: int, engine_ref: str) -> int | None:
    """The trainer takes its job. Returns its attempt, or None where the job is not its to do (any more)."""
    with database.writing(lab.engine) as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
        if row.state not in LIVE or row.want != "run" or row.engine_ref not in (None, engine_ref):
            return None
        now, attempt = time.time(), row.attempt + 1
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(attempt=attempt, engine_ref=engine_ref))
        swap(connection, job_id, "running", by="trainer", heartbeat=now, started=row.started or now)
        return attempt


def beat(lab: Lab, job_id: int, attempt: int, **values: Any) -> str:
    """Write progress, fenced by the attempt, and read what is wanted: 'run', 'pause' or 'cancel'.

    Raises:
        Fenced: where this attempt is over.
    """
    mine = (jobs.c.id == job_id) & (jobs.c.attempt == attempt) & (jobs.c.state == "running")
    statement = update(jobs).where(mine).values(heartbeat=time.time(), **values).returning(jobs.c.want)
    with database.writing(lab.engine) as connection:
        want: str | None = connection.execute(statement).scalar_one_or_none()
    if want is None:
        raise Fenced(f"job {job_id} is no longer at attempt {attempt}")
    return want
