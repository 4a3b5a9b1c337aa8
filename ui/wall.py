"""The reconstruction wall: the same inputs down the side, a column a run, and under each image how far off it is."""

from collections.abc import Sequence
from html import escape

import numpy as np

from ui.comparison import Column, Wall
from ui.pictures import data_url, png

PAGE, SCREEN, LARGEST, CAPTION, GAP, BETWEEN = 1184, 660, 112, 24, 9, 32
"""In a laptop's pixels: width of the page, height for a wall, largest image, caption, gap between images, gap between blocks."""
SMALL = 72
"""Below this, an image is hard to see from the last row: rather scroll."""


def wall(shown: Wall) -> str:
    """The wall as HTML. Where there are few runs, the rows stand in several blocks side by side, so that one screen holds them."""
    count, (height, side) = len(shown.originals), shown.originals.shape[-2:]
    blocks, size = _layout(count, len(shown.columns) + 1, side)
    rows = -(-count // blocks)
    best = _best(shown.columns)
    parts = (range(begin, min(begin + rows, count)) for begin in range(0, count, rows))
    inside = "".join(_block(shown, part, best) for part in parts)
    sizes = (
        f"--side:{side};--tall:{height};--runs:{len(shown.columns)};--blocks:{blocks};--share:{(size + 3) / PAGE:.5f}"
    )
    return f'<div class="wall" style="{sizes}"><div class="blocks">{inside}</div></div>'


def _layout(count: int, width: int, side: int) -> tuple[int, float]:
    """Blocks side by side for `count` rows of `width` images, and an image's size: the largest with which all fit on a laptop's screen.

    An image's pixel is a whole number of the screen's, but for images that are too large for it.
    """

    def sizes(blocks: int) -> list[float]:
        room = min(LARGEST, ((PAGE + BETWEEN) // blocks - BETWEEN) // width - GAP)
        return [times * side for times in range(1, int(room // side) + 1)] or [max(room, 1)]

    options = [(size, blocks) for blocks in range(1, count + 1) for size in sizes(blocks)]
    fits = [
        (size, blocks) for size, blocks in options if -(-count // blocks) * (size + CAPTION) <= SCREEN and size >= SMALL
    ]
    large = [(size, blocks) for size, blocks in options if size >= SMALL] or [max((s, b) for s, b in options if b == 1)]
    size, blocks = max(fits) if fits else max(large, key=lambda option: (option[1], option[0]))
    return blocks, size


def thousandths(error: float) -> str:
    """An error in thousandths, three digits.

    >>> thousandths(0.01234), thousandths(0.2), thousandths(0.00000712)
    ('12.3', '200', '0.00712')
    """
    value = 1e3 * error
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def _block(shown: Wall, rows: Sequence[int], best: np.ndarray) -> str:
    head = '<div class="head"><b>Original</b></div>' + "".join(map(_head, shown.columns))
    return f'<div class="block">{head}{"".join(_row(shown, i, best[i]) for i in rows)}</div>'


def _head(column: Column) -> str:
    if column.is_input:
        title = f"What the encoder of {column.run.row.id} sees, by its task {column.run.config.task.kind!r}"
        mean = thousandths(float(column.errors.mean()))
        return f'<div class="head" title="{escape(title)}"><b>Input</b><small>mean {mean}</small></div>'
    title = f"{column.run.row.id}: mean error of these images {thousandths(float(column.errors.mean()))} × 10⁻³, {column.when}"
    return (
        f'<div class="head" style="--c:{column.run.colour}" title="{escape(title)}"><b>{escape(column.run.label)}</b>'
        f"<small>mean {thousandths(float(column.errors.mean()))}</small></div>"
    )


def _row(shown: Wall, i: int, best: int) -> str:
    name = escape(shown.names[i])
    first = f'<figure><img src="{_url(shown.originals[i])}" alt="Original {i + 1}: {name}"><figcaption>{name}&nbsp;</figcaption></figure>'
    return first + "".join(_cell(column, i, place == int(best)) for place, column in enumerate(shown.columns))


def _cell(column: Column, i: int, is_best: bool) -> str:
    error = thousandths(float(column.errors[i]))
    name = "Input" if column.is_input else escape(column.run.label)
    return (
        f'<figure class="{"best" if is_best else ""}" style="--c:{column.run.colour}"><img src="{_url(column.images[i])}" '
        f'alt="{name}, image {i + 1}, error {error}"><figcaption>{error}</figcaption></figure>'
    )


def _url(image: np.ndarray) -> str:
    return data_url(png(image))


def _best(columns: Sequence[Column]) -> np.ndarray:
    """(n,) place of the model's column with the smallest error of each row; -1 where there is only one, which wins nothing."""
    if sum(not column.is_input for column in columns) < 2:
        return np.full(len(columns[0].errors) if columns else 0, -1)
    errors = [np.full_like(column.errors, np.inf) if column.is_input else column.errors for column in columns]
    found: np.ndarray = np.argmin(errors, axis=0)
    return found
