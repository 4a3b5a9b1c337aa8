"""Deleting a run, and bringing it back: for `keep_deleted_days` of the lab its folder lies in the trash and its row is kept."""

import contextlib
import shutil
import time
from typing import NamedTuple

from sqlalchemy import Connection, select, update
from sqlalchemy import delete as delete_rows

from aecore.jobs import queue
from aecore.jobs.states import note
from aecore.jobs.wake import wake
from aecore.runs import Lab, LabError, database, rights, usage
from aecore.runs import run as read_run
from aecore.runs.database import LIVE, events, jobs, runs

DAY = 86400.0


class Deleted(NamedTuple):
    """A run that can still be brought back."""

    id: str
    name: str
    owner: str
    at: float
    """When it was deleted, in seconds since 1970."""
    until: float
    """Until when it can be brought back."""
    bytes: int


def delete(lab: Lab, run_id: str, by: str) -> None:
    """Take a run out of the lab: it is stopped, disappears from every list, and its folder moves to the lab's trash.

    Raises:
        LabError: where there is no such run.
    """
    row = read_run(lab, run_id)
    lab.demand(rights.Verb.DELETE, row.owner)
    with database.writing(lab.engine) as connection:
        queue.cancel(connection, run_id, by)
        gone = {"deleted": time.time(), "submission": None}  # the same form may be submitted again
        connection.execute(update(runs).where(runs.c.id == run_id).values(gone))
        note(connection, row.job_id, run_id, row.state, "deleted", by, f"Deleted by {by}.")
    sweep(lab)
    wake(lab)


def undelete(lab: Lab, run_id: str, by: str) -> None:
    """Bring a deleted run back, in the state in which it was stopped; an analysis that was under way then begins again.

    Raises:
        LabError: where no deleted run of this name is kept any more.
    """
    with database.writing(lab.engine) as connection:
        kept = select(runs.c.job_id, runs.c.owner, jobs.c.state).join(jobs, jobs.c.id == runs.c.job_id)
        mine = kept.where(runs.c.id == run_id, runs.c.deleted.is_not(None), rights.seen(lab.viewer))
        row = connection.execute(mine).one_or_none()
        if row is not None:
            lab.demand(rights.Verb.UNDELETE, row.owner)
        if row is None or not _bring_back(lab, run_id):
            raise LabError(f"There is no deleted run {run_id!r}{lab.where}: “python -m aecore deleted” lists them.")
        connection.execute(update(runs).where(runs.c.id == run_id).values(deleted=None))
        note(connection, row.job_id, run_id, "deleted", row.state, by, f"Brought back by {by}.")
    states = [job.state for job in queue.jobs(lab, run_id) if job.kind == "analyse"]
    with contextlib.suppress(LabError):  # it is back, whatever becomes of that
        if states[-1:] == ["cancelled"] and lab.run(run_id).analysis_metrics() is None:
            queue.submit_job(lab, run_id, "analyse", row.owner)


def _bring_back(lab: Lab, run_id: str) -> bool:
    """Whether the folder is among the runs again, or still."""
    with contextlib.suppress(FileNotFoundError):  # its process has not left it yet
        (lab.trash / run_id).rename(lab.runs_folder / run_id)
    return (lab.runs_folder / run_id).is_dir()


def deleted(lab: Lab) -> list[Deleted]:
    """The runs that can be brought back, the last deleted first."""
    query = select(runs.c.id, runs.c.name, runs.c.owner, runs.c.deleted).where(runs.c.deleted.is_not(None))
    query = query.where(rights.seen(lab.viewer))
    with database.reading(lab.engine) as connection:
        rows = connection.execute(query.order_by(runs.c.deleted.desc())).all()
    keep = lab.settings.keep_deleted_days * DAY
    return [Deleted(*row, row.deleted + keep, usage.measure(lab, row.id)) for row in rows]


def sweep(lab: Lab) -> None:
    """Move the folders of deleted runs to the trash, once nothing writes into them, and forget those kept long enough."""
    busy = select(jobs.c.run_id).where(jobs.c.state.in_(LIVE))
    query = select(runs.c.id, runs.c.deleted).where(runs.c.deleted.is_not(None), runs.c.id.not_in(busy))
    with database.reading(lab.engine) as connection:
        some = connection.execute(query.limit(1)).all()
    if some:
        with database.writing(lab.engine) as connection:  # read again: meanwhile somebody may have brought one back
            for run_id, when in connection.execute(query).all():
                _move(lab, connection, run_id, when + lab.settings.keep_deleted_days * DAY < time.time())
    for leftover in lab.trash.glob(".purged-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _move(lab: Lab, connection: Connection, run_id: str, kept_long_enough: bool) -> None:
    with contextlib.suppress(FileNotFoundError):
        (lab.runs_folder / run_id).rename(lab.trash / run_id)
    if kept_long_enough:
        _forget(lab, connection, run_id)


def forget(lab: Lab, run_id: str) -> bool:
    """Let a deleted run go for good: first its folder, for on a full disk nothing can be written before there is room.

    Returns: False where it is none, or its process has not left yet.
    """
    busy = select(jobs.c.run_id).where(jobs.c.state.in_(LIVE))
    query = select(runs.c.id).where(runs.c.id == run_id, runs.c.deleted.is_not(None), runs.c.id.not_in(busy))
    with database.reading(lab.engine) as connection:
        if connection.execute(query).one_or_none() is None:
            return False
    with contextlib.suppress(FileNotFoundError):  # whoever brings it back from now on finds it gone
        (lab.trash / run_id).rename(lab.trash / f".purged-{run_id}")
    shutil.rmtree(lab.trash / f".purged-{run_id}", ignore_errors=True)
    with database.writing(lab.engine) as connection:
        found = connection.execute(query).one_or_none() is not None
        if found:
            _forget(lab, connection, run_id)
    return found


def _forget(lab: Lab, connection: Connection, run_id: str) -> None:
    """The rows go, and the folder gets a name that nothing reads: removing it may take long."""
    with contextlib.suppress(FileNotFoundError):
        (lab.trash / run_id).rename(lab.trash / f".purged-{run_id}")
    connection.execute(update(runs).where(runs.c.id == run_id).values(job_id=None))
    for table, column in ((events, events.c.run_id), (jobs, jobs.c.run_id), (runs, runs.c.id)):
        connection.execute(delete_rows(table).where(column == run_id))
