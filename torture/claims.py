"""Many queued jobs, eight processes that all try to take each of them: every job is taken exactly once."""

import json
import random
import subprocess
import sys
import time
from collections import Counter

from sqlalchemy import func, insert, select

from aecore.jobs import states
from aecore.runs import Lab, database
from torture.result import Result
from torture.world import ROOT, laboratory

CLAIMERS = 8


def claim(path: str, seed: int) -> list[int]:
    """One claimer: tries every job, in an order of its own. Returns those that it got."""
    lab, rng = Lab.open(path), random.Random(seed)
    with database.reading(lab.engine) as connection:
        ids = list(connection.execute(select(database.jobs.c.id)).scalars())
    rng.shuffle(ids)
    print("ready", flush=True)
    sys.stdin.readline()  # until the others are ready, too
    return [job_id for job_id in ids if _take(lab, job_id, f"claimer-{seed}")]


def _take(lab: Lab, job_id: int, name: str) -> bool:
    if not states.move(lab, job_id, "starting", by="supervisor", engine=name):
        return False
    return states.claim(lab, job_id, name) is not None


def measure(rounds: int, seed: int) -> Result:
    """`rounds` jobs."""
    begin = time.monotonic()
    with laboratory() as lab:
        _fill(lab, rounds)
        taken = _claimed(lab, seed)
        moves = _moves(lab)
    counted = Counter(job_id for ids in taken if ids for job_id in ids)
    dead = sum(ids is None for ids in taken)
    once = sum(number == 1 for number in counted.values())
    counts = {"jobs": rounds, "claimers": CLAIMERS, "taken once": once, "taken twice": len(counted) - once}
    counts |= {"never taken": rounds - len(counted), "claimers that failed": dead}
    counts |= {f"events '{state}'": number for state, number in sorted(moves.items())}
    held = once == rounds and not dead and moves == {"starting": rounds, "running": rounds}
    shares = ", ".join(str(len(ids or ())) for ids in taken)
    sentence = (
        f"{rounds:,} jobs, each tried by {CLAIMERS} processes at the same time: {once:,} taken exactly once "
        f"({shares} by each process), {len(counted) - once} twice, {rounds - len(counted)} never; "
        f"{moves.get('starting', 0):,} events of a start, {moves.get('running', 0):,} of a claim."
    )
    return Result(counts, time.monotonic() - begin, sentence, held)


def _claimed(lab: Lab, seed: int) -> list[list[int] | None]:
    """What each claimer got, all of them started at once; None for one that failed."""
    commands = [[sys.executable, "-m", "torture.claims", str(lab.path), str(seed + n)] for n in range(CLAIMERS)]
    pipe = subprocess.PIPE
    claimers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) for command in commands]
    for claimer in claimers:
        assert claimer.stdout is not None
        claimer.stdout.readline()
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("\n")
        claimer.stdin.flush()
    return [json.loads(claimer.communicate()[0] or "null") for claimer in claimers]


def _fill(lab: Lab, jobs: int) -> None:
    """Jobs as rows only: no folder is needed to take one."""
    words = dict.fromkeys(("name", "owner", "dataset", "backbone", "bottleneck"), "torture")
    with database.writing(lab.engine) as connection:
        runs = [{"id": f"run-{n}", **words, "code_size": 2, "epochs": 1, "created": 0.0} for n in range(jobs)]
        rows = [
            {"run_id": f"run-{n}", "kind": "train", "owner": "torture", "created": 0.0, "place": n} for n in range(jobs)
        ]
        connection.execute(insert(database.runs), runs)
        connection.execute(insert(database.jobs), rows)


def _moves(lab: Lab) -> dict[str, int]:
    new = database.events.c.new
    with database.reading(lab.engine) as connection:
        return dict(map(tuple, connection.execute(select(new, func.count()).group_by(new))))


if __name__ == "__main__":
    print(json.dumps(claim(sys.argv[1], int(sys.argv[2]))))
