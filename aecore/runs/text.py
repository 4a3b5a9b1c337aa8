"""Tables for the terminal, and what may be written to it."""

import re
import time
import unicodedata
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


TURNS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
ISOLATE, END = "\u2068", "\u2069"
"""Around a text whose own reading direction ends with it: Unicode Standard Annex 9, "first strong isolate"."""
LEFTWARDS = {"R", "AL", "AN"}


def isolated(text: str) -> str:
    """A text that somebody typed, for a page: it cannot turn the reading direction of what stands around it.

    Signs that do nothing else are boxes, unless an isolate that ends is made of them; a text with letters of a script that
    is read leftwards is such an isolate.

    >>> isolated("a\u202eb"), isolated("\u05d0 1") == f"\u2068\u05d0 1\u2069" == isolated(isolated("\u05d0 1"))
    ('a\ufffdb', True)
    """
    if text.isascii():
        return text
    if not _balanced(TURNS.findall(text)):
        text = TURNS.sub("\ufffd", text)
    wrapped = text.startswith(ISOLATE) and text.endswith(END)
    leftwards = any(unicodedata.bidirectional(letter) in LEFTWARDS for letter in text)
    return f"{ISOLATE}{text}{END}" if leftwards and not wrapped else text


def _balanced(signs: Sequence[str]) -> bool:
    """Whether these are isolates only, each of which ends."""
    open_ = 0
    for sign in signs:
        open_ += {ISOLATE: 1, END: -1}.get(sign, -len(signs))
        if open_ < 0:
            return False
    return not open_


def size(count: float) -> str:
    """Bytes in words.

    >>> size(12.4e9), size(4.2e9), size(310e6), size(900), size(0)
    ('12.4 GB', '4.2 GB', '310 MB', '1 kB', '0 MB')
    """
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if count >= 0.995 * one:
            digits = ".2g" if count < 9.95 * one else ".3g" if count < 999.5 * one else ",.0f"
            return f"{count / one:{digits}} {unit}"
    return f"{max(1, round(count / 1e3))} kB" if count else "0 MB"


def slug(name: str, most: int) -> str:
    """A name as part of an id: at most so many small letters, digits and single hyphens; '' where nothing is left of it.

    >>> slug("Mine, 2 \u00d7 2!", 32), slug("a long name", 6)
    ('mine-2-2', 'a-long')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:most].strip("-")


def moment(at: float) -> str:
    """Day and minute, as the clock on the wall shows them."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
