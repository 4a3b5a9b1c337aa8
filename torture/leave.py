"""SIGTERM to trainers at random moments: each saves and is gone in time, is queued with the reason, and goes on exactly."""

import random
import re
import signal
import time

from aecore.jobs import process, queue
from aecore.jobs.queue import Job
from aecore.manifest import damage, step_of
from aecore.runs import Lab, events
from torture.hunt import Hunt
from torture.kills import MANY
from torture.result import Result
from torture.world import PATIENCE, alive, laboratory, large, pid, small, until

LIFE = 6.0
STEPS = 1500
GONE = 10.0
"""Seconds that a process has to save and leave."""
SAID = re.compile(r"The run's process was told to leave from outside\. It (goes on from step ([\d,]+)|begins again)\.")


class Terminator:
    """Sends SIGTERM and takes the time."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.slowest = 0.0
        self.problems: list[str] = []
        self.failed = 0
        self.hunt: Hunt | None = None

    def __call__(self, job: Job) -> bool:
        """Returns whether it counts: one that was done before the signal came does not."""
        number, step = pid(job), queue.job(self.lab, job.id).step
        assert number is not None
        assert self.hunt is not None
        before = len(self._said(job))
        process.send(job.engine_ref, signal.SIGTERM)
        seconds = until(lambda: not alive(number), f"process {number} to leave", PATIENCE)
        self.hunt.done_with(job)
        if queue.job(self.lab, job.id).state == "completed":
            return False
        self.slowest = max(self.slowest, seconds)
        problems = self._judge(job, before, seconds, step)
        self.problems += problems
        self.failed += bool(problems)
        return True

    def _said(self, job: Job) -> list[tuple[str, str]]:
        return [(event.new, event.reason) for event in events(self.lab, job.run_id) if event.by == "trainer"]

    def _judge(self, job: Job, before: int, seconds: float, step: int) -> list[str]:
        words = [reason for new, reason in self._said(job)[before:] if new == "queued"]
        match = SAID.match(words[0]) if words else None
        kept = int((match.group(2) or "0").replace(",", "")) if match else -1
        problems = []
        if seconds > GONE:
            problems.append(f"It took {seconds:.1f} s to leave.")
        there = self.lab.run(job.run_id).checkpoints.glob("[0-9]*")  # the next attempt can have got further already
        if kept > 0 and not any(step_of(path) >= kept and damage(path) is None for path in there):
            problems.append(f"It said that it saved at step {kept}, and did not.")
        if kept < step:
            problems.append(f"At step {step} or later it was told to leave; it said {words or 'nothing'}.")
        return problems


def measure(rounds: int, seed: int) -> Result:
    """`rounds` signals; a tenth of them to a model of 74 MB."""
    begin = time.monotonic()
    life, start, often = (LIFE, "claimed", 10_000) if rounds >= MANY else (1.0, "trains", 20)
    with laboratory(cpu_slots=2, warm=2, checkpoint_steps=often, checkpoint_share=1) as lab:
        told = Terminator(lab)
        told.hunt = hunt = Hunt(lab, random.Random(seed), life, told, start)
        few = rounds // 10
        runs = hunt.on(small(min(STEPS, 150 * rounds)), rounds - few)
        if few:
            runs += hunt.on(large(60), few)
    bad = told.failed + len(hunt.lost)
    counts = {
        "signals": hunt.strikes,
        "to 74 MB": few,
        "runs": len(runs),
        "slowest, s": round(told.slowest, 2),
        "failed": bad,
    }
    sentence = (
        f"{hunt.strikes} signals ({few} to a model of 74 MB): {hunt.strikes - told.failed} saved, queued with the reason "
        f"and gone within 10 s, the slowest in {told.slowest:.1f} s; {len(hunt.lost)} of {len(runs)} runs lost or different."
    )
    return Result(counts, time.monotonic() - begin, " ".join([sentence, *told.problems[:5], *hunt.lost[:5]]), not bad)
