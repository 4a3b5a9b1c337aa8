"""The engine of a cluster: Slurm, by its commands `sbatch`, `squeue`, `scancel` and `scontrol`.

A job's name in Slurm says which job of which lab it is, so that it is found again whatever was noted. Only the next few runs
wait in Slurm, the others in the lab's queue; when the order changes they are taken back. Who is alive is told by Slurm and,
where it has lost sight of a process, by that process's heartbeat in the database.
"""

import hashlib
import math
import os
import shlex
import sys
import time
from collections.abc import Collection, Sequence

from aecore.jobs import locks, together
from aecore.jobs.executor import Busy, Status
from aecore.jobs.local import lock_path
from aecore.jobs.queue import Job
from aecore.jobs.squeue import ENDED, LOST, Entry, Slurm
from aecore.runs import Lab, LabError

NEVER = ("nvalid", "nrecognized", "configuration is not available", "cannot be satisfied", "than permitted")
"""Parts of sbatch's answers after which trying again is of no use."""
MANY = 1_000_000
FULL = 60.0
"""Seconds for which sbatch is left alone after it took no more."""
PULSE = 3.0
"""Seconds without a heartbeat, of which there is one a second, after which a process that Slurm calls gone is gone."""
SILENT = 60.0
"""The same for a process that Slurm knows nothing of."""


