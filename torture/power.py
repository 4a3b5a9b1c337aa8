"""Power loss: a lab on ext4 in a file whose shutdown ioctl forgets everything that was not flushed, in the midst of work.

A process submits runs, moves their states and keeps checkpoints, and says so, each time after it was done, on another file
system. After the loss the file is mounted again: what was said must be there.
"""

import contextlib
import fcntl
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from aecore import manifest
from aecore.config import ConfigError
from aecore.jobs import queue, states
from aecore.runs import Lab, LabError, database, run
from torture.forks import Forks
from torture.result import Result, Skipped
from torture.world import small, until

SHUTDOWN = 0x8004587D
WITHOUT_LOG = 2
"""What the journal holds in memory is lost too: the power went."""
SIZE = 192 * 2**20
LOG = 6_000_000
"""Bytes: more than the thousand pages after which SQLite begins its log anew."""
LIFE = 3.0
"""Seconds of work, at most."""
STATES = ("queued", "starting", "running", "completed")
EVERY = 20


def warm(argument: str) -> Any:
    """In the server of children: the data, so that a child begins at once."""
    import torch

    from aecore import training

    return training.prepare(small(1), (Path(argument),), torch.device("cpu"))


def act(data: Any, lab: str, acknowledged: str) -> int:
    """In a child: work until the power goes."""
    from torture.scene import set_up

    with open(acknowledged, "a", encoding="ascii", buffering=1) as said:

        def say(*words: object) -> None:
            said.write(" ".join(map(str, words)) + "\n")

        scene = set_up(Path(lab), data)
        keeper = _in_use(scene.work.lab)
        say("state", scene.work.job.run_id, "running")
        while not keeper.closed:
            scene.train(EVERY)
            step = scene.keep()
            say("step", scene.work.job.run_id, step, scene.recorder.metrics_bytes)
            for _ in range(2):
                _through_its_states(scene.work.lab, say)
    return 0


def _in_use(lab: Lab) -> Connection:
    """Bring the database to where it is after a day: its log is full, and is written over from its beginning.

    Then a flush of the log changes no size, and takes nothing else of the file system's journal to the disk with it.
    """
    keeper = lab.engine.connect()  # as the supervisor has one
    with database.writing(lab.engine) as connection:
        connection.execute(text("CREATE TABLE scratch (content BLOB)"))
        connection.execute(text(f"INSERT INTO scratch VALUES (zeroblob({LOG}))"))
        connection.execute(text("DROP TABLE scratch"))
    return keeper


def _through_its_states(lab: Lab, say: Any) -> None:
    run_id = queue.submit(lab, small(1), "ada")
    say("state", run_id, "queued")
    job = queue.jobs(lab, run_id)[0]
    states.move(lab, job.id, "starting", by="supervisor")
    say("state", run_id, "starting")
    attempt = states.claim(lab, job.id, "torture")
    say("state", run_id, "running")
    states.move(lab, job.id, "completed", by="trainer", attempt=attempt)
    say("state", run_id, "completed")


def measure(rounds: int, seed: int) -> Result:
    """`rounds` losses, each at a random moment of fresh work in the same lab."""
    if os.geteuid() != 0:
        raise Skipped("only root mounts a file system")
    begin, rng, found = time.monotonic(), random.Random(seed), Counter[str]()
    problems: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as name,
        (Path(name) / "log").open("w") as log,
        Forks("torture.power", name, log) as forks,
    ):
        for _ in range(rounds):
            problems += _round(Path(name), forks, rng.uniform(0, LIFE), found)
    counts = {"rounds": rounds, "acknowledged": found["acknowledged"], "lost": found["lost"]}
    counts |= {"checkpoints": found["checkpoints"], "behind": found["behind"], "metrics too short": found["short"]}
    sentence = (
        f"{rounds} losses of power after {found['acknowledged']:,} acknowledged changes of state and {found['checkpoints']:,} "
        f"acknowledged checkpoints: {found['lost']} changes lost, the newest checkpoint {found['behind']} times behind, "
        f"metrics.csv {found['short']} times shorter than it says, {len(problems)} problems in all."
    )
    return Result(counts, time.monotonic() - begin, " ".join([sentence, *problems[:5]]), not problems)


def _round(place: Path, forks: Forks, life: float, found: Counter[str]) -> list[str]:
    disk, mount, acknowledged = place / "disk", place / "mount", place / "acknowledged"
    acknowledged.write_text("")
    with disk.open("wb") as file:
        file.truncate(SIZE)
    mount.mkdir(exist_ok=True)
    _call("mkfs.ext4", "-qF", str(disk))
    _call("mount", "-o", "loop", str(disk), str(mount))
    try:
        child = forks.fork(lab=str(mount / "lab"), acknowledged=str(acknowledged))
        until(lambda: acknowledged.stat().st_size, "the first acknowledgement", 60)
        time.sleep(life)
        _power_off(mount)
        with contextlib.suppress(ProcessLookupError):  # its disk is gone, and so it may be
            os.kill(child, signal.SIGKILL)
        forks.wait()
        _call("umount", str(mount))
        _call("mount", "-o", "loop", str(disk), str(mount))
        return _judge(mount / "lab", acknowledged.read_text().splitlines(), found)
    finally:
        _call("umount", str(mount))


def _power_off(mount: Path) -> None:
    descriptor = os.open(mount, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, SHUTDOWN, WITHOUT_LOG.to_bytes(4, "little"))
    finally:
        os.close(descriptor)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped(f"`{' '.join(command[:3])}` failed: {done.stderr.strip()}")


def _judge(path: Path, said: list[str], found: Counter[str]) -> list[str]:
    """What was said and is not so, in words."""
    lab = Lab.open(path)
    last: dict[str, str] = {}
    steps: dict[str, tuple[int, int]] = {}
    for line in said:
        kind, run_id, *rest = line.split()
        if kind == "state":
            last[run_id] = rest[0]
        else:
            steps[run_id] = (int(rest[0]), int(rest[1]))
    found["acknowledged"] += sum(line.startswith("state") for line in said)
    found["checkpoints"] += sum(line.startswith("step") for line in said)
    problems = [text for run_id, state in last.items() for text in _state(lab, run_id, state)]
    found["lost"] += len(problems)
    for run_id, (step, metrics_bytes) in steps.items():
        problems += _checkpoint(lab, run_id, step, metrics_bytes, found)
    shutil.rmtree(path)
    return problems


def _state(lab: Lab, run_id: str, said: str) -> list[str]:
    try:
        state = run(lab, run_id).state
        lab.run(run_id).config()
    except (LabError, ConfigError) as error:
        return [f"{run_id} was {said}: {error}"]
    return [] if STATES.index(state) >= STATES.index(said) else [f"{run_id} was {said} and is {state}."]


def _checkpoint(lab: Lab, run_id: str, step: int, metrics_bytes: int, found: Counter[str]) -> list[str]:
    folder = lab.run(run_id)
    newest = manifest.newest(folder.checkpoints)
    if newest is None or manifest.step_of(newest) < step:
        found["behind"] += 1
        return [f"Step {step} of {run_id} was kept; the newest checkpoint is {newest}."]
    length = (folder.path / "metrics.csv").stat().st_size
    if length < max(metrics_bytes, manifest.mark(newest).metrics_bytes):
        found["short"] += 1
        return [f"metrics.csv of {run_id} has {length} bytes instead of {metrics_bytes}."]
    return []
