"""Starts a lab's supervisor in the background. Imports nothing but Python's own: a dashboard does this before all else, and what
the two of them import, they import side by side."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from aecore.jobs import locks

ON_ITS_WAY = 10.0
"""Seconds for which one that was started and has not left may still be without its lock."""

_started: list[tuple[Path, float, subprocess.Popen[bytes]]] = []
"""Lab, time and process; kept, so that those that left are no zombies of the dashboard."""


def launch(lab: Path, data_root: str) -> None:
    """Start a supervisor. Of several that start at once, one stays. Raises OSError where the lab cannot be written."""
    with (lab / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aecore.jobs.supervisor", str(lab)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"AELAB_DATA": data_root},
        )
    _started.append((lab, time.monotonic(), process))


def early(checkout: Path) -> None:
    """Start one for the lab of the environment where there is none. What is wrong with the lab is said by who opens it later."""
    lab = Path(os.environ.get("AELAB_HOME") or checkout / "lab").expanduser().absolute()
    with contextlib.suppress(OSError):
        if not locks.held(lock(lab)):
            lab.mkdir(parents=True, exist_ok=True)
            launch(lab, os.environ.get("AELAB_DATA", ""))


def lock(lab: Path) -> Path:
    """What a supervisor holds for as long as it lives."""
    return lab / "locks" / "supervisor.lock"


def started(lab: Path) -> list[subprocess.Popen[bytes]]:
    """The supervisors of this lab that this process has started and that are still there."""
    reap()
    return [process for path, _, process in _started if path == lab]


def coming(lab: Path) -> bool:
    """Whether one of them may be about to take its lock."""
    reap()
    return any(path == lab and time.monotonic() - when < ON_ITS_WAY for path, when, _ in _started)


def reap() -> None:
    """Bury those that have left."""
    _started[:] = [one for one in _started if one[2].poll() is None]
