"""The one process of a lab that starts, stops and buries trainers. Pages and people only write what they want.

It holds `supervisor.lock` for life, so there is never a second one. It may die at any moment: the trainers go on, and
the next one sees from locks and database what is going on. It imports no torch.
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from aecore.jobs import launch, locks, queue, quota, states, trash, turns
from aecore.jobs.burial import bury
from aecore.jobs.dispatch import dispatch, explain, note_reference, take_back
from aecore.jobs.executor import Busy, Executor, Status
from aecore.jobs.local import LocalExecutor
from aecore.jobs.prober import Prober
from aecore.jobs.queue import Job
from aecore.jobs.slurm import SlurmExecutor
from aecore.jobs.teller import Teller
from aecore.jobs.wake import Alarm, wake
from aecore.runs import Lab, migrations

TICK, REST = 0.2, 1.0
"""Seconds between looks when nobody wakes it: while there is work, and while there is none."""
DRAINED = "the lab is being made ready for maintenance"
EXECUTORS: dict[str, Callable[[Lab], Executor]] = {"local": LocalExecutor, "slurm": SlurmExecutor}


def ensure_supervisor(lab: Lab) -> bool:
    """See to it that the lab has a supervisor, starting one in the background where there is none. Returns at once.

    Also says that somebody is there: a supervisor leaves when for `idle_minutes` nothing was to do and nobody called this.

    Returns: whether one had to be started. Of several that start at once, one stays.
    """
    launch.reap()
    if locks.held(_lock(lab)):
        if _written(lab).newness >= newness():
            wake(lab)
            return False
        stop_supervisor(lab)  # it runs an older program; its trainers go on, and the next one adopts them
    elif launch.coming(lab.path):
        return False
    launch.launch(lab.path, lab.data_root)
    return True


def running(lab: Lab) -> int | None:
    """The supervisor's process id; None where there is none."""
    return _written(lab).pid if locks.held(_lock(lab)) else None


class Written(NamedTuple):
    """What a supervisor writes into its lock."""

    pid: int | None
    newness: float
    """Of its program; a supervisor that has not come as far as writing counts as new."""


def _written(lab: Lab) -> Written:
    pid, _, when = _lock(lab).read_text(encoding="ascii").partition(" ")
    return Written(int(pid), float(when or 0)) if pid else Written(None, math.inf)


@cache
def newness() -> float:
    """How new the program is that this process runs: its layout of the database first, then when it was changed last. Programs from
    before have the seconds since 1970 alone in their lock, which are less."""
    changed = max(path.stat().st_mtime // 1 for path in Path(__file__).parents[1].rglob("*.py"))
    return 1e11 * migrations.LAYOUT + changed


def stop_supervisor(lab: Lab, seconds: float = 10) -> None:
    """Ask the supervisor to leave and wait for it. The trainers go on."""
    for process in launch.started(lab.path):
        process.terminate()  # it may not have come as far as the lock
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    end = time.monotonic() + seconds
    while locks.held(_lock(lab)) and time.monotonic() < end:
        pid = running(lab)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)


def supervise(lab: Lab) -> bool:
    """Be the supervisor until told to leave or idle for long. Returns False at once where there is one already."""
    held = _become(lab)
    if held is None:
        return False
    supervisor = Supervisor(lab, EXECUTORS[lab.settings.executor](lab))
    signal.signal(signal.SIGTERM, supervisor.leave)
    signal.signal(signal.SIGINT, supervisor.leave)
    supervisor.run()
    locks.release(held)
    # Whoever submitted while we held the lock saw us alive; so look again now that it is free.
    if not supervisor.told_to_leave and queue.pending(lab):
        return supervise(lab)
    return True


def _become(lab: Lab) -> int | None:
    for _ in range(25):  # somebody who only looks whether the lock is held can be in the way for a moment
        held = locks.acquire(_lock(lab))
        if held is not None:
            os.truncate(held, 0)
            os.write(held, f"{os.getpid()} {newness():.0f}".encode("ascii"))
            return held
        time.sleep(0.02)
    return None


def _lock(lab: Lab) -> Path:
    return launch.lock(lab.path)


