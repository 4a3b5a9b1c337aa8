"""Plots that stand still, as SVG: the same picture on the page, in a file and in a report. Nothing in them is loaded."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ui.scales import Axis, Scale, told
from ui.words import escape

LETTER = 6.6
"""Width of a letter, about."""
WIDTH, HEIGHT = 400, 300
"""Three stand side by side on a laptop, where letters of 12 are 11 pixels high then."""
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 46
QUIET = "#8a8f99"


class Point(NamedTuple):
    """A place in the units of the axes, and what is said of it under the pointer."""

    x: float
    y: float
    title: str = ""


class Series(NamedTuple):
    """Points of one colour, drawn as marks, as a line, or as both; one point of a dashed line as a piece of it."""

    label: str
    colour: str
    points: Sequence[Point]
    marks: bool = True
    line: bool = False
    dashed: bool = False


class Mark(NamedTuple):
    """A vertical line at x with a word."""

    x: float
    label: str


def plot(series: Sequence[Series], x: Axis, y: Axis, mark: Mark | None = None, width: int = WIDTH) -> str:
    """Points over two axes, with a legend of what is a line; '' where there is no point that can be drawn."""
    kept = [s._replace(points=[p for p in s.points if _drawable(p.x, x) and _drawable(p.y, y)]) for s in series]
    points = [point for one in kept for point in one.points]
    if not points:
        return ""
    across = Scale(x, [p.x for p in points] + ([mark.x] if mark else []), LEFT, width - RIGHT)
    up = Scale(y, [p.y for p in points], HEIGHT - BOTTOM, TOP)
    inside = [_across(across, width), _up(up, width), _titles(x, y, width)]
    if mark:
        inside.append(_mark(across.at(mark.x), mark.label, width))
    inside += [_series(one, across, up) for one in kept]
    named = [s for s in kept if s.line and s.points and s.label]
    if len(named) > FEW:
        return svg(width + _room(named), HEIGHT, "".join([*inside, _beside(named, width)]))
    places = [place for s in kept for place in _drawn([(across.at(p.x), up.at(p.y)) for p in s.points], s.line)]
    places += _under(across.at(mark.x), mark.label, width) if mark else []
    if (legend := _legend(named, width, places)) or not named:
        return svg(width, HEIGHT, "".join([*inside, legend]))
    return svg(width, HEIGHT + 17 * len(named) + 4, "".join([*inside, _below(named, width)]))


def _drawable(value: float, axis: Axis) -> bool:
    return math.isfinite(value) and (value > 0 or not axis.log)


def svg(width: int, height: int, inside: str) -> str:
    style = "font-family:system-ui,sans-serif;font-size:12px;font-variant-numeric:tabular-nums"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" style="{style}" fill="currentColor">{inside}</svg>'
    )


def letters(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, more: str = 'stroke-opacity="0.14"') -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" {more}/>'


def _across(scale: Scale, width: int) -> str:
    places = [(scale.at(value), value) for value in scale.ticks()]
    rules = "".join(rule(x, TOP, x, HEIGHT - BOTTOM) for x, _ in places)
    if scale.axis.words:
        return rules + _words(scale.axis.words, [x for x, _ in places], (width - LEFT - RIGHT) / len(places))
    return rules + "".join(
        letters(x, HEIGHT - BOTTOM + 17, text, more='fill-opacity="0.85"')
        for (x, _), text in zip(places, told(scale.ticks()), strict=True)
    )


def _words(words: Sequence[str], places: Sequence[float], room: float) -> str:
    """Words below an axis, each in at most two lines, in letters that are as small as it takes, and cut where that is not enough."""
    lines = [_two_lines(word) for word in words]
    longest = max(len(line) for pair in lines for line in pair)
    size = max(8.0, min(12.0, room / (0.56 * longest)))
    most = max(2, int(room / (0.56 * size)))
    texts = [
        letters(x, HEIGHT - BOTTOM + 15 + 12 * down, cut(line, most), more='fill-opacity="0.85"')
        for x, pair in zip(places, lines, strict=True)
        for down, line in enumerate(pair)
    ]
    return f'<g font-size="{size:.1f}">{"".join(texts)}</g>'


def _two_lines(word: str) -> list[str]:
    """Broken at the blank that makes the longer line shortest.

    >>> _two_lines("Masked patches"), _two_lines("Grey")
    (['Masked', 'patches'], ['Grey'])
    """
    blanks = [place for place, letter in enumerate(word) if letter == " "]
    at = min(blanks, key=lambda place: max(place, len(word) - place), default=None)
    return [word] if at is None else [word[:at], word[at + 1 :]]


def cut(text: str, most: int) -> str:
    """The beginning of a text, with three dots where that is not all."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _up(scale: Scale, width: int) -> str:
    ticks = scale.ticks()
    places = zip(map(scale.at, ticks), told(ticks), strict=True)
    return "".join(
        rule(LEFT, y, width - RIGHT, y) + letters(LEFT - 7, y + 4, text, "end", 'fill-opacity="0.85"')
        for y, text in places
    )


