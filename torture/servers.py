"""kill -9 of the dashboard and of the supervisor while two runs train and three wait; in half of the rounds of a trainer, too.

A new dashboard starts a new supervisor, as it always does. Within seconds of that every state must be true: a run that is said
to train has exactly one process that holds its lock, a run that is said to wait has none.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psutil

from aecore.jobs import queue
from aecore.jobs.queue import Job
from aecore.jobs.supervisor import running
from aecore.runs import Lab, run
from torture.result import Result
from torture.world import ROOT, laboratory, pid, small, until

TRUE_WITHIN = 5.0
WATCHED = 2.0
"""Seconds after that in which nothing may become untrue: a supervisor looks five times a second."""
RUNNING, WAITING = 2, 3


def measure(rounds: int, seed: int) -> Result:
    """`rounds` kills of both servers, in one lab with five runs that do not end by themselves."""
    begin, rng, problems, slowest, trainers = time.monotonic(), random.Random(seed), list[str](), 0.0, 0
    with laboratory(cpu_slots=RUNNING, warm=0, checkpoint_steps=50, checkpoint_share=1, retries=1000) as lab:
        ids = [queue.submit(lab, small(10**6, number), "torture") for number in range(RUNNING + WAITING)]
        dashboard = Dashboard(lab)
        try:
            for number in range(rounds):
                until(lambda: _training(lab, ids), "two runs to train")
                time.sleep(rng.uniform(0, 1))
                before = _jobs(lab, ids)
                dashboard.kill()
                _kill(running(lab))
                victim = rng.choice([job for job in before if job.state == "running"]) if number % 2 == 0 else None
                if victim:
                    trainers += 1
                    _kill(pid(victim))
                time.sleep(rng.uniform(0, 0.5))
                dashboard = Dashboard(lab)
                until(lambda: running(lab), "a new supervisor")
                seconds, found = _true_states(lab, ids)
                slowest = max(slowest, seconds)
                found += _untrue_later(lab, ids)
                problems += [f"Round {number}: {text}" for text in (*found, *_lost(lab, before, victim))]
        finally:
            dashboard.kill()
    counts = {"rounds": rounds, "trainers killed, too": trainers, "slowest to be true, s": round(slowest, 2)}
    counts |= {"lost, doubled or untrue": len(problems)}
    sentence = (
        f"{rounds} times dashboard and supervisor were killed with {RUNNING} runs training and {WAITING} waiting, {trainers} times "
        f"one of the trainers, too: {len(problems)} runs lost, doubled or shown wrongly; every state was true at most "
        f"{slowest:.1f} s after the new supervisor was there."
    )
    return Result(counts, time.monotonic() - begin, " ".join([sentence, *problems[:5]]), not problems)


class Dashboard:
    """The real one, on a free port."""

    def __init__(self, lab: Lab):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = os.environ | {"AELAB_HOME": str(lab.path), "AELAB_PASSWORD": "", "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            f"--server.port={port}",
            "--server.headless=true",
        ]
        with (lab.path / "dashboard.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until(lambda: _answers(f"http://127.0.0.1:{port}/login"), "the dashboard")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except OSError:
        return False
    return True


def _kill(number: int | None) -> None:
    if number is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _jobs(lab: Lab, ids: list[str]) -> list[Job]:
    return [queue.jobs(lab, run_id)[0] for run_id in ids]


def _training(lab: Lab, ids: list[str]) -> bool:
    """Whether two runs train, past their first step of this attempt."""
    jobs = [job for job in _jobs(lab, ids) if job.state == "running"]
    return len(jobs) == RUNNING and all(run(lab, job.run_id).step > 0 for job in jobs)


def _true_states(lab: Lab, ids: list[str]) -> tuple[float, list[str]]:
    """Seconds until every state was true, and what was not in time."""
    begin = time.monotonic()
    while wrong := _untrue(lab, ids):
        if time.monotonic() - begin > TRUE_WITHIN:
            return time.monotonic() - begin, wrong
        time.sleep(0.02)
    return time.monotonic() - begin, []


def _untrue_later(lab: Lab, ids: list[str]) -> list[str]:
    """What is not true two times, one after the other: between reading the processes and the states one can change."""
    end = time.monotonic() + WATCHED
    before: list[str] = []
    while time.monotonic() < end:
        wrong = _untrue(lab, ids)
        if lasting := [text for text in wrong if text in before]:
            return lasting
        before = wrong
        time.sleep(0.1)
    return []


def _untrue(lab: Lab, ids: list[str]) -> list[str]:
    holders = _holders(lab)
    wrong = []
    for job in _jobs(lab, ids):
        expected = {"running": {1}, "starting": {0, 1}, "queued": {0}}.get(job.state, set())
        if holders[job.run_id] not in expected:
            wrong.append(f"{job.run_id} is {job.state}, and {holders[job.run_id]} processes hold it.")
    return wrong


def _holders(lab: Lab) -> Counter[str]:
    """How many trainers hold each run's lock, by their open files."""
    found = Counter[str]()
    supervisor = running(lab)
    for process in psutil.process_iter():
        if process.pid == supervisor:
            continue
        with contextlib.suppress(OSError, psutil.Error):
            if "aecore.jobs.trainer" in process.cmdline():
                links = {os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
                found.update(Path(link).parent.name for link in links if link.endswith("/train.lock"))
    return found


def _lost(lab: Lab, before: list[Job], victim: Job | None) -> list[str]:
    """Runs that are gone, and those that were begun again although nothing had happened to them."""
    problems = []
    for old in before:
        new = queue.job(lab, old.id)
        if new.state not in ("queued", "starting", "running"):
            problems.append(f"{old.run_id} is {new.state}: {new.reason}")
        untouched = old.state == "running" and (victim is None or old.id != victim.id)
        if untouched and (new.attempt, new.engine_ref) != (old.attempt, old.engine_ref):
            problems.append(f"{old.run_id} was begun again, although its process lived.")
    return problems
