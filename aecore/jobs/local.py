"""The engine that needs nothing: one process per slot on this machine, held by locks that the process inherits."""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from aecore.jobs import locks, process, together
from aecore.jobs.children import Child, Nursery
from aecore.jobs.devices import gpus
from aecore.jobs.executor import Busy, Status
from aecore.jobs.queue import Job
from aecore.jobs.room import objection
from aecore.jobs.slots import Slot, pool_of, slots
from aecore.jobs.together import Group
from aecore.runs import Lab, database
from aecore.runs.database import LIVE


class LocalExecutor:
    """Starts trainers on this machine. Who is alive is told by the kernel's locks, so a new executor knows as much as the old."""

    name = "local"
    holds_queue = False

    def __init__(self, lab: Lab):
        self.lab = lab
        uuids = [gpu.uuid for gpu in gpus()]
        self.has_gpus = bool(uuids)
        self.slots = slots(lab, uuids)
        threads = next(slot.threads for slot in self.slots if slot.pool == ("gpu" if uuids else "cpu"))
        places = sum(slot.pool != "side" for slot in self.slots)
        self.nursery = Nursery(lab.path, min(lab.settings.warm, places), threads, lab.data_root)
        self.children: dict[int, Child | Group] = {}
        self.killed_before: dict[int, int] = {}  # by job: what `process.oom_kills` said when it began

    def free_slots(self, job: Job) -> int:
        return len(self._free(job))

    def waits(self, job: Job) -> str:
        """Why a job that could start does not, in words; '' where every place is taken, or one is free."""
        cards = gpus() if self.has_gpus else []
        free = [slot for slot in self._places(job) if not locks.held(slot.lock)]
        why = [objection(self.lab, job, slot, self.slots, cards) for slot in free]
        return next((text for text in why if text), "") if all(why) else ""

    def _free(self, job: Job) -> list[Slot]:
        cards = gpus() if self.has_gpus else []
        free = [slot for slot in self._places(job) if not locks.held(slot.lock)]
        return [slot for slot in free if objection(self.lab, job, slot, self.slots, cards) is None]

    def most_slots(self, job: Job) -> int:
        return len(self._places(job))

    def submit(self, job: Job) -> str:
        run_lock = locks.acquire(lock_path(self.lab, job))
        if run_lock is None:
            raise Busy("an earlier process of this run has not left yet")
        held = [run_lock]
        try:
            places = self._acquire(job, held)
            return self._start(job, places, held)
        finally:
            locks.release(*held)  # ours; the child holds its own copies

    def _start(self, job: Job, places: list[Slot], held: list[int]) -> str:
        if job.slots > 1:
            return self._noted(job, together.start(self.lab, job, places, held), places)
        slot = places[0]
        message = {"run": str(self.lab.runs_folder / job.run_id), "job": job.id, "kind": job.kind}
        message |= {"threads": slot.threads, "device": slot.device, "data_root": job.data_root or ""}
        while child := self.nursery.take():
            try:
                child.hand_over(message, held)
            except OSError:  # it has died just now
                child.dismiss()
                continue
            return self._noted(job, child, places)
        child = self._cold(job, slot)
        child.hand_over(message, held)
        return self._noted(job, child, places)

    def _noted(self, job: Job, child: Child | Group, places: Sequence[Slot]) -> str:
        self.children[job.id] = child
        note_slots(self.lab, job.id, places)
        self.killed_before[job.id] = process.oom_kills()
        return process.reference(self.name, child.process.pid)

    def _cold(self, job: Job, slot: Slot) -> Child:
        log = self.lab.runs_folder / job.run_id / "log.txt"
        return Child(log, slot.threads, None, job.data_root or "", self.lab.path)

    def _places(self, job: Job) -> list[Slot]:
        pool = pool_of(job.pool, self.has_gpus)
        return [slot for slot in self.slots if slot.pool == pool]

    def _acquire(self, job: Job, held: list[int]) -> list[Slot]:
        """Lock as many slots as the job needs; their locks are added to `held`."""
        taken: list[Slot] = []
        for slot in self._free(job):
            slot.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = locks.acquire(slot.lock)
            if descriptor is not None:
                held.append(descriptor)
                taken.append(slot)
            if len(taken) == job.slots:
                return taken
        raise Busy("another process took the slot")

    def poll(self, jobs: Sequence[Job]) -> dict[int, Status]:
        return {job.id: self._status(job) for job in jobs}

    def _status(self, job: Job) -> Status:
        if locks.held(lock_path(self.lab, job)):
            return Status(gone=False)
        child = self.children.pop(job.id, None)
        exit_code = _exit_code(child) if child else None
        killed = process.oom_kills()
        oom = killed > self.killed_before.pop(job.id, killed)
        return Status(True, exit_code, process.rebooted(job.engine_ref), oom)

    def stop(self, job: Job, hard: bool = False) -> None:
        if job.slots > 1 and not hard:
            return  # torchrun would give its processes 30 seconds; the first of them reads what is wanted
        number = signal.SIGKILL if hard else signal.SIGTERM
        process.send(job.engine_ref, number, group=hard)

    def position(self, jobs: Sequence[Job]) -> dict[int, str]:
        return {}

    def displaced(self, line: Sequence[Job]) -> list[Job]:
        return []

    def take_back(self, jobs: Sequence[Job]) -> None:
        raise AssertionError("nothing waits here")

    def tend(self, live: Collection[int]) -> None:
        """Once a tick: collect the children whose jobs ended by their own word, and warm new ones."""
        for job_id in [job_id for job_id in self.children if job_id not in live]:
            if self.children[job_id].process.poll() is not None:
                del self.children[job_id]
        self.nursery.tend()

    def fit(self) -> None:
        """Those at work stay, also where there are fewer places now."""
        self.slots = slots(self.lab, [gpu.uuid for gpu in gpus()])
        self.nursery.count = min(self.lab.settings.warm, sum(slot.pool != "side" for slot in self.slots))

    def close(self) -> None:
        """Let the unused children go. Those at work stay: the next supervisor finds them by their locks."""
        self.nursery.close()


def note_slots(lab: Lab, job_id: int, places: Sequence[Slot]) -> None:
    """For people who look who is where."""
    j = database.jobs
    with database.writing(lab.engine) as connection:
        names = ", ".join(slot.name for slot in places)
        connection.execute(j.update().where(j.c.id == job_id, j.c.state.in_(LIVE)).values(slot=names))


def lock_path(lab: Lab, job: Job) -> Path:
    """The lock that a job's process holds for as long as it lives."""
    return lab.runs_folder / job.run_id / f"{job.kind}.lock"


def _exit_code(child: Child | Group) -> int | None:
    """Of a child whose lock is free; its last moments can take a little longer. What it left behind is ended with it."""
    for _ in range(50):
        code = child.process.poll()
        if code is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            return code
        time.sleep(0.01)
    return None
