"""A small drawing of each kind of backbone, bottleneck, objective and task: inline SVG, for light and dark."""

from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from math import exp
from urllib.parse import quote

WIDTH, HEIGHT = 72, 44
INK = "<style>.l{stroke:#5b6473}.f{fill:#5b6473}.b{fill:#fff}@media(prefers-color-scheme:dark){.l{stroke:#aab4c6}.f{fill:#aab4c6}.b{fill:#0f1218}}</style>"
"""Lines, fillings and paper: grey that both backgrounds carry. What has a colour has the network's (ui/components/hourglass.css)."""
BLUE, ORANGE, GREEN = "#2f7de1", "#e8710a", "#1b9e77"


def drawing(part: str, kind: str) -> str:
    """The drawing of a kind as SVG; an empty box for one that has none yet."""
    inside = DRAWINGS.get((part, kind), _box(14, 10, 44, 24))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'fill="none" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">{INK}{inside}</svg>'
    )


@cache
def style() -> str:
    """A style sheet that puts them into the buttons of `ui.kinds`."""
    rules = (
        f'.st-key-shown-{part}-{kind} button::before,.st-key-offered-{part}-{kind} button::before{{background-image:url("data:image/svg+xml,{quote(drawing(part, kind))}")}}'
        for part, kind in DRAWINGS
    )
    return f"<style>{''.join(rules)}</style>"


def _dot(x: float, y: float, fill: str, r: float = 2.6) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" {_filled(fill)}/>'


def _filled(fill: str) -> str:
    return 'class="f"' if fill == "f" else f'fill="{fill}"'


def _line(points: str, stroke: str = "l", more: str = "") -> str:
    """An open line through `x,y x,y ...`."""
    colour = 'class="l"' if stroke == "l" else f'stroke="{stroke}"'
    return f'<polyline points="{points}" {colour} {more}/>'


def _box(x: float, y: float, width: float, height: float, fill: str = "none", stroke: str = "l") -> str:
    colour = 'class="l"' if stroke == "l" else f'stroke="{stroke}"'
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="1.5" {colour} fill="{fill}"/>'


def _solid(x: float, y: float, width: float, height: float, fill: str, opacity: float = 1) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" {_filled(fill)} fill-opacity="{opacity:g}"/>'
    )


def _arrow(x0: float, y0: float, x1: float, y1: float, stroke: str = "l") -> str:
    """A straight arrow, level or upright."""
    step = (3 if x1 > x0 else -3) if y0 == y1 else 0
    rise = (3 if y1 > y0 else -3) if x0 == x1 else 0
    head = f"{x1 - step + rise:g},{y1 - rise + step:g} {x1:g},{y1:g} {x1 - step - rise:g},{y1 - rise - step:g}"
    return _line(f"{x0:g},{y0:g} {x1:g},{y1:g}", stroke) + _line(head, stroke)


def _bell(x: float, base: float, height: float, spread: float, stroke: str, more: str = "") -> str:
    places = [x + spread * (step - 10) / 3.6 for step in range(21)]
    points = " ".join(f"{at:.1f},{base - height * exp(-(((at - x) / spread) ** 2) / 2):.1f}" for at in places)
    return _line(points, stroke, more)


def _cloud(points: Iterable[tuple[float, float]], fill: str = ORANGE) -> str:
    return "".join(_dot(x, y, fill, 1.8) for x, y in points)


def _ring(x: float, y: float, r: float, more: str = 'class="l" stroke-dasharray="2.5 2.5"') -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" {more}/>'


DASHED = 'stroke-dasharray="2.5 2.5"'
AROUND = [(24, 16), (29, 24), (34, 12), (37, 21), (43, 28), (46, 17), (33, 31), (40, 14), (27, 29)]
"""A cloud of codes around the middle."""


def _network() -> str:
    columns = [(13, (8, 17, 27, 36)), (36, (12, 22, 32)), (59, (17, 27))]
    pairs = [(x, y, x2, y2) for (x, ys), (x2, ys2) in pairwise(columns) for y in ys for y2 in ys2]
    lines = "".join(f'<path d="M{x} {y}L{x2} {y2}" class="l" stroke-width="0.7"/>' for x, y, x2, y2 in pairs)
    dots = (_dot(x, y, BLUE if x < 50 else ORANGE, 3.4) for x, ys in columns for y in ys)
    return lines + "".join(dots)


