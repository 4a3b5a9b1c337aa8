"""One process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Others wait here, also in other processes, until this one is through or gone. Raises OSError where no file can be made."""
    import fcntl

    while True:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _still(lock, file.fileno()):
                continue  # whoever held it took it away while we waited
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _still(path: Path, descriptor: int) -> bool:
    """Whether this open file is what the path names."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
