"""Pages' scripts take turns. Python runs one of them at a time anyway: ten that share a core are all late, and spend time on the
sharing, at each row that a database hands over; one after the other, most are early."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore

AT_ONCE = 2
"""One that computes, and one that waits for a disk or a database."""
PATIENCE = 2
"""Seconds after which a script goes on without a turn: another may stand still with one."""

_turns = Semaphore(AT_ONCE)


@contextmanager
def in_turn() -> Iterator[None]:
    """While a script works. Those who wait come in their order."""
    mine = _turns.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        if mine:
            _turns.release()