class SlurmExecutor:
    """Hands the next few runs to Slurm. It keeps nothing that matters: a new one knows as much as the old."""

    name = "slurm"
    holds_queue = True

    def __init__(self, lab: Lab):
        self.lab, self.settings = lab, lab.settings.slurm
        self.slurm = Slurm(self.settings, hashlib.sha256(os.fsencode(lab.path)).hexdigest()[:6])
        self.handed: dict[int, str] = {}  # jobs that wait in Slurm -> their pool
        self.pulses: dict[int, tuple[float | None, float]] = {}  # job id -> its heartbeat, since when
        self.full_until, self.full = 0.0, ""

    def free_slots(self, job: Job) -> int:
        if time.monotonic() < self.full_until:
            return 0
        found = self.slurm.look([job.id], self.settings.poll_seconds)
        if found is None:
            return 0
        entry = found[job.id]
        if entry is None or entry.state in ENDED:
            return MANY if list(self.handed.values()).count(job.pool) < self.settings.waiting else 0
        return MANY if entry.waits else 0  # Slurm has it already

    def waits(self, job: Job) -> str:
        if self.slurm.silent:
            return "Slurm does not answer"
        return self.full if time.monotonic() < self.full_until else ""

    def most_slots(self, job: Job) -> int:
        return MANY

    def submit(self, job: Job) -> str:
        found = self.slurm.look([job.id], min(1.0, self.settings.poll_seconds))
        if found is None:
            raise Busy("Slurm does not answer")
        entry = found[job.id]
        if entry is None or entry.state in ENDED:
            entry = self._sbatch(job)
        elif not entry.waits:
            raise Busy("an earlier process of this run has not left yet")
        elif entry.reason == "BeginTime":  # requeued by Slurm, which makes it wait two minutes
            self.slurm.call("scontrol", "update", f"JobId={entry.number}", "StartTime=now")
        self.slurm.note(job.id, entry)
        self.handed[job.id] = job.pool
        return f"{self.name}:{entry.number}"

    def _sbatch(self, job: Job) -> Entry:
        result = self.slurm.call(*self._options(job), script=self._script(job), environment=_environment(job))
        number = result.stdout.partition(";")[0].strip() if result else ""
        if number.isdigit():
            return Entry(number, "PENDING", "None", None)
        self.slurm.forget(job.id)  # where it came too late to tell, it is found by its name
        if result is None:
            raise Busy("Slurm does not answer")
        said = "; ".join(line.removeprefix("sbatch: error: ").rstrip(".") for line in result.stderr.splitlines())
        if any(part in said for part in NEVER):
            raise LabError(f"Slurm does not take it ({said}): see “slurm” in {self.lab.path / 'settings.json'}.")
        self.full, self.full_until = f"Slurm takes no more now ({said})", time.monotonic() + FULL
        raise Busy(self.full)

    def _options(self, job: Job) -> list[str]:
        wanted = self.settings
        log = str(self.lab.runs_folder / job.run_id / "log.txt").replace("%", "%%")
        options = ["sbatch", "--parsable", f"--job-name={self.slurm.job_name(job.id)}", "--chdir=/", "--requeue"]
        options += [f"--signal=B:TERM@{wanted.save_seconds}", "--open-mode=append", f"--output={log}"]
        options.append(f"--cpus-per-task={wanted.cpus * job.slots}")
        optional = {"partition": wanted.partition, "mem": wanted.memory, "time": wanted.time_limit}
        options += [f"--{name}={value}" for name, value in optional.items() if value]
        if gpus := self._gpus(job):
            options.append("--gres=" + ":".join(filter(None, ("gpu", wanted.gpu_type, str(gpus)))))
        return [*options, *wanted.options]

    def _gpus(self, job: Job) -> int:
        if job.pool != "auto" or not self.settings.gpus:
            return 0
        return max(self.settings.gpus, job.slots)

    def _script(self, job: Job) -> str:
        """`exec`: the signals that Slurm sends to the script then reach python, and nobody else."""
        _, *arguments = together.command(self.lab.runs_folder / job.run_id, job.slots, job.id)
        command = [self.settings.python or sys.executable, *arguments]
        hidden = [] if self._gpus(job) else ["export CUDA_VISIBLE_DEVICES="]
        reference = f'export AELAB_REF="{self.name}:$SLURM_JOB_ID" OMP_NUM_THREADS={self.settings.cpus}'
        return "\n".join(
            ["#!/bin/bash", *self.settings.prologue, *hidden, reference, f"exec {shlex.join(command)}", ""]
        )

    def poll(self, jobs: Sequence[Job]) -> dict[int, Status] | None:
        self.pulses = {job_id: pulse for job_id, pulse in self.pulses.items() if job_id in {job.id for job in jobs}}
        entries = self.slurm.look([job.id for job in jobs if job.engine == self.name], self.settings.poll_seconds)
        if entries is None:
            return None
        waiting = {job_id for job_id, entry in entries.items() if entry is not None and entry.waits}
        self.handed = {job.id: job.pool for job in jobs if job.state == "starting" and job.id in waiting}
        return {job.id: self._status(job, entries[job.id]) if job.id in entries else self._other(job) for job in jobs}

    def _status(self, job: Job, entry: Entry | None) -> Status:
        if entry is not None and entry.state not in ENDED:
            return Status(gone=False, ref=f"{self.name}:{entry.number}")
        if job.state == "running" and self._beats(job, PULSE):
            return Status(gone=False)  # slurmstepd died: Slurm does not see the process any more, but it works
        if entry is None:
            return Status(gone=True, note="Slurm does not know it any more.")
        withdrawn = entry.state == "CANCELLED" and job.state == "starting"
        return Status(
            gone=True,
            exit_code=entry.exit_code,
            rebooted=entry.state in LOST,
            oom=entry.state == "OUT_OF_MEMORY",
            note=ENDED[entry.state],
            withdrawn=withdrawn,
        )

    def _other(self, job: Job) -> Status:
        """Of a run in the foreground, perhaps on another machine, whose locks may not be seen here."""
        return Status(gone=not locks.held(lock_path(self.lab, job)) and not self._beats(job, SILENT))

    def _beats(self, job: Job, seconds: float) -> bool:
        """Whether its heartbeat moved within so many seconds of this machine's own clock."""
        now = time.monotonic()
        if self.pulses.get(job.id, (None, 0.0))[0] != job.heartbeat:
            self.pulses[job.id] = job.heartbeat, now
        return job.heartbeat is not None and now - self.pulses[job.id][1] < seconds

    def stop(self, job: Job, hard: bool = False) -> None:
        number = str(_number(job))
        if hard:
            done = [self.slurm.call("scancel", number)]
        else:  # --batch: the first process alone; without --signal only what waits is taken
            done = [self.slurm.call("scancel", "--state=PENDING", number)]
            if job.slots == 1:  # torchrun would give its processes 30 seconds; the first of them reads what is wanted
                done.append(self.slurm.call("scancel", "--batch", "--signal=TERM", number))
        self.slurm.forget(job.id)
        if None in done:
            raise Busy("Slurm does not answer")

    def position(self, jobs: Sequence[Job]) -> dict[int, str]:
        entries = self.slurm.look([job.id for job in jobs], self.settings.poll_seconds)
        return {job_id: self.slurm.words(entry) for job_id, entry in (entries or {}).items() if entry and entry.waits}

    def displaced(self, line: Sequence[Job]) -> list[Job]:
        found, ahead = [], dict[str, float]()  # pool -> the last number in Slurm of what comes before
        left = {job.id for job in line if job.state == "starting"}
        for job in line:
            if not left:
                break
            left.discard(job.id)
            before = ahead.get(job.pool, 0)
            if job.state == "queued":
                ahead[job.pool] = before if before == math.inf or self.free_slots(job) else math.inf
            elif 0 < (number := _number(job)) < before:
                found.append(job)
            else:
                ahead[job.pool] = max(before, number)
        return found

    def take_back(self, jobs: Sequence[Job]) -> None:
        self.slurm.call("scancel", "--state=PENDING", *(str(_number(job)) for job in jobs))
        self.slurm.forget(*(job.id for job in jobs))
        self.handed = {job_id: pool for job_id, pool in self.handed.items() if job_id not in {job.id for job in jobs}}
        self.full_until = 0.0

    def tend(self, live: Collection[int]) -> None:
        self.slurm.keep(live)

    def fit(self) -> None:
        self.settings = self.slurm.settings = self.lab.settings.slurm

    def close(self) -> None:
        pass


def _number(job: Job) -> int:
    """Its number in Slurm; 0 where it is not noted yet."""
    number = (job.engine_ref or "").partition(":")[2]
    return int(number) if number.isdigit() else 0


def _environment(job: Job) -> dict[str, str]:
    """Ours, without secrets (Slurm writes it down) and without what another job's environment would change."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CUDA_VISIBLE_DEVICES"
        and not (name.startswith("AELAB_") and name.endswith(("PASSWORD", "SECRET")))
        and (name == "SLURM_CONF" or not name.startswith(("SLURM_", "SLURMD_")))
    }
    return kept | {"AELAB_DATA": job.data_root or "", "PYTHONUNBUFFERED": "1"}
