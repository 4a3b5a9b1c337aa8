"""Plots that stand still, as SVG: the same picture on the page, in a file and in a report. Nothing in them is loaded."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ui.words import escape

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
    """Points of one colour, drawn as marks, as a line, or as both."""

    label: str
    colour: str
    points: Sequence[Point]
    marks: bool = True
    line: bool = False
    dashed: bool = False


class Axis(NamedTuple):
    """A title with its unit, and the scale."""

    title: str
    log: bool = False
    base: int = 10
    """Of a logarithmic scale: where its ticks are."""


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
    places = [(across.at(p.x), up.at(p.y)) for s in kept for p in s.points]
    beside = len(named) > FEW
    inside.append(_beside(named, width) if beside else _legend(named, width, places))
    return _svg(width + beside * _room(named), HEIGHT, "".join(inside))


class Scale:
    """From values to pixels."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, end: float):
        self.axis, self.start, self.end = axis, start, end
        low, high = self._value(min(values)), self._value(max(values))
        room = 0.06 * (high - low) or (0.3 if axis.log else 0.1 * abs(high) or 1.0)
        self.low, self.high = low - room, high + room
        if not axis.log and min(values) >= 0:
            self.low = max(self.low, 0.0)

    def _value(self, value: float) -> float:
        return math.log(value, self.axis.base) if self.axis.log else value

    def at(self, value: float) -> float:
        share = (self._value(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        return self._log_ticks() if self.axis.log else _even(self.low, self.high)

    def _log_ticks(self) -> list[float]:
        base = self.axis.base
        powers = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
        if len(powers) >= 3 or base == 2:
            step = max(1, len(powers) // 7)
            return [float(base) ** power for power in powers][::step]
        many = [m * 10.0**p for p in range(math.floor(self.low), math.ceil(self.high) + 1) for m in (1, 2, 3, 5)]
        fine = [v for v in many if self.low <= math.log10(v) <= self.high]
        return fine if len(fine) >= 2 else _even(base**self.low, base**self.high)


def number(value: float) -> str:
    """A tick's value in few characters.

    >>> number(0.02), number(16.0), number(1500.0), number(469_000.0), number(2_000_000.0)
    ('0.02', '16', '1,500', '469k', '2M')
    """
    if value and abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M" if abs(value) < 1e9 else f"{value / 1e9:.3g}G"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.4g}k"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _even(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = magnitude * min((1, 2, 5, 10), key=lambda m: abs(m * magnitude - rough))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _drawable(value: float, axis: Axis) -> bool:
    return math.isfinite(value) and (value > 0 or not axis.log)


def _svg(width: int, height: int, inside: str) -> str:
    style = "font-family:system-ui,sans-serif;font-size:12px;font-variant-numeric:tabular-nums"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" style="{style}" fill="currentColor">{inside}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, more: str = 'stroke-opacity="0.14"') -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" {more}/>'


def _across(scale: Scale, width: int) -> str:
    places = [(scale.at(value), number(value)) for value in scale.ticks()]
    return "".join(
        _rule(x, TOP, x, HEIGHT - BOTTOM) + _text(x, HEIGHT - BOTTOM + 17, text, more='fill-opacity="0.85"')
        for x, text in places
    )


def _up(scale: Scale, width: int) -> str:
    places = [(scale.at(value), number(value)) for value in scale.ticks()]
    return "".join(
        _rule(LEFT, y, width - RIGHT, y) + _text(LEFT - 7, y + 4, text, "end", 'fill-opacity="0.85"')
        for y, text in places
    )


def _titles(x: Axis, y: Axis, width: int) -> str:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    return _text(LEFT + (width - LEFT - RIGHT) / 2, HEIGHT - 8, x.title) + _text(
        13, middle, y.title, more=f'transform="rotate(-90 13 {middle:.1f})"'
    )


def _mark(x: float, label: str, width: int) -> str:
    side, anchor = (-6, "end") if x > width * 0.6 else (6, "start")
    line = _rule(x, TOP, x, HEIGHT - BOTTOM, 'stroke-width="1.5" stroke-dasharray="2 3" stroke-opacity="0.8"')
    return line + _text(x + side, HEIGHT - BOTTOM - 8, label, anchor, 'font-weight="650"')


def _series(one: Series, across: Scale, up: Scale) -> str:
    places = [(across.at(p.x), up.at(p.y), p.title) for p in one.points]
    colour, found = escape(one.colour), ""
    if one.line and len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        dash = ' stroke-dasharray="6 4"' if one.dashed else ""
        found += f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    if one.marks:
        found += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" class="mark"><title>{escape(title)}</title></circle>'
            for x, y, title in places
        )
    return found


FEW = 4
"""Lines whose names find room among them."""


def _room(series: Sequence[Series]) -> int:
    """The width of a legend."""
    return round(46 + 6.6 * max((len(one.label) for one in series), default=0))


def _legend(series: Sequence[Series], width: int, places: Sequence[tuple[float, float]]) -> str:
    """In the corner with the fewest points; of equal ones at the top, and there on the right."""
    room, tall = _room(series), 17 * len(series) + 6
    corners = [(right, top) for top in (TOP, HEIGHT - BOTTOM - tall) for right in (width - RIGHT - 8, LEFT + room)]
    hit = lambda corner: sum(
        corner[0] - room <= x <= corner[0] + 8 and corner[1] <= y <= corner[1] + tall for x, y in places
    )
    right, top = min(corners, key=hit)
    return "".join(_named(one, right, top + 13 + 17 * place) for place, one in enumerate(series))


def _beside(series: Sequence[Series], width: int) -> str:
    """Many names stand beside the plot."""
    step = min(17.0, (HEIGHT - TOP) / len(series))
    names = "".join(_named(one, width + _room(series) - 8, TOP + 8 + step * place) for place, one in enumerate(series))
    return f'<g font-size="{min(12.0, step):.1f}">{names}</g>'


def _named(one: Series, right: float, y: float) -> str:
    """A name, and behind it a piece of its line."""
    dash = ' stroke-dasharray="6 4"' if one.dashed else ""
    line = f'<line x1="{right - 22:.1f}" y1="{y - 4:.1f}" x2="{right:.1f}" y2="{y - 4:.1f}" stroke="{escape(one.colour)}" stroke-width="2.5"{dash}/>'
    return _text(right - 28, y, one.label, "end") + line


class Coordinate(NamedTuple):
    """An axis of parallel coordinates: a value for each line, numbers or words; None where a line has none."""

    title: str
    values: Sequence[float | str | None]
    log: bool = False


def parallel(axes: Sequence[Coordinate], labels: Sequence[str], colours: Sequence[str], width: int = 1100) -> str:
    """Parallel coordinates: a line for each run through its value on every axis; '' for fewer than two axes."""
    if len(axes) < 2 or not labels:
        return ""
    left, right = 70, width - 90
    places = [left + (right - left) * i / (len(axes) - 1) for i in range(len(axes))]
    scales = [_heights(axis) for axis in axes]
    lines = "".join(_through(i, axes, scales, places, labels[i], colours[i]) for i in range(len(labels)))
    anchors = ["start", *["middle"] * (len(axes) - 2), "end"]
    ends = [8, *places[1:-1], width - 8]  # long titles of the outer ones would be cut
    titles = "".join(
        _text(x, TOP, axis.title, anchor, 'font-weight="650"')
        for axis, x, anchor in zip(axes, ends, anchors, strict=True)
    )
    return _svg(width, HEIGHT, lines + titles + "".join(map(_upright, scales, places)))


Heights = tuple[dict[str, float], Scale | None]


def _heights(axis: Coordinate) -> Heights:
    """Where words stand, as a number that all have does; or the scale of numbers."""
    known = [value for value in axis.values if value is not None]
    numbers = [float(value) for value in known if isinstance(value, int | float)]
    if len(set(numbers)) > 1 and len(numbers) == len(known):
        log = axis.log and min(numbers) > 0
        return {}, Scale(Axis(axis.title, log), numbers, HEIGHT - BOTTOM, TOP + 24)
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
    ticks = [(scale.at(v), number(v)) for v in scale.ticks()] if scale else [(y, word) for word, y in words.items()]
    found = _rule(x, TOP + 18, x, HEIGHT - BOTTOM, 'stroke-opacity="0.5"')
    above = 4 if scale else -6  # a line goes through each word's place
    return found + "".join(_text(x + 6, y + above, text[:18], "start", 'fill-opacity="0.85"') for y, text in ticks)