def _maps() -> str:
    window = _box(14, 13, 9, 9, "none", ORANGE)
    window += _line("23,13 42,19", ORANGE, 'stroke-width="0.9"') + _line("23,22 42,21", ORANGE, 'stroke-width="0.9"')
    return _stack(4, 25, 1) + _stack(33, 13, 3) + _stack(55, 6, 4) + window


def _stack(x: float, side: float, count: int) -> str:
    """Feature maps, one behind the other."""
    return "".join(
        f'<rect x="{x + 2.6 * n:g}" y="{22 - side / 2 + 2 * (count / 2 - n):g}" width="{side}" height="{side}" fill="{BLUE}" '
        f'fill-opacity="{0.34 + 0.22 * n:g}"/>'
        for n in range(4 - count, 4)
    )


def _steps() -> str:
    cells = "".join(
        _box(6 + 22 * n, 14, 13, 13, BLUE if n < 2 else ORANGE, BLUE if n < 2 else ORANGE) for n in range(3)
    )
    across = "".join(_arrow(20.5 + 22 * n, 20.5, 26.5 + 22 * n, 20.5) for n in range(2))
    into = "".join(_arrow(12.5 + 22 * n, 40, 12.5 + 22 * n, 30) for n in range(3))
    return cells + across + into + _line("8,8 64,8", "l", DASHED)


def _attention() -> str:
    tokens = "".join(_solid(5 + 13 * n, 29, 9, 9, BLUE if n != 2 else ORANGE) for n in range(5))
    arcs = "".join(
        f'<path d="M{9.5 + 13 * n} 27Q{(9.5 + 13 * n + 35.5) / 2} {27 - 7 * abs(n - 2) - 6} 35.5 27" class="l" stroke-width="1.1"/>'
        for n in (0, 1, 3, 4)
    )
    return tokens + arcs


def _funnel(middle: str) -> str:
    """Encoder and decoder, and between them what the code is."""
    sides = f'<path d="M3 4L21 14V30L3 40Z" fill="{BLUE}" fill-opacity="0.75"/><path d="M69 4L51 14V30L69 40Z" fill="{GREEN}" fill-opacity="0.75"/>'
    return sides + middle


def _units(kept: Iterable[int], count: int) -> str:
    kept, pitch = set(kept), 32 / count
    dots = "".join(
        _dot(36, 6 + pitch * (n + 0.5), ORANGE, 2.4)
        if n in kept
        else _ring(36, 6 + pitch * (n + 0.5), 2.1, 'class="l" stroke-width="1"')
        for n in range(count)
    )
    return _box(31, 4, 10, 36) + dots


def _cells(x: float, y: float, side: float, columns: int, rows: int, filled: Iterable[tuple[int, int]]) -> str:
    """A grid, some of its cells in the code's colour."""
    inside = set(filled)
    return "".join(
        f'<rect x="{x + side * column:g}" y="{y + side * row:g}" width="{side:g}" height="{side:g}" class="l" stroke-width="0.9" '
        f'fill="{ORANGE if (column, row) in inside else "none"}"/>'
        for column in range(columns)
        for row in range(rows)
    )


def _lattice() -> str:
    return "".join(
        _dot(
            26 + 6.6 * column,
            12 + 6.6 * row,
            ORANGE if (column, row) == (2, 1) else "f",
            2.8 if (column, row) == (2, 1) else 1.5,
        )
        for column in range(4)
        for row in range(4)
    )


def _pictured(x: float, inside: str) -> str:
    return _box(x, 9, 26, 26) + inside


def _disc(x: float, fill: str = GREEN) -> str:
    """What is in the picture: a disc on a line."""
    return f'<circle cx="{x + 13}" cy="20" r="7.5" {_filled(fill)}/>' + _solid(x + 4, 30.5, 18, 2, fill)


def _task(seen: str, target: str = "") -> str:
    """What the encoder sees, and what is to come out."""
    return _pictured(2, seen) + _arrow(31.5, 22, 40.5, 22) + _pictured(44, target or _disc(44))


