"""Trainer processes: ready ones with torch imported, each used once, so that a run starts without the two seconds of an import."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aecore.config.lab import cores

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""A process's threads sleep while they wait for each other: spinning, they take the processors from everything else and are two
to ten times slower where anything else runs (docs/LOG.md)."""
REST = 6.0
"""Seconds after a start before the next child is warmed: what was just started needs the processor more."""
FIRST, SECOND, SPARE = 0, 5, 15
"""How far below everything else they get ready: the one that the first click waits for, those beside it, and those for later."""


class Child:
    """One trainer process that waits at the other end of a socket for its job."""

    def __init__(self, output: Path, threads: int, warm: int | None, data_root: str, lab: Path):
        """`warm`: get ready at this niceness and wait; None is for one whose job is there."""
        ours, theirs = socket.socketpair()
        mode = ["--now"] if warm is None else ["--wait", str(warm)]
        with output.open("ab") as log, theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aecore.jobs.trainer", *mode, str(theirs.fileno()), str(lab)],
                stdin=subprocess.DEVNULL,
                stdout=log,  # a file, never a pipe: whoever reads a pipe can go away, and then the run stands still
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=os.environ
                | PATIENT
                | {"OMP_NUM_THREADS": str(threads), "AELAB_DATA": data_root, "PYTHONUNBUFFERED": "1"},
            )
        self.socket = ours
        self.socket.setblocking(False)
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether everything is imported."""
        if not self._ready:
            try:
                self._ready = bool(self.socket.recv(1))
            except BlockingIOError:
                pass
            except OSError:
                self._ready = False
        return self._ready

    def hand_over(self, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Give it its one job and the locks that go with it. Raises OSError where it is gone."""
        self.socket.setblocking(True)
        socket.send_fds(self.socket, [json.dumps(message).encode()], list(descriptors))
        self.socket.close()

    def dismiss(self) -> None:
        """Let it go unused: at the end of its socket it leaves."""
        self.socket.close()


class Nursery:
    """Keeps a few children warm."""

    def __init__(self, lab: Path, count: int, threads: int, data_root: str):
        self.lab, self.count, self.threads, self.data_root = lab, count, threads, data_root
        self.children: list[Child] = []
        self.not_before = 0.0
        self.failures = 0

    def take(self) -> Child | None:
        """The child that is furthest on its way, or None."""
        self._forget_dead()
        self.not_before = time.monotonic() + REST
        if not self.children:
            return None
        chosen = next((child for child in self.children if child.ready), self.children[0])
        self.children.remove(chosen)
        return chosen

    def tend(self) -> None:
        """Warm what is missing: at first as many as there are processors, later one at a time and not beside a fresh start."""
        self._forget_dead()
        missing = self.count - len(self.children)
        if missing <= 0 or self.failures >= 3 or time.monotonic() < self.not_before:
            return
        if self.not_before == 0.0:
            self.not_before = time.monotonic()
            self._warm(FIRST, *[SECOND] * (min(missing, cores()) - 1))
        elif all(child.ready for child in self.children):
            self._warm(SPARE)

    def _warm(self, *niceness: int) -> None:
        output = self.lab / "supervisor.log"
        self.children += [Child(output, self.threads, nice, self.data_root, self.lab) for nice in niceness]

    def _forget_dead(self) -> None:
        dead = [child for child in self.children if child.process.poll() is not None]
        self.failures += len(dead)
        for child in dead:
            child.dismiss()
            self.children.remove(child)

    def close(self) -> None:
        for child in self.children:
            child.dismiss()
