"""The supervisor's part in measuring: one wish at a time, in a process of its own that is ended where a run comes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from aecore.jobs import devices, locks, measures
from aecore.jobs.children import PATIENT, REST
from aecore.jobs.measures import Answer
from aecore.jobs.queue import Job
from aecore.jobs.slots import slots
from aecore.runs import Lab, files

LIMIT = 300.0
"""Seconds that one measure may take."""


class Prober:
    """Keeps at most one process that measures."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.child: subprocess.Popen[bytes] | None = None
        self.name, self.began, self.not_before = "", 0.0, 0.0
        self.seen: frozenset[int] = frozenset()

    def give_way(self, jobs: Sequence[Job]) -> None:
        """Look at all jobs that wait or run; where one has come since the last look, its start needs the processor more."""
        now = frozenset(job.id for job in jobs)
        if now - self.seen:
            self.not_before = time.monotonic() + REST
            self.close()
        self.seen = now

    def tend(self) -> bool:
        """Bury the process that has ended, and start the next. Returns whether anything is measured or wished for."""
        if self.child is not None and self.child.poll() is None:
            if time.monotonic() - self.began > LIMIT:
                self.close()
                self._fail(f"A few steps took longer than {LIMIT / 60:.0f} minutes.")
            return True
        if self.child is not None:
            code, self.child = self.child.returncode, None
            if code:
                self._fail(f"A first step ended its process with {_named(code)}: it may have wanted too much memory.")
        wanted = measures.wanted(self.lab)
        if wanted and time.monotonic() >= self.not_before:
            self._start(wanted[0])
        return bool(wanted)

    def close(self) -> None:
        """End what measures; the wish stays."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None

    def _start(self, name: str) -> None:
        path = measures.wish_path(self.lab, name)
        try:
            wish = files.read_json(path)
            if wish is None:
                return
            device = self._emptiest_gpu() if wish["pool"] == "gpu" else ""
            environment = {"CUDA_VISIBLE_DEVICES": device, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
            environment |= {"OMP_NUM_THREADS": str(wish["threads"])}
        except (ValueError, TypeError, KeyError):  # damaged: who still wants it wishes again
            path.unlink(missing_ok=True)
            return
        with (self.lab.path / "supervisor.log").open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "aecore.jobs.probe", str(self.lab.path), name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | PATIENT | environment,
            )
        self.name, self.began = name, time.monotonic()

    def _emptiest_gpu(self) -> str:
        """The card with the most free memory, one that nobody trains on before all others; '' where none answers any more."""
        cards = devices.gpus()
        taken = {s.device for s in slots(self.lab, [card.uuid for card in cards]) if locks.held(s.lock)}
        best = max(cards, key=lambda card: (card.uuid not in taken, card.memory_total - card.memory_used), default=None)
        return best.uuid if best else ""

    def _fail(self, sentence: str) -> None:
        with suppress(OSError):
            measures.answer(self.lab, self.name, Answer(None, sentence))


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