class Supervisor:
    """The loop: bury the dead, stop what is not wanted, start what waits."""

    def __init__(self, lab: Lab, executor: Executor):
        self.lab = lab
        self.executor = executor
        self.prober = Prober(lab)
        self.teller = Teller(lab)
        self.scale = quota.Scale(lab)
        self.settings = lab.settings
        self.told_to_leave = False
        self.live: set[int] = set()
        self.asked: dict[int, float] = {}  # job id -> when it was asked to stop
        self.killed: set[int] = set()
        self.told: set[tuple[int, int]] = set()  # job ids and attempts that were told to make room

    def leave(self, *_: object) -> None:
        self.told_to_leave = True

    def run(self) -> None:
        """Until told to leave, or idle for the lab's `idle_minutes`."""
        alarm = Alarm(self.lab)
        last_use = time.monotonic()
        trash.sweep(self.lab)
        keeper = self.lab.engine.connect()  # SQLite makes and removes two files whenever nobody else is connected
        try:
            while not self.told_to_leave and time.monotonic() - last_use < self.lab.settings.idle_minutes * 60:
                at_work = self._tick()
                if alarm.wait(TICK if at_work else REST) or at_work:
                    last_use = time.monotonic()
        finally:
            self.prober.close()
            self.executor.close()
            keeper.close()
            alarm.close()

    def _tick(self) -> bool:
        """A look that survives a fault: a full disk, a busy database or a damaged file passes, a supervisor must not."""
        try:
            return self.tick()
        except Exception:
            if not self.lab.runs_folder.exists():
                self.told_to_leave = True  # the lab was deleted under us
                return False
            traceback.print_exc()
            time.sleep(1)
            return True

    def tick(self) -> bool:
        """Look once at everything. Returns whether anything is running, waiting or still to be told."""
        if self.lab.settings is not self.settings:
            self.settings, self.scale.due = self.lab.settings, 0.0
            self.executor.fit()
        hand = queue.at_hand(self.lab)
        trains = [job for job in (*hand.live, *hand.waiting) if job.kind == "train"]
        self.scale.look({job.owner for job in trains}, {job.run_id for job in hand.live})
        self._forget({job.id for job in hand.live})
        statuses = self.executor.poll(hand.live)
        if statuses is not None:  # an engine that does not answer changes nothing
            for job in hand.live:
                self._look_at(job, statuses[job.id])
            if any(status.gone for status in statuses.values()):
                hand = queue.at_hand(self.lab)  # what died goes on before those that wait behind it
        self.prober.give_way([*hand.live, *hand.waiting])
        self._start(hand, [] if statuses is None else self._tell(hand.live))
        ids = {job.id for job in hand.live}
        if self.live - ids:
            trash.sweep(self.lab)
        self.live = ids
        self.executor.tend(ids | {job.id for job in hand.waiting})
        busy = [self.teller.look(), self.prober.tend()]
        return any(busy) or bool(hand.live or hand.waiting)

    def _start(self, hand: queue.Hand, handed: list[Job]) -> None:
        """Start what may; `handed` waits in the engine's own queue, and comes back where its turn is later now."""
        there = {job.id for job in handed}
        at_work = [job for job in hand.live if job.id not in there]
        at_once = self.lab.settings.per_person.at_once
        line = turns.line(at_work, [*hand.waiting, *handed], hand.used, time.time(), at_once)
        back = self.executor.displaced(line.may) if handed else []
        barred = {job.id: why for job in (*line.may, *(job for job, _ in line.held)) if (why := self._barred(job))}
        may = [job for job in line.may if job.id not in barred]
        take_back(self.lab, self.executor, [job for job in handed if job in back or job.id in barred])
        dispatch(self.lab, self.executor, [job for job in may if job.id not in there])
        for job, why in [*line.held, *((job, "") for job in line.may if job.id in barred)]:
            if job.id not in there:
                explain(self.lab, job, barred.get(job.id, why))

    def _barred(self, job: Job) -> str:
        """Why a run may not start, whoever's turn it is; '' where it may. What has ended is analysed all the same."""
        if job.kind != "train":
            return ""
        return DRAINED if self.settings.drain != "off" else self.scale.full(job.owner)

    def _look_at(self, job: Job, status: Status) -> None:
        if status.gone:
            bury(self.lab, job, status)
        elif job.want != "run":
            self._stop(job)
        elif job.kind == "train" and job.state == "running" and (self.settings.drain == "save" or self._grown(job)):
            self._stop(job)  # it saves, and waits in the queue for its place
        elif self._overdue(job):
            queue.stop_job(self.lab, job.id, f"the limit of {self.lab.settings.per_person.hours:g} h")
        elif job.engine_ref is None and status.ref is not None:
            note_reference(self.lab, job.id, status.ref)  # a supervisor before this one was ended before it did

    def _overdue(self, job: Job) -> bool:
        """Whether a run has held its slots for as long as the lab allows."""
        left = quota.left(self.lab.settings.per_person, job.busy)
        started = job.kind == "train" and job.since is not None
        return started and left is not None and time.time() - (job.since or 0) > left

    def _grown(self, job: Job) -> bool:
        """Whether a run must leave because its owner's share of the disk is full; its history says so, and its owner hears of it."""
        why = self.scale.full(job.owner, quota.MARGIN)
        if why and job.engine == self.executor.name and (job.id, job.attempt) not in self.told:
            self.told.add((job.id, job.attempt))
            states.say(self.lab, job.id, job.run_id, f"{why[0].upper()}{why[1:]}.", urgent=True, by="supervisor")
        return bool(why)

    def _tell(self, live: list[Job]) -> list[Job]:
        """Write what the engine says of jobs that wait there. Returns those that are still wanted."""
        handed = [job for job in live if job.state == "starting"]
        said = self.executor.position(handed)
        for job in handed:
            explain(self.lab, job, said.get(job.id, ""))
        return [job for job in handed if job.id in said and job.want == "run"]

    def _forget(self, live: set[int]) -> None:
        """Of jobs that left, so that one that comes back is asked again."""
        self.asked = {job_id: when for job_id, when in self.asked.items() if job_id in live}
        self.killed &= live

    def _stop(self, job: Job) -> None:
        """Ask once; where it does not leave in the lab's grace, end it."""
        if job.engine != self.executor.name or job.engine_ref is None:
            return  # a run in the foreground reads for itself what is wanted
        now = time.monotonic()
        with contextlib.suppress(Busy):
            if job.id not in self.asked:
                self.executor.stop(job)
                self.asked[job.id] = now
            elif now - self.asked[job.id] > self.lab.settings.stop_grace_seconds and job.id not in self.killed:
                self.executor.stop(job, hard=True)
                self.killed.add(job.id)


if __name__ == "__main__":
    here = Lab.open(sys.argv[1])
    os.chdir("/")  # it keeps no folder from being moved or unmounted
    supervise(here)
