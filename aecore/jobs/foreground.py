"""Training in the caller's own process, registered in the lab like any other run."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aecore.config import RunConfig
from aecore.jobs import locks, process, queue, states, trainer, trash
from aecore.jobs.work import Shown, Stop
from aecore.runs import Lab, LabError, run

ENGINE = "foreground"


def train_here(
    lab: Lab,
    config: RunConfig,
    owner: str,
    private: bool = False,
    began: Callable[[str], None] = lambda run_id: None,
    show: Callable[[Shown], None] = lambda shown: None,
) -> str:
    """Train and analyse a run now. Ctrl-C (in the main thread) saves it and marks it as cancelled.

    Args:
        began: called with the run's id before the first step.
        show: called about once a second with the progress.

    Returns: the run's id; how it ended stands in the lab.

    Raises:
        ConfigError, LabError: where the run cannot be registered; nothing stays behind then.
    """
    if config.training.processes > 1:
        raise LabError(f"training.processes is {config.training.processes}: several train in the queue only (submit).")
    trainer.task_of("train")  # imports torch: a Ctrl-C until here leaves no run behind
    run_id = queue.submit(lab, config, owner, engine=ENGINE, private=private)
    began(run_id)
    with _interruptible() as stop:
        _do(lab, queue.jobs(lab, run_id)[0], stop, show)
        if run(lab, run_id).state in ("completed", "cancelled"):
            stop.asked = False
            job_id = queue.submit_job(lab, run_id, "analyse", owner, engine=ENGINE)
            _do(lab, queue.job(lab, job_id), stop, show)
    trash.sweep(lab)
    return run_id


def _do(lab: Lab, job: queue.Job, stop: Stop, show: Callable[[Shown], None]) -> None:
    held = locks.acquire(lab.runs_folder / job.run_id / f"{job.kind}.lock")
    assert held is not None, "nobody else knows this run yet"
    try:
        states.move(lab, job.id, "starting", by=job.owner)
        trainer.work_on(lab, job.id, stop, None, process.reference(ENGINE, os.getpid()), show)
    finally:
        locks.release(held)


@contextmanager
def _interruptible() -> Iterator[Stop]:
    stop, numbers = Stop(), (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        stop.install(*numbers)
    except ValueError:  # not the main thread: nobody presses Ctrl-C there
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
