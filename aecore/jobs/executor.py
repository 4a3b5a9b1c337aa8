"""What an engine must do for the supervisor. Pages and the command line never talk to one."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from aecore.jobs.queue import Job


class Busy(RuntimeError):
    """There is no place for the job just now, or the engine does not answer: nothing changes."""


class Status(NamedTuple):
    """What an engine knows of a job that it was given."""

    gone: bool
    exit_code: int | None = None
    """None while it runs, and where nobody can know."""
    rebooted: bool = False
    """Whether its machine was lost: restarted since the job began, or taken away."""
    oom: bool = False
    """Whether the system killed some process for its memory since the job began."""
    ref: str | None = None
    """The engine's name for it, where the lab may not have noted it."""
    note: str = ""
    """A sentence of the engine's on why it is gone; '' where it knows none."""
    withdrawn: bool = False
    """Whether somebody took it away from the engine before it started: it should not come back by itself."""


class Executor(Protocol):
    """One engine: this machine, or a cluster's scheduler."""

    name: str
    holds_queue: bool
    """True: it keeps a queue of its own, in which the next few jobs wait. False: it is handed only what fits now."""

    def free_slots(self, job: Job) -> int:
        """Places that are free for a job of this pool; 0 where the engine does not answer."""

    def waits(self, job: Job) -> str:
        """Why a job cannot start although a place is free, in words; '' where that is not so."""

    def most_slots(self, job: Job) -> int:
        """Places that there would be if nothing ran."""

    def submit(self, job: Job) -> str:
        """Start it, or find it where it was started before. Returns the engine's name for it, `engine_ref`.

        Raises:
            Busy: where there is no place after all.
            LabError, OSError: where it cannot be started at all.
        """

    def poll(self, jobs: Sequence[Job]) -> dict[int, Status] | None:
        """Status by job id; None where the engine cannot be reached: then nothing may be changed."""

    def stop(self, job: Job, hard: bool = False) -> None:
        """Ask the job's first process to save and leave, or end the whole group at once.

        Raises:
            Busy: where the engine did not take it: to be said again.
        """

    def position(self, jobs: Sequence[Job]) -> dict[int, str]:
        """What the engine itself says of waiting jobs, by job id; empty where the lab's own queue is the only one."""

    def displaced(self, line: Sequence[Job]) -> list[Job]:
        """Of jobs in the order of their turns those in the engine's own queue that it would start before one that comes first."""

    def take_back(self, jobs: Sequence[Job]) -> None:
        """Take jobs out of the engine's own queue; one that it has started in the meantime finds its job gone and leaves."""

    def tend(self, live: Collection[int]) -> None:
        """Once a tick: housekeeping. `live` are the jobs that run or wait."""

    def fit(self) -> None:
        """The lab's settings have changed."""

    def close(self) -> None:
        """The supervisor leaves; the jobs go on."""
