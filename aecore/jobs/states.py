"""The states of a job and the one way from one to another: compare-and-swap, with an event row for each change.

    queued -> starting     the supervisor takes it, holding a slot
    starting -> running    the trainer claims it: `attempt` grows by one and fences off every earlier copy
    running -> completed | failed | cancelled | paused    the trainer's own word, or the supervisor's when it died without one
    running -> queued      the machine wants its place back, or the process died: it goes on from its last checkpoint
    paused | failed | cancelled -> queued    a person resumes it: `attempt` grows, so that no earlier copy is heard any more

What people want goes into `want`; a live job that should stop is still `running`, until it has saved.
`completed` is final, and no process overwrites a job that has ended.
"""

import time
from typing import Any

from sqlalchemy import Connection, insert, select, update

from aecore.runs import Lab, database, shares
from aecore.runs.database import LIVE, OPEN, events, jobs, runs

MOVES: dict[str, frozenset[str]] = {
    "queued": frozenset({"starting", "running", "paused", "cancelled", "failed"}),
    "starting": frozenset({"queued", "running", "paused", "failed", "cancelled"}),
    "running": frozenset({"running", "queued", "paused", "completed", "failed", "cancelled"}),
    "paused": frozenset({"cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
REVIVED = frozenset({"paused", "failed", "cancelled"})
"""States from which a person, and nobody else, brings a job back into the queue."""
TERMINAL = frozenset({"completed", "failed", "cancelled"})
NEWS = TERMINAL | {"paused"}
"""States of which the owner of a run hears, where that is wanted."""


BEAT, YOUNG = 1.0, 60.0
"""Seconds between two heartbeats, and those after which a process without one is not waited for."""


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
    revive: bool = False,
    **values: Any,
) -> bool:
    """`move` inside a transaction that is already open for writing; `revive` is a person's word that it goes on.

    The attempt grows then: whatever an earlier process still says is not heard any more.
    """
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
    allowed = new == "queued" and row.state in REVIVED if revive else new in MOVES[row.state]
    if not allowed or attempt not in (None, row.attempt):
        return False
    now = time.time()
    values = {"state": new, "reason": reason, "attempt": row.attempt + revive} | values
    if row.state == "running":
        values |= _leave(connection, row, now if by == "trainer" and new != "running" else row.heartbeat, now)
    if new == "running":
        values["since"] = now
    elif new not in LIVE:
        values["slot"] = None
    if new in TERMINAL:
        values["ended"] = now
    if new in ("queued", "paused"):
        values |= {"engine": values.get("engine"), "engine_ref": None, "ended": None}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
    note(connection, job_id, row.run_id, row.state, new, by, reason)
    return True


def _leave(connection: Connection, row: Any, seen: float | None, now: float) -> dict[str, Any]:
    """A job leaves its slots, at which it was seen last: its time is its owner's. Returns what changes of the job."""
    began = now if row.since is None else row.since
    seconds = max(0.0, min(seen or now, now) - began)
    shares.charge(connection, row.owner, shares.Spell(began, began + seconds, row.slots), now)
    return {"since": None, "busy": row.busy + seconds}


def note(
    connection: Connection, job_id: int, run_id: str, old: str, new: str, by: str, reason: str, urgent: bool = False
) -> None:
    """Write an event row; `run.json` in the run's folder follows when the transaction ends.

    Where the owner wants to hear of it (always when it is `urgent`), it is left for the teller.
    """
    row = {"job_id": job_id, "run_id": run_id, "at": time.time(), "old": old, "new": new, "by": by, "reason": reason}
    key = connection.execute(insert(events).values(row)).inserted_primary_key
    assert key is not None
    if urgent or (old in OPEN and new in NEWS):
        wanted = (runs.c.id == run_id) & (runs.c.job_id == job_id) & (runs.c.tell == 1)
        connection.execute(update(runs).where(wanted).values(untold=key[0]))
    database.changed(connection, run_id)


def beating(lab: Lab, job_id: int) -> bool:
    """Whether another process may still be at the job: it counts as running, and its last heartbeat is young."""
    with database.reading(lab.engine) as connection:
        row = connection.execute(select(jobs.c.state, jobs.c.heartbeat).where(jobs.c.id == job_id)).one()
    return row.state == "running" and time.time() - (row.heartbeat or 0) < YOUNG


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


def say(lab: Lab, job_id: int, run_id: str, text: str, urgent: bool = False, by: str = "trainer") -> None:
    """Add a sentence to a running job's history, where it still runs; its owner hears of an urgent one."""
    with database.writing(lab.engine) as connection:
        if connection.execute(select(jobs.c.state).where(jobs.c.id == job_id)).scalar_one() == "running":
            note(connection, job_id, run_id, "running", "running", by, text, urgent)


def stopper(lab: Lab, job_id: int) -> str:
    """Who asked the job to stop last."""
    c = events.c
    query = (
        select(c.by)
        .where(c.job_id == job_id, c.old == c.new, c.by.not_in(["supervisor", "trainer"]))
        .order_by(c.id.desc())
        .limit(1)
    )
    with database.reading(lab.engine) as connection:
        return str(connection.execute(query).scalar_one())
