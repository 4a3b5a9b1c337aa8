"""Runs that are struck again and again while they train, and must end as one that was left alone."""

import random
import time
from collections.abc import Callable

from aecore.config import RunConfig
from aecore.jobs import queue
from aecore.jobs.queue import Job
from aecore.jobs.supervisor import ensure_supervisor
from aecore.runs import Lab, LabError, run
from torture.world import PATIENCE, content, pid, twice, until

AT_ONCE = 2
"""Runs that train at the same time."""


class Hunt:
    """Strikes each process of a run once, at a moment that is uniform over its first `life` seconds.

    A run that gets to its end in spite of that is followed by another of the same configuration. `start` says when a
    process's life begins: when there is one ('process'), when it has taken its job ('claimed'), or when it has made its
    first checkpoint ('trains'), so that a few strikes are not all spent on imports.
    """

    def __init__(self, lab: Lab, rng: random.Random, life: float, strike: Callable[[Job], bool], start: str):
        self.lab, self.rng, self.life, self.strike, self.start = lab, rng, life, strike, start
        self.strikes = 0
        self.due: dict[str, float] = {}  # engine reference -> when
        self.lost: list[str] = []

    def on(self, config: RunConfig, strikes: int) -> list[str]:
        """Strike runs of `config` so often, then let them end. Returns their ids; what was lost is in `lost`."""
        whole = queue.submit(self.lab, config, "left alone")
        prey = [queue.submit(self.lab, config, "struck") for _ in range(AT_ONCE)]
        target = self.strikes + strikes
        self._chase(config, prey, target)
        for run_id in (whole, *prey):
            self._until_completed(run_id)
        expected = content(self.lab, whole)
        for run_id in prey:
            found = content(self.lab, run_id)
            other = sorted(name for name in expected | found if expected.get(name) != found.get(name))
            if other or twice(self.lab, run_id):
                self.lost.append(f"{run_id} differs from the run that was left alone in {other or 'doubled rows'}.")
        return prey

    def _chase(self, config: RunConfig, prey: list[str], target: int) -> None:
        struck = time.monotonic()
        ensure_supervisor(self.lab)
        while self.strikes < target:
            for run_id in prey[-AT_ONCE:]:
                job = queue.jobs(self.lab, run_id)[0]
                if self.strikes < target and self._is_due(job) and self.strike(job):
                    self.strikes += 1
                    struck = time.monotonic()
                if job.state in ("completed", "failed", "cancelled"):
                    prey.remove(run_id)
                    prey.insert(0, run_id)
                    prey.append(queue.submit(self.lab, config, "struck"))
            if time.monotonic() - struck > PATIENCE + self.life:
                raise TimeoutError(f"no process to strike for {PATIENCE:.0f} s: {[run(self.lab, r) for r in prey]}")
            time.sleep(0.02)

    def _is_due(self, job: Job) -> bool:
        if job.engine_ref is None or pid(job) is None or not self._lives(job):
            return False
        if job.engine_ref not in self.due:
            self.due[job.engine_ref] = time.monotonic() + self.rng.uniform(0, self.life)
            return False
        return 0 < self.due[job.engine_ref] < time.monotonic()

    def _lives(self, job: Job) -> bool:
        if self.start == "process":
            return True
        kept = self.lab.run(job.run_id).checkpoints.glob(f"[0-9]*-{job.attempt}")
        return job.state == "running" and (self.start == "claimed" or any(kept))

    def done_with(self, job: Job) -> None:
        """Leave this process alone from now on."""
        self.due[job.engine_ref or ""] = -1

    def _until_completed(self, run_id: str) -> None:
        ended = ("completed", "failed", "cancelled")
        try:
            until(lambda: run(self.lab, run_id).state in ended, f"{run_id} to end", 3 * PATIENCE)
        except (TimeoutError, LabError) as error:
            self.lost.append(f"{run_id}: {error}")
            return
        row = run(self.lab, run_id)
        if row.state != "completed":
            self.lost.append(f"{run_id} is {row.state}: {row.reason}")
