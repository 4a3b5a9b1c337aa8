"""What was done to the lab itself, a line each in `diary.jsonl`: who changed which setting, drained it, cleaned it up."""

import json
import os
import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from aecore.runs.lab import Lab

NAME = "diary.jsonl"
TAIL = 256 * 1024
"""Bytes from its end that are read."""


class Act(NamedTuple):
    """One thing that somebody did, at a time in seconds since 1970."""

    at: float
    by: str
    text: str


def write(lab: Lab, by: str, text: str) -> None:
    """Add a line. On a full disk the diary says less, and what it would tell of is done all the same."""
    line = json.dumps({"at": time.time(), "by": by, "text": text}) + "\n"
    with suppress(OSError):
        descriptor = os.open(lab.path / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())  # in one piece, so that two writers do not mix
        finally:
            os.close(descriptor)


def read(lab: Lab, most: int = 200) -> list[Act]:
    """The latest lines, newest first; what is no line of ours is left out."""
    try:
        with (lab.path / NAME).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = deque(file, maxlen=most)
    except FileNotFoundError:
        return []
    return [act for line in reversed(lines) if (act := _act(line))]


def _act(line: bytes) -> Act | None:
    try:
        found = json.loads(line)
        return Act(float(found["at"]), str(found["by"]), str(found["text"]))
    except (ValueError, KeyError, TypeError):
        return None
