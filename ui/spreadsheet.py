"""Tables as CSV, in which nothing is a formula."""

import csv
import io
from collections.abc import Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet computes; blanks before it make no difference to some of them."""


def as_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as a file. What a spreadsheet would take for a formula is kept as text, in the head, too."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in (head, *rows))
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in FORMULA and value.strip() else value
