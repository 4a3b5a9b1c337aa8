"""The engine of a cluster: Slurm, by its commands `sbatch`, `squeue`, `scancel` and `scontrol`.

A job's name in Slurm says which job of which lab it is, so that it is found again whatever was noted. Slurm keeps the queue;
who is alive is told by Slurm and, where it has lost sight of a process, by that process's heartbeat in the database.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from aecore.jobs import locks, together
from aecore.jobs.executor import Busy, Status
from aecore.jobs.local import lock_path
from aecore.jobs.queue import Job
from aecore.runs import Lab, LabError

WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
ENDED = {
    "COMPLETED": "",
    "FAILED": "",
    "CANCELLED": "It was cancelled in Slurm, outside the lab.",
    "TIMEOUT": "It reached Slurm's time limit before it had saved.",
    "OUT_OF_MEMORY": "It took more memory than Slurm gave it: raise slurm.memory or use a smaller batch (training.batch_size).",
    "NODE_FAIL": "Its node failed.",
    "BOOT_FAIL": "Its node could not be started.",
    "PREEMPTED": "Slurm gave its place to a more urgent job before it had saved.",
    "DEADLINE": "Slurm ended it at its deadline.",
    "REVOKED": "Slurm moved it to another cluster.",
}
"""What Slurm's last states mean in words. Any other state has, or will have, a process."""
LOST = {"NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"}
"""Ends that the job had no part in."""
REASONS = {
    "None": "Slurm has not looked at it yet",
    "Resources": "what it asks for is in use",
    "Priority": "others are before it",
    "BeginTime": "Slurm lets it start again in a moment",
    "Dependency": "it waits for another job",
    "JobHeldUser": "it is held",
    "JobHeldAdmin": "an administrator holds it",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionConfig": "no node of the partition has what it asks for",
    "PartitionTimeLimit": "its time limit is above the partition's",
    "ReqNodeNotAvail": "the nodes that it could use are not available",
    "NodeDown": "a node is down",
}
NEVER = ("nvalid", "nrecognized", "configuration is not available", "cannot be satisfied", "than permitted")
"""Parts of sbatch's answers after which trying again is of no use."""
UNANSWERED = ("nable to contact", "timed out", "onnection refused", "onnection failure", "not responding")
"""Parts of what the commands say where the controller is not there."""
MANY = 1_000_000
AT_ONCE = 1000
"""Jobs in one question: a command line has an end."""
REST, FULL = 10.0, 60.0
"""Seconds for which Slurm is left alone after it did not answer, and sbatch after it took no more."""
PULSE = 3.0
"""Seconds without a heartbeat, of which there is one a second, after which a process that Slurm calls gone is gone."""
SILENT = 60.0
"""The same for a process that Slurm knows nothing of."""


class Entry(NamedTuple):
    """A job as squeue shows it."""

    number: str
    state: str
    reason: str
    exit_code: int | None


