"""Why a job ended, in a sentence for the person whose run it was."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from aecore.config import ConfigError
from aecore.runs import LabError, RunFolder
from aecore.runs.errors import full, no_room
from aecore.runs.text import size

COMPLETED, CONFIG, REFUSED, CRASHED, LEFT = 0, 3, 4, 1, 75
"""Exit codes of a trainer; LEFT: it was told to leave, and can go on. They are a hint only: an adopted process has none."""


SAFE = 0.9
"""Share of the memory that a suggestion fills: the estimate is within 15 %."""


class Ending(NamedTuple):
    """What is written into the job when it fails."""

    reason_code: str
    """config, disk_full, folder_lost, oom, diverged, exit, signal, host_lost or no_start."""
    reason: str
    exit_code: int
    host: bool = False
    """Of oom: whether it was the machine's memory, not a GPU's."""


FOLDER_LOST = Ending(
    "folder_lost",
    "The run's folder was deleted, moved or made unreadable while it was going. What it had saved was in there.",
    CONFIG,
)


def explain(error: BaseException) -> Ending:
    """The ending that an exception means. What is not known is named by its class and text; its log has the rest."""
    names = {cls.__name__ for cls in type(error).__mro__}  # by name: torch must not be imported for a sentence
    text = str(error).strip()
    if no_room(error):
        return Ending("disk_full", full("start the run again"), CRASHED)
    if "OutOfMemoryError" in names or isinstance(error, MemoryError) or "can't allocate memory" in text:
        return out_of_memory("DefaultCPUAllocator" in text or isinstance(error, MemoryError))
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


def died(exit_code: int | None, rebooted: bool, oom: bool = False) -> Ending:
    """The ending of a process that left without a word.

    Args:
        exit_code: None where it was not our own child.
        oom: whether the system killed a process for its memory since this one began.
    """
    if rebooted:
        return Ending("host_lost", "The machine was restarted while the run was going.", CRASHED)
    if oom and exit_code == -signal.SIGKILL:
        return out_of_memory(host=True)
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


def out_of_memory(host: bool, peak: int | None = None, room: float = 0, needs: dict[str, Any] | None = None) -> Ending:
    """The ending of a run that wanted more memory than there is.

    Args:
        host: the machine's own memory, or a GPU's.
        peak: bytes that the run had when it was last asked.
        room: bytes that a run can have.
        needs: what model.json says of it: {'batch_size', 'of_one', 'of_batch'}, bytes with one image a batch and with all.
    """
    where = "The machine's memory" if host else "The GPU's memory"
    had = f" after {size(peak)}" if peak else ""
    return Ending("oom", f"{where} ran out{had}. {smaller(room, needs)}", CRASHED, host)


def in_memory(ending: Ending, run: Path, peak: int | None) -> Ending:
    """An ending for want of memory, told with what the run had and a batch that would fit; any other as it is."""
    if ending.reason_code != "oom":
        return ending
    model = RunFolder(run).model() or {}
    room = psutil.virtual_memory().available if ending.host else model.get("device_memory") or 0
    return out_of_memory(ending.host, peak, room, model.get("memory"))


def smaller(room: float, needs: dict[str, Any] | None) -> str:
    """What to do where `room` bytes do not suffice; `needs` as `out_of_memory` takes it."""
    if not needs or not room:
        return "Use a smaller batch (training.batch_size), a smaller model or smaller images."
    one, all_, batch = needs["of_one"], needs["of_batch"], needs["batch_size"]
    each = max(1.0, (all_ - one) / max(1, batch - 1))
    fits = min(batch // 2, 1 + int((SAFE * room - one) // each))
    if fits < 1:
        return f"It needs {size(one)} for a single image a step: use a smaller model or smaller images."
    return f"A batch of {fits} would fit (training.batch_size={fits} instead of {batch})."
