"""What a measure found, and what keeps it from being taken here."""

from collections.abc import Mapping
from typing import NamedTuple


class Result(NamedTuple):
    """One row of the table."""

    counts: Mapping[str, float]
    """What was counted, by name; whole numbers but for seconds."""
    seconds: float
    """Wall time."""
    sentence: str
    """The row in words."""
    held: bool
    """Whether what the product promises was seen every time."""


class Skipped(Exception):
    """The measure cannot be taken on this machine; the text says why."""
