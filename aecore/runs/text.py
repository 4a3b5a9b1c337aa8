"""Tables for the terminal."""

import time
from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns that line up, two spaces apart, under their heads."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def moment(at: float) -> str:
    """Day and minute, as the clock on the wall shows them."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
