"""What a job's process holds while it works: its row in the queue, its folder, and whether it was asked to stop."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aecore.jobs import states
from aecore.jobs.queue import Job
from aecore.runs import Lab, RunFolder


class Stopped(Exception):
    """The work was asked to leave before it had anything to save."""


class Stop:
    """Set by SIGTERM. The work looks at it between two steps: a signal handler must do nothing else."""

    def __init__(self) -> None:
        self.asked = False

    def install(self, *numbers: signal.Signals) -> None:
        """Take these signals from now on."""
        for number in numbers:
            signal.signal(number, self._set)

    def _set(self, *_: object) -> None:
        self.asked = True


class Shown(NamedTuple):
    """Progress for a person who watches."""

    step: int
    total_steps: int
    epoch: int
    loss: float | None
    images_per_second: float
    note: str = ""


@dataclass
class Work:
    """One attempt at a job."""

    lab: Lab
    job: Job
    attempt: int
    threads: int | None
    stop: Stop = field(default_factory=Stop)
    show: Callable[[Shown], None] = lambda shown: None

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.lab.runs_folder / self.job.run_id)

    def beat(self, **values: Any) -> None:
        """Write progress and learn whether to stop. Raises Fenced where this attempt is over."""
        if states.beat(self.lab, self.job.id, self.attempt, **values) != "run":
            self.stop.asked = True

    def end(self, state: str, reason: str, reason_code: str = "") -> None:
        """Say how it ended. Raises Fenced where this attempt was over already."""
        if not states.move(
            self.lab, self.job.id, state, by="trainer", reason=reason, attempt=self.attempt, reason_code=reason_code
        ):
            raise states.Fenced(f"job {self.job.id} ended without this process")

    def wanted(self) -> str:
        """What people want of it now: 'run' or 'cancel'."""
        return states.beat(self.lab, self.job.id, self.attempt)
