"""Tables for the terminal, and what may be written to it."""

import re
import time
from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns that line up, two spaces apart, under their heads."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it, or what turns the reading direction around."""


def shown(text: str) -> str:
    """A text that somebody typed, as a terminal may show it.

    >>> shown("a\\x1b[31mb\\r\\nc")
    'a\ufffd[31mb\\nc'
    """
    return STEERS.sub("\ufffd", text.replace("\r\n", "\n"))


def moment(at: float) -> str:
    """Day and minute, as the clock on the wall shows them."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