def _titles(x: Axis, y: Axis, width: int) -> str:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    return letters(LEFT + (width - LEFT - RIGHT) / 2, HEIGHT - (3 if x.words else 8), x.title) + letters(
        13, middle, y.title, more=f'transform="rotate(-90 13 {middle:.1f})"'
    )


def _mark(x: float, label: str, width: int) -> str:
    side, anchor = (-6, "end") if x > width * 0.6 else (6, "start")
    line = rule(x, TOP, x, HEIGHT - BOTTOM, 'stroke-width="1.5" stroke-dasharray="2 3" stroke-opacity="0.8"')
    return line + letters(x + side, HEIGHT - BOTTOM - 8, label, anchor, 'font-weight="650"')


def _under(x: float, label: str, width: int) -> list[tuple[float, float]]:
    """Where the ink of a mark is."""
    end = x + (6 + LETTER * len(label)) * (-1 if x > width * 0.6 else 1)
    return _drawn([(x, TOP), (x, HEIGHT - BOTTOM - 8), (end, HEIGHT - BOTTOM - 8)], line=True)


def _series(one: Series, across: Scale, up: Scale) -> str:
    places = [(across.at(p.x), up.at(p.y), p.title) for p in one.points]
    colour, found = escape(one.colour), ""
    if one.line and (len(places) > 1 or one.dashed):
        ends = (
            [(x, y) for x, y, _ in places] if len(places) > 1 else [(x + d, y) for x, y, _ in places for d in (-13, 13)]
        )
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)
        dash = ' stroke-dasharray="6 4"' if one.dashed else ""
        found += f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    if one.marks:
        found += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" class="mark"><title>{escape(title)}</title></circle>'
            for x, y, title in places
        )
    return found


def _drawn(places: Sequence[tuple[float, float]], line: bool) -> list[tuple[float, float]]:
    """Where there is ink: the points, and of a line one every few pixels.

    >>> _drawn([(0, 0), (16, 8)], line=True)
    [(0.0, 0.0), (8.0, 4.0), (16, 8)]
    """
    found: list[tuple[float, float]] = []
    for (x, y), (to_x, to_y) in pairwise(places) if line else ():
        steps = max(1, round(max(abs(to_x - x), abs(to_y - y)) / 8))
        found += [(x + (to_x - x) * step / steps, y + (to_y - y) * step / steps) for step in range(steps)]
    return [*found, *(places[-1:] if line else places)]


FEW = 4
"""Lines whose names find room among them."""


def _room(series: Sequence[Series]) -> int:
    """The width of a legend."""
    return round(46 + LETTER * max((len(one.label) for one in series), default=0))


def _legend(series: Sequence[Series], width: int, places: Sequence[tuple[float, float]]) -> str:
    """In a corner without a point, at the top and there on the right if it can be; '' where there is none."""
    room, tall = _room(series), 17 * len(series) + 6
    corners = [(right, top) for top in (TOP, HEIGHT - BOTTOM - tall) for right in (width - RIGHT - 8, LEFT + room)]
    for right, top in corners:
        if not any(right - room <= x <= right + 8 and top <= y <= top + tall for x, y in places):
            return "".join(_named(one, right, top + 13 + 17 * place) for place, one in enumerate(series))
    return ""


def _below(series: Sequence[Series], width: int) -> str:
    """Where no corner is free, the names stand below the plot."""
    brief = [one._replace(label=cut(one.label, int((width - 54) / LETTER))) for one in series]
    right = min((LEFT + width - RIGHT + _room(brief)) / 2, width - 4)
    return "".join(_named(one, right, HEIGHT + 12 + 17 * place) for place, one in enumerate(brief))


def _beside(series: Sequence[Series], width: int) -> str:
    """Many names stand beside the plot."""
    step = min(17.0, (HEIGHT - TOP) / len(series))
    names = "".join(_named(one, width + _room(series) - 8, TOP + 8 + step * place) for place, one in enumerate(series))
    return f'<g font-size="{min(12.0, step):.1f}">{names}</g>'


def _named(one: Series, right: float, y: float) -> str:
    """A name, and behind it a piece of its line."""
    dash = ' stroke-dasharray="6 4"' if one.dashed else ""
    line = f'<line x1="{right - 22:.1f}" y1="{y - 4:.1f}" x2="{right:.1f}" y2="{y - 4:.1f}" stroke="{escape(one.colour)}" stroke-width="2.5"{dash}/>'
    return letters(right - 28, y, one.label, "end") + line
