"""Waking the supervisor: one byte through a named pipe, so that a click is seen at once and not a tick later."""

import contextlib
import os
import select
from collections.abc import Iterable
from pathlib import Path

from aecore.runs import Lab


def _path(lab: Lab) -> Path:
    return lab.path / "locks" / "wake"


def wake(lab: Lab) -> None:
    """Tell the supervisor to look. Nothing happens where none runs: it looks when it starts."""
    with contextlib.suppress(OSError):  # no pipe, nobody reading, or a full pipe: it is awake or will be
        pipe = os.open(_path(lab), os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, b".")
        finally:
            os.close(pipe)


class Alarm:
    """The supervisor's end of the pipe."""

    def __init__(self, lab: Lab):
        path = _path(lab)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # Open for writing as well, so that the pipe does not read as ended whenever the last writer leaves.
        self.pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float, others: Iterable[int] = ()) -> bool:
        """Sleep until somebody wakes us, one of the other descriptors can be read, or the time is over.

        Returns: whether somebody woke us.
        """
        ready, _, _ = select.select([self.pipe, *others], [], [], seconds)
        if self.pipe in ready:
            os.read(self.pipe, 4096)
        return self.pipe in ready

    def close(self) -> None:
        os.close(self.pipe)
