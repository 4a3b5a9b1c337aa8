"""What starts when: the queue's jobs go to the engine in their order, and come back from its queue where the order changed."""

from collections.abc import Sequence

from aecore.jobs import endings
from aecore.jobs.executor import Busy, Executor
from aecore.jobs.queue import Job
from aecore.jobs.states import move
from aecore.runs import Lab, LabError, database


def dispatch(lab: Lab, executor: Executor, waiting: Sequence[Job]) -> None:
    """Start what fits, strictly in order within each pool: nobody overtakes."""
    full: set[str] = set()
    for job in waiting:
        if job.slots > executor.most_slots(job):
            _impossible(lab, job, executor.most_slots(job))
        elif job.pool in full:
            explain(lab, job, "")
        elif not (executor.free_slots(job) >= job.slots and start(lab, executor, job)):
            full.add(job.pool)
            explain(lab, job, executor.waits(job))


def take_back(lab: Lab, executor: Executor, displaced: Sequence[Job]) -> None:
    """Take jobs out of the engine's queue, because it would start them before their turn: they wait here again."""
    taken = [job for job in displaced if move(lab, job.id, "queued", by="supervisor", attempt=job.attempt)]
    if taken:  # only now: a supervisor that dies here finds them in the engine by their names
        executor.take_back(taken)


def explain(lab: Lab, job: Job, why: str) -> None:
    """Say why a job that was not started yet waits, where that is not just its turn. No event: it comes and goes."""
    reason = f"{database.WAITS}{why}." if why else ""
    if reason != job.reason and (why or job.reason.startswith(database.WAITS)):
        jobs = database.jobs
        waiting = jobs.update().where(jobs.c.id == job.id, jobs.c.state == job.state)
        with database.writing(lab.engine) as connection:
            connection.execute(waiting.values(reason=reason))


def _impossible(lab: Lab, job: Job, most: int) -> None:
    reason = f"training.processes is {job.slots}, but this lab has {most} places for it: use at most {most}."
    move(lab, job.id, "failed", by="supervisor", reason=reason, reason_code="config")


def start(lab: Lab, executor: Executor, job: Job) -> bool:
    """Hand one job to the engine. Returns whether the queue may go on."""
    if not move(lab, job.id, "starting", by="supervisor", engine=executor.name, engine_ref=None):
        return True  # cancelled in the meantime
    try:
        ref = executor.submit(job)
    except Busy as error:
        move(lab, job.id, "queued", by="supervisor", reason=f"{database.WAITS}{error}.")
        return False
    except (OSError, LabError) as error:
        reason = f"The run's process could not be started. {endings.explain(error).reason}"
        move(lab, job.id, "failed", by="supervisor", reason=reason, reason_code="no_start")
        return True
    note_reference(lab, job.id, ref)
    return True


def note_reference(lab: Lab, job_id: int, ref: str) -> None:
    jobs = database.jobs  # the trainer may have been quicker: it writes the same
    statement = jobs.update().where(jobs.c.id == job_id, jobs.c.engine_ref.is_(None)).values(engine_ref=ref)
    with database.writing(lab.engine) as connection:
        connection.execute(statement)
