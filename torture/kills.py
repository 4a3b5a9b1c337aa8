"""Random kill -9 of trainers under a real supervisor, uniform over the life of each process."""

import random
import signal
import time

from aecore.jobs import process
from aecore.jobs.queue import Job
from torture.hunt import Hunt
from torture.result import Result
from torture.world import alive, laboratory, pid, small, until

LIFE = 8.0
"""Seconds from its start in which a process is killed. On a busy machine half of them go into importing torch."""
STEPS = 1200
MANY = 50
"""A few kills are no statistics: they are placed where something can be lost, within a second after a checkpoint."""


def measure(rounds: int, seed: int) -> Result:
    """`rounds` kills; every run must end byte for byte as one that nobody killed."""
    begin = time.monotonic()
    inside: list[str] = []
    with laboratory(cpu_slots=2, warm=2, checkpoint_steps=20, checkpoint_share=1, retries=1000) as lab:

        def kill(job: Job) -> bool:
            number = pid(job)
            assert number is not None
            process.send(job.engine_ref, signal.SIGKILL)
            until(lambda: not alive(number), "a killed process to be gone", 10)
            # Before anybody tidies: what a commit left that was not done.
            inside.extend(path.name for path in lab.run(job.run_id).checkpoints.glob(".tmp-[0-9]*"))
            hunt.done_with(job)
            return True

        life, start = (LIFE, "process") if rounds >= MANY else (1.0, "trains")
        hunt = Hunt(lab, random.Random(seed), life, kill, start)
        runs = hunt.on(small(min(STEPS, 100 * rounds)), rounds)
    counts = {
        "kills": hunt.strikes,
        "inside a commit": len(inside),
        "runs": len(runs),
        "lost or not identical": len(hunt.lost),
    }
    sentence = (
        f"{hunt.strikes} kills of {len(runs)} runs, {len(inside)} of them inside a checkpoint commit (`.tmp-*` left behind): "
        f"{len(hunt.lost)} lost, doubled or different in weights, optimiser, counters or metrics.csv (sha256)."
    )
    return Result(
        counts, time.monotonic() - begin, _with(sentence, hunt.lost), not hunt.lost and bool(inside or rounds < MANY)
    )


def _with(sentence: str, lost: list[str]) -> str:
    return " ".join([sentence, *lost[:5]])
