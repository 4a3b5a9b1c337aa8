"""The process that does one job. Started by the supervisor, or by hand: `python -m aecore.jobs.trainer RUN_DIR`.

`--wait` and `--now` are the supervisor's: it hands over the job and its locks through a socket. With `--wait` everything
is imported before, at low priority, so that a run starts without the two seconds that torch takes.
"""

import argparse
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from aecore import data
from aecore.config import preset
from aecore.jobs import children, endings, locks, process, queue, states
from aecore.jobs.work import Shown, Stop, Stopped, Work
from aecore.runs import Lab, LabError, database

HELD = "AELAB_HELD"
"""Environment variable: the job whose locks the starter of this process holds for it."""
ROOM = 256 * 1024
"""Bytes set aside in the run's folder, given back when the disk is full: the last words need room too."""
READY = b"."
"""What a waiting process says when a run that it is given now starts at once."""
KINDS = ("train", "analyse", "project")


def task_of(kind: str) -> Callable[[Work], None]:
    """What a kind of job does: the function of that name in the module of that name. Imports torch, and no other kind's needs."""
    assert kind in KINDS, kind
    task: Callable[[Work], None] = getattr(_imported(f"aecore.jobs.{kind}"), kind)
    return task


def _imported(name: str) -> ModuleType:
    """Import without rounds of the garbage collector: each would look at all that was imported, and all of it stays."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def perform(work: Work) -> int:
    """Do the job and say how it ended, in the database and as an exit code. Raises nothing."""
    room = work.folder.path / f".{work.job.kind}.room"
    try:
        _set_aside(room)
        with work.stop.at_once(work.job.checkpoint_step or 0):
            task = task_of(work.job.kind)
        task(work)
        return endings.COMPLETED
    except states.Fenced as error:
        _log(work, f"This attempt is over: {error}.")
        return endings.REFUSED
    except Stopped as stopped:
        return _leave(work, stopped.step)
    except Exception as error:
        room.unlink(missing_ok=True)
        if not work.folder.reachable:
            return _say(work, "failed", endings.FOLDER_LOST)
        if database.unreachable(error) and work.job.engine != "foreground":
            return _leave(work, None, "The lab's database did not answer for a while")
        ending = endings.in_memory(endings.explain(error), work.folder.path, _peak(work))
        if ending.reason_code == "exit":
            _log(work, traceback.format_exc().strip())
            ending = ending._replace(reason=f"{ending.reason}\n{work.folder.log(5)}")
        return _say(work, "failed", _with_kept(work, ending))
    finally:
        room.unlink(missing_ok=True)


def _leave(work: Work, step: int | None, *why: str) -> int:
    """Say so, as `Work.leave`; `step` is None where only the database knows what was saved. Where that does not answer, the exit code
    tells the supervisor."""
    try:
        return work.leave(queue.job(work.lab, work.job.id).checkpoint_step or 0 if step is None else step, *why)
    except states.Fenced:
        return endings.REFUSED
    except Exception as error:
        if not database.unreachable(error):
            raise
        return endings.LEFT


def _say(work: Work, state: str, ending: endings.Ending) -> int:
    _log(work, ending.reason.splitlines()[0])
    with contextlib.suppress(states.Fenced):
        work.end(state, ending.reason, ending.reason_code)
    return ending.exit_code


def _peak(work: Work) -> int | None:
    with contextlib.suppress(LabError):
        return queue.job(work.lab, work.job.id).memory
    return None


def _with_kept(work: Work, ending: endings.Ending) -> endings.Ending:
    """Name what was kept, after the first line."""
    kept = queue.job(work.lab, work.job.id).checkpoint_step if work.job.kind == "train" else None
    if kept is None:
        return ending
    first, *lines = ending.reason.splitlines()
    return ending._replace(reason="\n".join([f"{first} The checkpoint of step {kept:,} is kept.", *lines]))


def _log(work: Work, text: str) -> None:
    """Into the run's log; also where it is not this process's output, as in the foreground."""
    with contextlib.suppress(OSError), work.folder.log_path.open("a", encoding="utf-8") as log:
        log.write(f"{text}\n")


def _set_aside(room: Path) -> None:
    with room.open("wb") as file:
        file.write(bytes(ROOM))


def work_on(
    lab: Lab,
    job_id: int,
    stop: Stop,
    threads: int | None,
    reference: str | None = None,
    show: Callable[[Shown], None] = lambda shown: None,
) -> int:
    """Claim a job and do it. `reference` is its engine's name for it, by default one of the engine on this machine.

    Returns: an exit code.
    """
    taken_over = states.beating(lab, job_id)
    attempt = states.claim(lab, job_id, reference or process.reference("local", os.getpid()))
    if attempt is None:
        print("This job is not to be done any more.", file=sys.stderr, flush=True)
        return endings.REFUSED
    if taken_over:
        time.sleep(2 * states.BEAT)  # the earlier process learns with its next heartbeat that it is fenced off
    return perform(Work(lab, queue.job(lab, job_id), attempt, threads, stop, show))


def wait(descriptor: int, lab_path: str, niceness: int | None) -> int:
    """Get ready at that niceness, unless it is None; wait at the socket for a job, do it, leave. Returns an exit code."""
    with socket.socket(fileno=descriptor) as ours:
        stop = Stop()
        if niceness is not None:
            prepare(Lab.open(lab_path), ours, niceness)
        message, held, _, _ = socket.recv_fds(ours, 65536, 8)
    if not message:
        return endings.COMPLETED
    stop.install(signal.SIGTERM)
    job = json.loads(message)
    _settle(Path(job["run"]), job)
    code = work_on(Lab.open(lab_path, job["data_root"]), job["job"], stop, job["threads"])
    locks.release(*held)
    return code


def _settle(run: Path, job: dict[str, Any]) -> None:
    """Make this process the job's own: its log, its device, its place when memory runs out."""
    log = os.open(run / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ["CUDA_VISIBLE_DEVICES"] = job["device"]
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if job["kind"] != "train":
        os.nice(5)  # side jobs give way to runs
    with contextlib.suppress(OSError):  # the kernel takes a run rather than the dashboard; Linux only
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def prepare(lab: Lab, ours: socket.socket, niceness: int) -> None:
    """Import what follows a click and do once what is slow the first time, until the job comes. It opens no GPU.

    At low priority, in a thread of its own: on Linux a thread has one, and a process could not get its old one back. Who is not
    the first draws the demo's images before, which needs no torch: the first one imports it meanwhile.
    """
    if niceness > children.FIRST:
        with contextlib.suppress(Exception):  # it fails again, with its sentence, in a run that needs it
            data.load(preset("demo").config.data, "train", lab.data_roots)
    come = threading.Event()

    def gently() -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
        for step in preparations(lab, ours):
            if come.is_set():
                return  # the rest is imported where it is needed, and not at low priority
            step()

    process.set_group_priority(niceness)
    thread = threading.Thread(target=gently)
    thread.start()
    select.select([ours], [], [])
    come.set()
    process.set_group_priority(0)
    thread.join()


def preparations(lab: Lab, ours: socket.socket) -> Iterator[Callable[[], object]]:
    """What a waiting process does, in the order in which a visitor needs it; maps are asked for rarely."""
    yield lambda: _imported("torch")
    yield lambda: task_of("train")
    yield lambda: _imported("aecore.jobs.rehearsal").rehearse(lab)
    with contextlib.suppress(OSError):  # nobody needs us any more
        ours.send(READY)
    yield lambda: task_of("analyse")


def by_hand(run: Path, job_id: int | None = None) -> int:
    """Do a job of a run, by default its first open one, as an engine other than ours starts it. Returns an exit code."""
    lab = Lab.open(run.absolute().parents[1])
    if int(os.environ.get("RANK", "0")) > 0:
        return _follow(lab, run)
    stop = Stop()
    stop.install(signal.SIGTERM)
    job = _chosen(lab, run, job_id)
    if os.environ.get(HELD) != str(job.id) and locks.acquire(run / f"{job.kind}.lock") is None:
        print(f"Run {run.name} is being worked on by another process.", file=sys.stderr)
        return endings.REFUSED
    together = "WORLD_SIZE" in os.environ
    if together:
        process.die_with_parent()
    reference = process.reference("local", os.getppid() if together else os.getpid())
    return work_on(lab, job.id, stop, None, os.environ.get("AELAB_REF") or reference)


def _chosen(lab: Lab, run: Path, job_id: int | None) -> queue.Job:
    of_run = queue.jobs(lab, lab.run(run.name).id)
    wanted = [job for job in of_run if (job.state not in states.TERMINAL if job_id is None else job.id == job_id)]
    if not wanted:
        raise LabError(f"Run {run.name} has no job to do." if job_id is None else f"{run.name} has no job {job_id}.")
    return wanted[0]


def _follow(lab: Lab, run: Path) -> int:
    from aecore.jobs.train import follow

    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first process decides when all of them leave
    process.die_with_parent()
    follow(lab, run.name)
    return endings.COMPLETED


def main(arguments: list[str]) -> int:
    """The process's entry."""
    match arguments:
        case ["--wait", niceness, descriptor, lab]:
            return wait(int(descriptor), lab, int(niceness))
        case ["--now", descriptor, lab]:
            return wait(int(descriptor), lab, None)
    parser = argparse.ArgumentParser(prog="python -m aecore.jobs.trainer", description="Do a job of a run.")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--job", type=int, help="the job's number; the first that is open when left out")
    asked = parser.parse_args(arguments)
    try:
        return by_hand(asked.run, asked.job)
    except LabError as error:
        print(error, file=sys.stderr)
        return endings.CONFIG


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
