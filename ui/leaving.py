"""What visitors who have left held goes back to the machine: Streamlit forgets a session only when the next one comes or goes, and
a heap that has grown stays as large. An idle dashboard would keep the memory of its busiest hour."""

import asyncio
import ctypes
import gc
from contextlib import suppress
from typing import Any

from streamlit.runtime import Runtime

EVERY = 30
"""Seconds between looks whether somebody has left."""


async def tidied() -> None:
    """While the dashboard is up."""
    held = 0
    while True:
        await asyncio.sleep(EVERY)
        now = kept(Runtime.instance()._session_mgr)
        # forgotten sessions are garbage in circles; a collection holds everybody up for a moment, so only then
        if now < held:
            await asyncio.to_thread(given_back)
        held = now


def kept(manager: Any) -> int:
    """How many sessions are held: those that are open, and those that may come back within a quarter of an hour. Forgets the others."""
    manager._session_storage._cache.expire()
    return len(manager.list_sessions())


def given_back() -> None:
    """Collect what nobody can reach, and hand free memory of the heap back to the machine, where its C library can."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
