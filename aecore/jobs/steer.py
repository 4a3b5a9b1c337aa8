"""What people want of runs that exist: pause, resume, train longer, earlier or later in the queue. Short transactions."""

import math
from typing import Any

from sqlalchemy import Connection, select, update

from aecore import manifest
from aecore.config import RunConfig, with_values
from aecore.jobs import queue, quota
from aecore.jobs.states import REVIVED, note, swap
from aecore.jobs.wake import wake
from aecore.runs import Lab, LabError, RunFolder, RunRow, database, run
from aecore.runs.database import LIVE, OPEN, jobs
from aecore.runs.rights import Verb


def pause(lab: Lab, run_id: str, by: str) -> str:
    """Free the run's device: one that waits is paused at once, one that runs saves first.

    Returns: the run's state afterwards: 'paused' or 'pausing'.

    Raises:
        LabError: where there is no such run, or it has ended, or is being stopped.
    """
    row = run(lab, run_id)
    lab.demand(Verb.PAUSE, row.owner)
    if row.state not in OPEN:
        raise LabError(f"{run_id} is {row.shown}: only a run that waits or trains can be paused.")
    with database.writing(lab.engine) as connection:
        for job in _open_jobs(connection, run_id):
            if job.kind == "train" and job.want != "cancel" and job.state != "paused":
                queue.want(connection, job, "pause", by)
    wake(lab)
    return run(lab, run_id).shown


def resume(lab: Lab, run_id: str, by: str) -> str:
    """Put a run that was paused, stopped or has failed into the queue again; it goes on from its last checkpoint.

    Returns: 'queued'.

    Raises:
        LabError: where there is no such run, it is not resumable, or its owner has as much as a person may.
    """
    row = run(lab, run_id)
    lab.demand(Verb.RESUME, row.owner)
    taken = quota.disk(lab, row.owner)
    with database.writing(lab.engine) as connection:
        job = connection.execute(select(jobs).where(jobs.c.id == row.job_id)).one()
        if job.state in LIVE and job.want == "pause":
            raise LabError(f"{run_id} is still saving before it pauses: resume it in a moment.")
        if job.state not in REVIVED:
            raise LabError(f"{run_id} is {row.shown}: only a run that is paused, stopped or failed can be resumed.")
        if quota.left(lab.settings.per_person, job.busy) == 0:
            hours = lab.settings.per_person.hours
            raise LabError(f"{run_id} has trained for {hours:g} h, as long as a run may here (per_person.hours).")
        quota.check(connection, lab.settings.per_person, row.owner, taken)
        kept = f"from step {job.checkpoint_step:,}" if job.checkpoint_step else "from the start"
        values: dict[str, Any] = {"want": "run", "crashes": 0, "reason_code": ""}
        swap(connection, job.id, "queued", by=by, reason=f"Resumed by {by} {kept}.", revive=True, **values)
    wake(lab)
    return "queued"


def extend(lab: Lab, run_id: str, owner: str, epochs: int) -> str:
    """Train a completed run for more epochs, as a new run that begins with its weights and its optimiser's state.

    Returns: the new run's id.

    Raises:
        LabError: where there is no such run, it is not completed, or none of its checkpoints is whole.
    """
    row = run(lab, run_id)
    lab.demand(Verb.EXTEND, row.owner)
    if epochs < 1:
        raise LabError(f"{epochs} more epochs: at least 1 is needed.")
    if row.state != "completed":
        raise LabError(f"{run_id} is {row.shown}: only a completed run can be extended; resume others.")
    folder = lab.run(run_id)
    checkpoint = manifest.newest(folder.checkpoints)
    if checkpoint is None:
        raise LabError(f"No checkpoint of {run_id} can be used any more.")

    def begin(new: RunFolder) -> int:
        new.begin_from(folder, checkpoint, manifest.mark(checkpoint).metrics_bytes)
        return manifest.step_of(checkpoint)

    return queue.submit(lab, _longer(folder, row, epochs), owner, parent=run_id, begin=begin, private=row.private)


def _longer(folder: RunFolder, row: RunRow, epochs: int) -> RunConfig:
    """Its configuration, longer. Early stopping has done its work, and would end the new run at once."""
    config, facts = folder.config(), folder.facts()
    assert facts is not None, "a completed run has its facts"
    training = config.training
    images = min(facts.n_train, training.subset or facts.n_train)
    steps = row.step + epochs * math.ceil(images / training.batch_size)
    longer: dict[str, Any] = {"training.epochs": row.epoch + epochs, "training.early_stopping": 0}
    if training.max_steps is not None:
        longer["training.max_steps"] = steps
    return with_values(config, longer)


def earlier(lab: Lab, run_id: str, by: str) -> bool:
    """Move a waiting run before the one of the same owner that starts before it. Returns False where it is the first."""
    return _swap_places(lab, run_id, by, -1)


def later(lab: Lab, run_id: str, by: str) -> bool:
    """Move a waiting run behind the next one of the same owner. Returns False where it is the last."""
    return _swap_places(lab, run_id, by, 1)


def _swap_places(lab: Lab, run_id: str, by: str, way: int) -> bool:
    row = run(lab, run_id)
    lab.demand(Verb.MOVE, row.owner)
    if row.shown != "queued":
        raise LabError(f"{run_id} is {row.shown}: only a run that waits can be moved in the queue.")
    with database.writing(lab.engine) as connection:
        mine = database.in_line() & (jobs.c.owner == row.owner) & (jobs.c.kind == "train")
        waiting = list(connection.execute(select(jobs).where(mine).order_by(jobs.c.priority.desc(), jobs.c.place)))
        at = next((i for i, job in enumerate(waiting) if job.id == row.job_id), None)
        if at is None:
            raise LabError(f"{run_id} is being started just now: only a run that waits can be moved in the queue.")
        if not 0 <= at + way < len(waiting) or waiting[at + way].priority != waiting[at].priority:
            return False
        _exchange(connection, waiting[at], waiting[at + way], by)
    wake(lab)
    return True


def _exchange(connection: Connection, one: Any, other: Any, by: str) -> None:
    for job, place in ((one, other.place), (other, one.place)):
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(place=place))
        note(connection, job.id, job.run_id, "queued", "queued", by, f"{by} changed the order of the queue.")


def _open_jobs(connection: Connection, run_id: str) -> list[Any]:
    return list(connection.execute(select(jobs).where(jobs.c.run_id == run_id, jobs.c.state.in_(OPEN))))
