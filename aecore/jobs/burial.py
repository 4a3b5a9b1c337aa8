"""What becomes of a job whose process is gone: it goes on, it has failed, or it is as people wanted it."""

from aecore.jobs import endings, queue
from aecore.jobs.executor import Status
from aecore.jobs.queue import Job
from aecore.jobs.states import move
from aecore.runs import Lab, database


def bury(lab: Lab, seen: Job, status: Status) -> None:
    """Write what becomes of a job whose process is gone; where the trainer has said it itself, its word stands."""
    job = queue.job(lab, seen.id)
    if job.state not in database.LIVE:
        return
    if job.want != "run":
        _as_wanted(lab, job)
    elif status.withdrawn:
        move(lab, job.id, "cancelled", by="supervisor", reason=status.note, attempt=job.attempt, reason_code="engine")
    elif job.state == "starting" and status.exit_code is None and job.engine != "foreground":
        _requeue(lab, job, status.note or "The supervisor was ended before it could start the run.")
    elif job.engine == "foreground":
        _fail(lab, job, endings.died(status.exit_code, status.rebooted))
    elif status.exit_code == endings.LEFT:
        _requeue(lab, job, "The run's process left while the lab's database did not answer.")
    elif status.rebooted:
        _requeue(lab, job, status.note or endings.died(status.exit_code, True).reason)
    elif status.note:
        code = "oom" if status.oom else "engine"
        _crashed(lab, job, endings.Ending(code, status.note, endings.CRASHED))
    else:
        ending = endings.died(status.exit_code, False, status.oom)
        _crashed(lab, job, endings.in_memory(ending, lab.runs_folder / job.run_id, job.memory))


def _as_wanted(lab: Lab, job: Job) -> None:
    """It was asked to leave, and did so before it could save again."""
    state, word = ("cancelled", "Stopped") if job.want == "cancel" else ("paused", "Paused")
    saved = f"the last checkpoint is at step {job.checkpoint_step:,}" if job.checkpoint_step else "nothing was saved"
    reason = f"{word}; its process ended before it saved again: {saved}."
    move(lab, job.id, state, by="supervisor", reason=reason, attempt=job.attempt, reason_code="user")


def _crashed(lab: Lab, job: Job, ending: endings.Ending) -> None:
    """Try again from the last checkpoint, unless it died too often without getting any further."""
    further = job.crashes == 0 or (job.checkpoint_step or 0) > (job.crash_step or 0)
    crashes = 1 if further else job.crashes + 1
    values = {"crashes": crashes, "crash_step": job.checkpoint_step or 0}
    if crashes >= lab.settings.retries:
        tried = f" It was tried {crashes} times from the same checkpoint." if crashes > 1 else ""
        _fail(lab, job, ending._replace(reason=ending.reason + tried), **values)
    else:
        _requeue(lab, job, ending.reason, ending.reason_code, **values)


def _requeue(lab: Lab, job: Job, reason: str, code: str = "lost", **values: int) -> None:
    onward = f"It goes on from step {job.checkpoint_step:,}." if job.checkpoint_step else "It begins again."
    reason = f"{reason} {onward}" if job.kind == "train" else reason
    move(lab, job.id, "queued", by="supervisor", reason=reason, attempt=job.attempt, reason_code=code, **values)


def _fail(lab: Lab, job: Job, ending: endings.Ending, **values: int) -> None:
    reason = _with_log(lab, job, ending.reason)
    code = ending.reason_code
    move(lab, job.id, "failed", by="supervisor", reason=reason, attempt=job.attempt, reason_code=code, **values)


def _with_log(lab: Lab, job: Job, reason: str) -> str:
    folder = lab.runs_folder / job.run_id
    lines = lab.run(job.run_id).log(5) if folder.is_dir() else ""
    return f"{reason}\n{lines}".strip()
