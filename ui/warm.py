"""Imports that take seconds, made once for all visitors, in the background and after the first page has been shown."""

import gc
import threading
from importlib import import_module

MODULES = ("numpy", "torch", "pandas", "plotly.graph_objects")
"""Of others only: parts of our own packages ask for each other, and two threads that import them at once find them half made."""
PATIENCE = 5
"""Seconds to wait for a first visitor: importing holds the interpreter, and his page would come later for it."""
READING = 35
"""Seconds from then on for the run that he may start with his first click: its process imports the same things."""

_visited, _needed = threading.Event(), threading.Event()
_threads: list[threading.Thread] = []


def start() -> threading.Thread:
    """Wait for the first page in a thread, import there, and take it all out of the garbage collector's rounds."""
    thread = threading.Thread(target=_import, name="warm-up", daemon=True)
    _threads.append(thread)
    thread.start()
    return thread


def underway() -> bool:
    """Whether the imports are still to be made, at once from now on: a page that needs them does better to say so than to stand
    still for them."""
    _needed.set()
    return any(thread.is_alive() for thread in _threads)


def visited() -> None:
    """A page has been shown."""
    _visited.set()


def _import() -> None:
    if _visited.wait(PATIENCE):
        _needed.wait(READING)
    gc.disable()  # its rounds hold everybody up, for half a second at last, and find one object in fifty
    try:
        for module in MODULES:
            import_module(module)
    finally:
        gc.enable()
    gc.freeze()
