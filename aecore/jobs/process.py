"""Processes by a name that is never used twice: boot, process id and start time. For signals only; life is told by locks."""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from functools import cache
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
TRIES = 20


@cache
def boot_id() -> str:
    """A name of this start of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:13]
    except OSError:
        return f"{socket.gethostname()}-{psutil.boot_time():.0f}"


def reference(engine: str, pid: int) -> str:
    """`engine:boot:pid:start` of a process of this machine."""
    return f"{engine}:{boot_id()}:{pid}:{_started(pid)}"


def _started(pid: int) -> str:
    """When a process began, by a clock that nobody sets: in ticks since the machine's start where the system says so.

    psutil's time of day is another one in each process that looks after the clock was set.
    """
    if sys.platform != "linux":
        return f"{psutil.Process(pid).create_time():.2f}"
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        raise psutil.NoSuchProcess(pid) from None


def rebooted(ref: str | None) -> bool:
    """Whether the machine was restarted since this process began."""
    return ref is not None and ref.split(":")[1] != boot_id()


def send(ref: str | None, number: signal.Signals, group: bool = False) -> None:
    """Signal a process, or its whole group; nothing where it is gone and its number belongs to somebody else."""
    if ref is None or rebooted(ref):
        return
    engine, _, pid, _ = ref.split(":")
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        if reference(engine, int(pid)) == ref:
            os.killpg(int(pid), number) if group else os.kill(int(pid), number)


def oom_kills() -> int:
    """How many processes this machine has killed for their memory since its start; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def die_with_parent() -> None:
    """End this process when its parent ends, however that ends. Linux only; elsewhere it finds its partners gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def set_group_priority(niceness: int) -> None:
    """Put this process's session this far below the others, or back at 0. Linux, where it weighs sessions against each other
    (sched(7), autogroup): there a process's own niceness counts only within its session, and a trainer's is its own."""
    with contextlib.suppress(OSError):
        for _ in range(TRIES):
            with contextlib.suppress(BlockingIOError):  # one change every tenth of a second on the whole machine
                Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")
                return
            time.sleep(0.1)
