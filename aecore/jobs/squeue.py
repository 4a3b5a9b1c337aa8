"""What Slurm says: its commands, with an answer or none in time, and what squeue's words mean."""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from aecore.config.slurm import SlurmSettings
from aecore.runs.times import when

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
UNANSWERED = ("nable to contact", "timed out", "onnection refused", "onnection failure", "not responding")
"""Parts of what the commands say where the controller is not there."""
AT_ONCE = 1000
"""Jobs in one question: a command line has an end."""
REST = 10.0
"""Seconds for which Slurm is left alone after it did not answer."""


class Entry(NamedTuple):
    """A job as squeue shows it."""

    number: str
    state: str
    reason: str
    exit_code: int | None
    starts: float | None = None
    """When Slurm expects to start it, seconds since 1970."""

    @property
    def waits(self) -> bool:
        """Whether Slurm keeps it and has not started it."""
        return self.state in WAITING


class Slurm:
    """The commands of one lab's Slurm, and the last answers."""

    def __init__(self, settings: SlurmSettings, tag: str):
        self.settings, self.tag = settings, tag
        self.seen: dict[int, tuple[float, Entry | None]] = {}  # job id -> when it was asked about, the answer
        self.quiet_until = 0.0
        self.ranked, self.ranks = 0.0, dict[str, int]()

    def job_name(self, job_id: int) -> str:
        """What a job of the lab is called in Slurm: several labs share a cluster."""
        return f"ae-{job_id}-{self.tag}"

    @property
    def silent(self) -> bool:
        """Whether it did not answer a moment ago."""
        return time.monotonic() < self.quiet_until

    def note(self, job_id: int, entry: Entry) -> None:
        """Remember what is known of a job without asking."""
        self.seen[job_id] = time.monotonic(), entry

    def forget(self, *job_ids: int) -> None:
        """Ask again about these jobs."""
        for job_id in job_ids:
            self.seen.pop(job_id, None)

    def keep(self, job_ids: Collection[int]) -> None:
        """Forget all others."""
        self.seen = {job_id: seen for job_id, seen in self.seen.items() if job_id in job_ids}

    def look(self, job_ids: Sequence[int], age: float) -> dict[int, Entry | None] | None:
        """What Slurm says of these jobs, at most `age` seconds old; None where it does not answer."""
        now = time.monotonic()
        if any(job_id not in self.seen or now - self.seen[job_id][0] > age for job_id in job_ids):
            for start in range(0, len(job_ids), AT_ONCE):
                if not self._ask(job_ids[start : start + AT_ONCE]):
                    return None
        return {job_id: self.seen[job_id][1] for job_id in job_ids}

    def _ask(self, job_ids: Sequence[int]) -> bool:
        names = {self.job_name(job_id): job_id for job_id in job_ids}
        fields = ":|,".join(("JobID", "Name", "State", "Reason", "exit_code", "StartTime")) + ":|"
        result = self.call("squeue", "-h", "-a", "-t", "all", f"--name={','.join(names)}", f"--Format={fields}")
        if result is None or result.returncode:
            return False
        found: dict[int, Entry] = {}
        for line in result.stdout.splitlines():
            number, name, state, reason, code, starts, *_ = line.split("|")
            entry = Entry(number, state, reason, _exit_code(code), _moment(starts))
            found[names[name]] = max(found.get(names[name], entry), entry, key=_newest)
        self.seen |= {job_id: (time.monotonic(), found.get(job_id)) for job_id in job_ids}
        return True

    def words(self, entry: Entry) -> str:
        """Where a job stands that Slurm keeps, and why."""
        if self.ranked == 0 or time.monotonic() - self.ranked > self.settings.poll_seconds:
            self._rank()
        why = REASONS.get(entry.reason, f"Slurm says {entry.reason}")
        rank = f" as number {self.ranks[entry.number]}" if entry.number in self.ranks else ""
        starts = (
            f"; Slurm expects to start it {_at(entry.starts)}" if entry.starts and entry.starts > time.time() else ""
        )
        return f"in Slurm{rank}: {why}{starts}"

    def _rank(self) -> None:
        partition = [f"--partition={self.settings.partition}"] if self.settings.partition else []
        result = self.call("squeue", "-h", "-a", "-t", "PD", "--sort=-p,i", "-o", "%i", *partition)
        if result is not None and result.returncode == 0:
            self.ranks = {number: rank for rank, number in enumerate(result.stdout.split(), start=1)}
        self.ranked = time.monotonic()

    def call(
        self, *command: str, script: str = "", environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str] | None:
        """Run one of Slurm's commands. None where it did not answer, or a moment ago did not: it would hang again."""
        if self.silent:
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


def _newest(entry: Entry) -> tuple[bool, int]:
    """Of several of the same name the one that has not ended counts, then the last."""
    return entry.state not in ENDED, int(entry.number)


def _exit_code(text: str) -> int | None:
    return os.waitstatus_to_exitcode(int(text)) if text.isdigit() else None


def _moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:  # N/A
        return None


def _at(moment: float) -> str:
    text = when(moment)
    return f"{'on' if ' ' in text else 'at'} {text}"
