"""Parallel coordinates as SVG: a line for each run through its value on every axis."""

from collections.abc import Sequence
from typing import NamedTuple

from ui.plots import BOTTOM, HEIGHT, LETTER, TOP, cut, letters, rule, svg
from ui.scales import Axis, Scale, told
from ui.words import escape


class Coordinate(NamedTuple):
    """An axis of parallel coordinates: a value for each line, numbers or words; None where a line has none."""

    title: str
    values: Sequence[float | str | None]
    log: bool = False


def parallel(axes: Sequence[Coordinate], labels: Sequence[str], colours: Sequence[str], width: int = 1100) -> str:
    """Parallel coordinates: a line for each run through its value on every axis; '' for fewer than two axes."""
    if len(axes) < 2 or not labels:
        return ""
    titles = [axis.title for axis in axes]
    left, right = max(20, _half(titles[0])), width - max(90, _half(titles[-1]))
    places = [left + (right - left) * i / (len(axes) - 1) for i in range(len(axes))]
    scales = [_heights(axis) for axis in axes]
    lines = "".join(_through(i, axes, scales, places, labels[i], colours[i]) for i in range(len(labels)))
    most = max(8, int((right - left) / (len(axes) - 1) / LETTER) - 1)
    heads = "".join(
        letters(x, TOP, cut(title, most), more='font-weight="650"') for title, x in zip(titles, places, strict=True)
    )
    return svg(width, HEIGHT, lines + heads + "".join(map(_upright, scales, places)))


ABOVE = 'style="paint-order:stroke;stroke:var(--st-background-color,#fff);stroke-width:4px;stroke-linejoin:round"'
"""Of words that lines go through."""


def _half(title: str) -> float:
    """Half of a title's width, with some room."""
    return LETTER * len(title) / 2 + 8


Heights = tuple[dict[str, float], Scale | None]


def _heights(axis: Coordinate) -> Heights:
    """Where words stand, as a number that all have does; or the scale of numbers."""
    known = [value for value in axis.values if value is not None]
    numbers = [float(value) for value in known if isinstance(value, int | float)]
    if len(set(numbers)) > 1 and len(numbers) == len(known):
        log, whole = axis.log and min(numbers) > 0, all(number.is_integer() for number in numbers)
        return {}, Scale(Axis(axis.title, log, whole=whole), numbers, HEIGHT - BOTTOM, TOP + 24)
    words = list(dict.fromkeys(map(_said, known)))
    step = (HEIGHT - BOTTOM - TOP - 24) / max(1, len(words))
    return {word: HEIGHT - BOTTOM - step * (i + 0.5) for i, word in enumerate(words)}, None


def _height(value: float | str | None, heights: Heights) -> float:
    words, scale = heights
    if value is None:
        return HEIGHT - BOTTOM + 14  # below the axis
    return scale.at(float(value)) if scale else words[_said(value)]


def _through(
    i: int, axes: Sequence[Coordinate], scales: Sequence[Heights], places: Sequence[float], label: str, colour: str
) -> str:
    path = " ".join(
        f"{x:.1f},{_height(axis.values[i], heights):.1f}" for axis, heights, x in zip(axes, scales, places, strict=True)
    )
    said = ", ".join(f"{axis.title}: {_said(axis.values[i])}" for axis in axes)
    return (
        f'<polyline class="run" points="{path}" fill="none" stroke="{escape(colour)}" stroke-width="2" stroke-opacity="0.8">'
        f"<title>{escape(label)} · {escape(said)}</title></polyline>"
    )


def _said(value: float | str | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _upright(heights: Heights, x: float) -> str:
    words, scale = heights
    ticks = [(y, word) for word, y in words.items()]
    if scale:
        ticks = list(zip(map(scale.at, scale.ticks()), told(scale.ticks()), strict=True))
    found = rule(x, TOP + 18, x, HEIGHT - BOTTOM, 'stroke-opacity="0.5"')
    above = 4 if scale else -6  # a line goes through each word's place
    return found + "".join(letters(x + 6, y + above, cut(text, 18), "start", ABOVE) for y, text in ticks)
