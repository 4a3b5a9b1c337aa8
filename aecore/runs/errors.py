"""The lab's error, and the sentence for a disk with no room."""

import errno
import shutil
from pathlib import Path


class LabError(ValueError):
    """Something in the lab is missing or cannot be used; `str` is a sentence for the user."""


def full(cure: str = "try again") -> str:
    """The sentence for a disk with no room, and what helps once there is some."""
    return f"The disk is full: nothing more could be written. Make room on the lab's disk, then {cure}."


def no_room(error: BaseException) -> bool:
    """Whether this error, of Python, SQLite or safetensors, means that the disk is full."""
    code, text = getattr(error, "errno", None), str(error)
    words = ("No space left on device", "disk is full", "Disk quota exceeded")
    return code in (errno.ENOSPC, errno.EDQUOT) or any(word in text for word in words)


def filled(folder: Path) -> bool:
    """Whether hardly anything can be written there: SQLite calls that an I/O error where it cannot even make its index."""
    try:
        return shutil.disk_usage(folder).free < 2**20
    except OSError:
        return False