class SlurmExecutor:
    """Hands every run to Slurm at once. It keeps nothing that matters: a new one knows as much as the old."""

    name = "slurm"
    holds_queue = True

    def __init__(self, lab: Lab):
        self.lab, self.settings = lab, lab.settings.slurm
        self.tag = hashlib.sha256(str(lab.path).encode()).hexdigest()[:6]
        self.seen: dict[int, tuple[float, Entry | None]] = {}  # job id -> when it was asked about, the answer
        self.pulses: dict[int, tuple[float | None, float]] = {}  # job id -> its heartbeat, since when
        self.quiet_until = self.full_until = 0.0
        self.full = ""
        self.ranked, self.ranks = 0.0, dict[str, int]()

    def job_name(self, job_id: int) -> str:
        """What the job is called in Slurm: several labs share a cluster."""
        return f"ae-{job_id}-{self.tag}"

    def free_slots(self, job: Job) -> int:
        if time.monotonic() < self.full_until:
            return 0
        found = self._look([job.id], self.settings.poll_seconds)
        return MANY if found is not None and _at_rest(found[job.id]) else 0

    def waits(self, job: Job) -> str:
        now = time.monotonic()
        if now < self.quiet_until:
            return "Slurm does not answer"
        return self.full if now < self.full_until else ""

    def most_slots(self, job: Job) -> int:
        return MANY

    def submit(self, job: Job) -> str:
        found = self._look([job.id], min(1.0, self.settings.poll_seconds))
        if found is None:
            raise Busy("Slurm does not answer")
        entry = found[job.id]
        if entry is None or entry.state in ENDED:
            entry = self._sbatch(job)
        elif not _at_rest(entry):
            raise Busy("an earlier process of this run has not left yet")
        elif entry.reason == "BeginTime":  # requeued by Slurm, which makes it wait two minutes
            self._call("scontrol", "update", f"JobId={entry.number}", "StartTime=now")
        self.seen[job.id] = time.monotonic(), entry
        return f"{self.name}:{entry.number}"

    def _sbatch(self, job: Job) -> Entry:
        result = self._call(*self._options(job), script=self._script(job), environment=_environment(job))
        number = result.stdout.partition(";")[0].strip() if result else ""
        if number.isdigit():
            return Entry(number, "PENDING", "None", None)
        self.seen.pop(job.id, None)  # where it came too late to tell, it is found by its name
        if result is None:
            raise Busy("Slurm does not answer")
        said = "; ".join(line.removeprefix("sbatch: error: ").rstrip(".") for line in result.stderr.splitlines())
        if any(part in said for part in NEVER):
            raise LabError(f"Slurm does not take it ({said}): see `slurm` in {self.lab.path / 'settings.json'}.")
        self.full, self.full_until = f"Slurm takes no more now ({said})", time.monotonic() + FULL
        raise Busy(self.full)

    def _options(self, job: Job) -> list[str]:
        wanted = self.settings
        log = str(self.lab.runs_folder / job.run_id / "log.txt").replace("%", "%%")
        options = ["sbatch", "--parsable", f"--job-name={self.job_name(job.id)}", "--chdir=/", "--requeue"]
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
        entries = self._look([job.id for job in jobs if job.engine == self.name], self.settings.poll_seconds)
        if entries is None:
            return None
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
        number = (job.engine_ref or ":").split(":")[1]
        if hard:
            done = [self._call("scancel", number)]
        else:  # --batch: the first process alone; without --signal only what waits is taken
            done = [self._call("scancel", "--state=PENDING", number)]
            if job.slots == 1:  # torchrun would give its processes 30 seconds; the first of them reads what is wanted
                done.append(self._call("scancel", "--batch", "--signal=TERM", number))
        self.seen.pop(job.id, None)
        if None in done:
            raise Busy("Slurm does not answer")

    def position(self, jobs: Sequence[Job]) -> dict[int, str]:
        entries = self._look([job.id for job in jobs], self.settings.poll_seconds)
        pending = {job_id: entry for job_id, entry in (entries or {}).items() if entry and entry.state in WAITING}
        if pending and time.monotonic() - self.ranked > self.settings.poll_seconds:
            self._rank()
        return {job_id: self._words(entry) for job_id, entry in pending.items()}

    def _rank(self) -> None:
        partition = [f"--partition={self.settings.partition}"] if self.settings.partition else []
        result = self._call("squeue", "-h", "-a", "-t", "PD", "--sort=-p,i", "-o", "%i", *partition)
        if result is not None and result.returncode == 0:
            self.ranks = {number: rank for rank, number in enumerate(result.stdout.split(), start=1)}
        self.ranked = time.monotonic()

    def _words(self, entry: Entry) -> str:
        why = REASONS.get(entry.reason, f"Slurm says {entry.reason}")
        rank = f" as number {self.ranks[entry.number]}" if entry.number in self.ranks else ""
        return f"in Slurm{rank}: {why}"

    def tend(self, live: Collection[int]) -> None:
        self.seen = {job_id: seen for job_id, seen in self.seen.items() if job_id in live}

    def close(self) -> None:
        pass

    def _look(self, job_ids: Sequence[int], age: float) -> dict[int, Entry | None] | None:
        """What Slurm says of these jobs, at most `age` seconds old; None where it does not answer."""
        now = time.monotonic()
        if any(job_id not in self.seen or now - self.seen[job_id][0] > age for job_id in job_ids):
            for start in range(0, len(job_ids), AT_ONCE):
                if not self._ask(job_ids[start : start + AT_ONCE]):
                    return None
        return {job_id: self.seen[job_id][1] for job_id in job_ids}

    def _ask(self, job_ids: Sequence[int]) -> bool:
        names = {self.job_name(job_id): job_id for job_id in job_ids}
        fields = ":|,".join(("JobID", "Name", "State", "Reason", "exit_code")) + ":|"
        result = self._call("squeue", "-h", "-a", "-t", "all", f"--name={','.join(names)}", f"--Format={fields}")
        if result is None or result.returncode:
            return False
        found: dict[int, Entry] = {}
        for line in result.stdout.splitlines():
            number, name, state, reason, code, *_ = line.split("|")
            entry = Entry(number, state, reason, os.waitstatus_to_exitcode(int(code)) if code.isdigit() else None)
            found[names[name]] = max(found.get(names[name], entry), entry, key=_newest)
        self.seen |= {job_id: (time.monotonic(), found.get(job_id)) for job_id in job_ids}
        return True

    def _call(
        self, *command: str, script: str = "", environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str] | None:
        """Run one of Slurm's commands. None where it did not answer, or a moment ago did not: it would hang again."""
        if time.monotonic() < self.quiet_until:
            return None
        try:
            result = subprocess.run(
                command,
                input=script,
                env=environment,
                capture_output=True,
                text=True,
                cwd="/",
                timeout=self.settings.timeout_seconds,
            )
            trouble = result.stderr.strip() if result.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            result, trouble = None, str(error)
        if result is None or any(part in trouble for part in UNANSWERED):
            print(f"Slurm does not answer {command[0]}: {trouble}", file=sys.stderr, flush=True)
            self.quiet_until = time.monotonic() + REST
            return None
        return result


def _at_rest(entry: Entry | None) -> bool:
    return entry is None or entry.state in ENDED or entry.state in WAITING


def _newest(entry: Entry) -> tuple[bool, int]:
    """Of several of the same name the one that has not ended counts, then the last."""
    return entry.state not in ENDED, int(entry.number)


def _environment(job: Job) -> dict[str, str]:
    """Ours, without secrets (Slurm writes it down) and without what another job's environment would change."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("AELAB_PASSWORD", "CUDA_VISIBLE_DEVICES")
        and (name == "SLURM_CONF" or not name.startswith(("SLURM_", "SLURMD_")))
    }
    return kept | {"AELAB_DATA": job.data_root or "", "PYTHONUNBUFFERED": "1"}
