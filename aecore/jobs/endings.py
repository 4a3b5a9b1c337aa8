"""Why a job ended, in a sentence for the person whose run it was."""

import signal
from typing import NamedTuple

from aecore.config import ConfigError
from aecore.runs import LabError
from aecore.runs.errors import FULL, no_room

COMPLETED, CONFIG, REFUSED, CRASHED, LEFT = 0, 3, 4, 1, 75
"""Exit codes of a trainer; LEFT: it was told to leave, and can go on. They are a hint only: an adopted process has none."""


class Ending(NamedTuple):
    """What is written into the job when it fails."""

    reason_code: str
    """config, disk_full, oom, diverged, exit, signal, host_lost or no_start."""
    reason: str
    exit_code: int


def explain(error: BaseException) -> Ending:
    """The ending that an exception means. What is not known is named by its class and text; its log has the rest."""
    names = {cls.__name__ for cls in type(error).__mro__}  # by name: torch must not be imported for a sentence
    text = str(error).strip()
    if no_room(error):
        return Ending("disk_full", FULL, CRASHED)
    if "OutOfMemoryError" in names or isinstance(error, MemoryError) or "can't allocate memory" in text:
        return Ending("oom", _memory("DefaultCPUAllocator" in text or isinstance(error, MemoryError)), CRASHED)
    if "Diverged" in names:
        return Ending("diverged", text, CRASHED)
    if isinstance(error, ConfigError | LabError) or "DataError" in names or type(error) is ValueError:
        return Ending("config", text.replace("\n", " "), CONFIG)
    if isinstance(error, OSError) and error.strerror:
        return Ending("exit", f"{error.filename or 'A file'} could not be read or written: {error.strerror}.", CRASHED)
    return Ending(
        "exit",
        f"The program failed with {type(error).__name__}: {text.splitlines()[0] if text else 'no text'}",
        CRASHED,
    )


def died(exit_code: int | None, rebooted: bool) -> Ending:
    """The ending of a process that left without a word. `exit_code` is None where it was not our own child."""
    if rebooted:
        return Ending("host_lost", "The machine was restarted while the run was going.", CRASHED)
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        why = (
            "by hand, or by the system when memory ran out"
            if name == "SIGKILL"
            else "from outside or by a fault in a library"
        )
        return Ending("signal", f"The run's process was killed with {name}: {why}.", CRASHED)
    if exit_code is None:
        return Ending(
            "signal", "The run's process was killed or ended without a word: by hand, or when memory ran out.", CRASHED
        )
    return Ending("exit", f"The run's process ended with exit code {exit_code} before the run was complete.", CRASHED)


def _memory(host: bool) -> str:
    where = "The machine's memory" if host else "The GPU's memory"
    return f"{where} ran out: use a smaller batch (training.batch_size), a smaller model or smaller images."
