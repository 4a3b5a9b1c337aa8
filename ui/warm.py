"""Imports that take seconds, made once for all visitors in the background, so that the first page does not wait for them."""

import gc
import threading
from importlib import import_module

MODULES = ("numpy", "pandas", "plotly.graph_objects", "torch", "aecore.models", "aecore.analysis")


def start() -> threading.Thread:
    """Import in a thread, then take what was imported out of the garbage collector's rounds."""
    thread = threading.Thread(target=_import, name="warm-up", daemon=True)
    thread.start()
    return thread


def _import() -> None:
    for module in MODULES:
        import_module(module)
    gc.collect()
    gc.freeze()
