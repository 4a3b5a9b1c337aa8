"""Which samples of a run there are: what the live pictures begin with, and what they ask for while it trains."""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

from aecore.runs import LabError, RunFolder, index
from aecore.runs.database import OPEN
from ui.lab import lab, whole
from ui.moments import inputs_of, sample_of

RECORDED = {path.name: path for path in sorted((Path(__file__).parent / "assets/film").glob("recorded-*"))}
"""Samples of a demo that was trained before: the first page shows them until the lab has a demo of its own."""


def taken(run: str, most: int | None = None) -> dict[str, Any]:
    """Which samples there are, or the first `most` of them, `(step, epoch, seconds)` each, the shape (C, H, W) and number of their images, whether the encoder
    sees something else (`seen`), what they are, in words, where they are not the images (`target`), and a number that only runs on the
    same images share (`watched`).

    Raises LabError where there is no such run, or not for who asks.
    """
    ended = run in RECORDED or index.run(whole(), run).state not in OPEN
    folder = folder_of(run)
    steps = folder.sample_steps()
    inputs = inputs_of(folder) if steps else None
    shape = inputs.images.shape if inputs else (0, 0, 0, 0)
    captions = [caption for step in steps[:most] if (caption := _caption(folder, step))]
    content = {"samples": captions, "count": shape[0], "shape": shape[1:], "ended": ended}
    content["seen"] = inputs is not None and inputs.seen is not None
    content["target"] = inputs.target if inputs else ""
    content["watched"] = crc32(inputs.images.tobytes()) if inputs else 0
    return content


def folder_of(run: str) -> RunFolder:
    """The folder of a run of this lab, or of one that came with the program."""
    return RunFolder(RECORDED[run]) if run in RECORDED else lab().run(run)


def _caption(folder: RunFolder, step: int) -> tuple[int, int, float | None] | None:
    try:
        written = folder.sample_path(step).stat().st_mtime_ns  # a run that went on may have taken it again
    except FileNotFoundError:
        return None  # thinned out a moment ago
    return _read_caption(str(folder.path), step, written)


@lru_cache(maxsize=4096)
def _read_caption(path: str, step: int, written: int) -> tuple[int, int, float | None] | None:
    try:
        found = sample_of(RunFolder(path), step)
    except LabError:  # thinned out a moment ago, or damaged: the others can still be shown
        return None
    return step, found.epoch, finite(round(float(found.seconds), 2))


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
