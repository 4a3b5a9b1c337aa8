"""Imports that take seconds, made once for all visitors, in the background and after the first page has been shown."""

import gc
import os
import sys
import threading
import time
from importlib import import_module

MODULES = ("numpy", "pandas", "plotly.graph_objects", "torch", "aecore.models", "aecore.analysis")
PATIENCE = 5
"""Seconds to wait for a first visitor: importing holds the interpreter, and his page would come later for it."""
READING = 35
"""Seconds from then on for the run that he may start with his first click: its process imports the same things."""

_visited = threading.Event()


def start() -> threading.Thread:
    """Wait for the first page in a thread, import there, and take it all out of the garbage collector's rounds."""
    thread = threading.Thread(target=_import, name="warm-up", daemon=True)
    thread.start()
    return thread


def visited() -> None:
    """A page has been shown."""
    _visited.set()


def _import() -> None:
    if _visited.wait(PATIENCE):
        time.sleep(READING)
    if sys.platform == "linux":  # a thread's own priority: the trainers that wait for a click come first
        os.setpriority(os.PRIO_PROCESS, 0, 10)
    for module in MODULES:
        import_module(module)
    gc.collect()
    gc.freeze()
