"""Kernel locks on files. They are inherited by a child, and gone the moment its last process is: no process id is trusted."""

import contextlib
import fcntl
import os
from pathlib import Path


def acquire(path: Path) -> int | None:
    """Take a lock and return the descriptor that holds it (close it to give it back); None where somebody else has it.

    Raises OSError where its folder is gone.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def held(path: Path) -> bool:
    """Whether somebody holds the lock. Testers do not disturb each other: they ask for a shared one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def release(*descriptors: int) -> None:
    """Give locks back."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