def _scatter(fill: str, places: Iterable[tuple[float, float]], side: float = 2.4) -> str:
    return "".join(_solid(2 + x, 9 + y, side, side, fill) for x, y in places)


SPECKS = [
    (4, 4),
    (10, 2.5),
    (19, 5),
    (22, 12),
    (3, 13),
    (8, 19),
    (15, 10),
    (12, 15),
    (20, 20),
    (5, 22),
    (15, 22),
    (21.5, 2.5),
    (9, 9),
]
BLOCKS = [(8, 4), (14, 4), (4, 10), (8, 10), (14, 10), (8, 16)]

DRAWINGS: dict[tuple[str, str], str] = {
    ("backbone", "dense"): _network(),
    ("backbone", "conv"): _maps(),
    ("backbone", "recurrent"): _steps(),
    ("backbone", "transformer"): _attention(),
    ("bottleneck", "vector"): _funnel(_units(range(5), 5)),
    ("bottleneck", "feature_map"): _funnel(_cells(27, 13, 6, 3, 3, [(c, r) for c in range(3) for r in range(3)])),
    ("bottleneck", "gaussian"): _funnel(_bell(36, 33, 24, 5.2, ORANGE, 'stroke-width="2"') + _line("24,34 48,34") + _dot(36, 34, ORANGE, 2)),
    ("bottleneck", "sphere"): _funnel(
        _ring(36, 22, 12, 'class="l"') + '<ellipse cx="36" cy="22" rx="12" ry="4" class="l" stroke-width="0.9"/>' + _line("36,22 43,12.5", ORANGE) + _dot(43.5, 12.5, ORANGE, 2.8)
    ),
    ("bottleneck", "top_k"): _funnel(_units([1, 4], 6)),
    ("bottleneck", "vq"): _funnel(_cells(25.5, 11, 7, 3, 3, [(1, 2)])),
    ("bottleneck", "fsq"): _funnel(_lattice()),
    ("objective", "reconstruction"): _box(4, 10, 24, 24) + _disc(3, BLUE) + _box(44, 10, 24, 24) + _disc(43)
    + _line("32,19.5 40,19.5", ORANGE, 'stroke-width="2.2"') + _line("32,25.5 40,25.5", ORANGE, 'stroke-width="2.2"'),
    ("objective", "elbo"): _bell(27, 35, 26, 9, "l", DASHED) + _bell(48, 35, 30, 5, ORANGE, 'stroke-width="2"') + _line("4,36 68,36") + _arrow(46, 27, 34, 27, ORANGE),
    ("objective", "tc"): '<ellipse cx="20" cy="22" rx="16" ry="6" transform="rotate(-40 20 22)" class="l" stroke-dasharray="2.5 2.5"/>'
    + _arrow(31, 22, 40, 22, ORANGE) + _ring(56, 22, 11, f'stroke="{ORANGE}" stroke-width="2"') + _line("41,22 71,22", "l", 'stroke-width="0.8"') + _line("56,7 56,37", "l", 'stroke-width="0.8"'),
    ("objective", "dip"): _cells(18, 4, 9, 4, 4, [(n, n) for n in range(4)]),
    ("objective", "info"): _bell(18, 34, 24, 6, ORANGE, 'stroke-width="2"') + _bell(18, 34, 20, 9, "l", DASHED) + _line("36,6 36,38", "l", 'stroke-width="0.8"')
    + _ring(54, 22, 14) + _cloud((0.75 * x + 27.5, 0.75 * y + 6) for x, y in AROUND),
    ("objective", "iwae"): _bell(36, 36, 28, 11, "l", DASHED) + _line("4,37 68,37") + "".join(
        _line(f"{x},36 {x},{y}", ORANGE, 'stroke-width="2"') + _dot(x, y, ORANGE, 2.4) for x, y in ((18, 32), (28, 20), (37, 10), (47, 22), (57, 31))
    ),
    ("objective", "vamp"): "".join(_bell(x, 35, 17, 4.5, "l", 'stroke-width="1"') for x in (14, 29, 44, 58)) + _line("4,36 68,36")
    + _line("5,34 10,22 15,15 20,20 24,17 29,12 35,18 40,16 45,13 51,19 56,15 61,17 67,34", ORANGE, 'stroke-width="2"'),
    ("objective", "factor"): "".join(_dot(14, 8 + 9 * n, ORANGE, 3) + _dot(44, 8 + 9 * n, ORANGE, 3) for n in range(4))
    + _line("18,8 40,26") + _line("18,17 40,8") + _line("18,26 40,35") + _line("18,35 40,17") + _arrow(49, 22, 56, 22) + _box(58, 15, 11, 14, "none", BLUE),
    ("objective", "wae"): _ring(36, 22, 18) + _cloud(AROUND) + _cloud([(22, 21), (49, 23), (36, 6), (38, 37)]),
    ("objective", "aae"): _ring(18, 22, 15) + _cloud((0.8 * x - 10.5, 0.8 * y + 5) for x, y in AROUND) + _arrow(35, 22, 42, 22)
    + _box(45, 12, 12, 20, "none", BLUE) + _arrow(58, 16, 67, 16, GREEN) + _arrow(58, 28, 67, 28, ORANGE),
    ("objective", "sparse"): "".join(
        _solid(6 + 7.8 * n, 36 - height, 5, height, ORANGE if height > 9 else "f") for n, height in enumerate((2, 26, 2, 2, 18, 2, 2, 2))
    ) + _line("3,37 69,37"),
    ("objective", "contractive"): _ring(18, 22, 14, f'stroke="{BLUE}" stroke-width="2"') + _dot(18, 22, BLUE, 2)
    + _line("25,9.5 58,18", "l", DASHED) + _line("25,34.5 58,26", "l", DASHED) + _ring(60, 22, 4.5, f'stroke="{ORANGE}" stroke-width="2"') + _dot(60, 22, ORANGE, 1.6),
    ("objective", "rae"): _line("5,30 11,12 16,33 22,9 28,35 34,14 40,31 46,10 53,34 60,13 67,28", "l", 'stroke-width="0.9"')
    + f'<path d="M5 28C18 8 28 14 36 22S56 34 67 14" stroke="{GREEN}" stroke-width="2.4"/>',
    ("task", "identity"): _task(_disc(2, BLUE)),
    ("task", "denoise"): _task(_disc(2, BLUE) + _scatter("f", SPECKS)),
    ("task", "salt_and_pepper"): _task(_disc(2, BLUE) + _scatter("#15181f", SPECKS[::2], 3) + _scatter("#f4f5f7", SPECKS[1::2], 3)),
    ("task", "masking"): _task(_disc(2, BLUE) + _scatter("#15181f", SPECKS, 3)),
    ("task", "inpaint"): _task(_disc(2, BLUE) + _solid(13, 13, 11, 13, "#8d96a6")),
    ("task", "colourise"): _task(_disc(2, "#8d96a6"), _disc(44, ORANGE) + _solid(48, 30.5, 18, 2, GREEN)),
    ("task", "grey"): _task(_disc(2, ORANGE) + _solid(6, 30.5, 18, 2, GREEN), _disc(44, "#8d96a6")),
    ("task", "down_sample"): _task(_disc(2, BLUE), "".join(_solid(44 + x, 9 + y, 6, 6, GREEN, 0.85 - 0.1 * (n % 3)) for n, (x, y) in enumerate(BLOCKS))),
    ("task", "super_resolve"): _task("".join(_solid(2 + x, 9 + y, 6, 6, BLUE, 0.85 - 0.1 * (n % 3)) for n, (x, y) in enumerate(BLOCKS))),
    ("task", "deblur"): _task("".join(f'<circle cx="15" cy="20" r="{r}" fill="{BLUE}" fill-opacity="0.22"/>' for r in (11, 9, 7, 5)) + _solid(4, 29, 22, 4, BLUE, 0.35)),
    ("task", "masked_patches"): _task(_disc(2, BLUE) + "".join(_solid(3 + 8 * c, 10 + 8 * r, 8, 8, "#8d96a6") for c in range(3) for r in range(3) if (c, r) not in ((0, 2), (1, 0), (2, 1)))),
}  # fmt: skip
"""(part, kind) -> what is drawn inside WIDTH x HEIGHT."""
