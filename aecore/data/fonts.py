"""Letters as signed distance fields, from the fonts that matplotlib ships.

A distance field is drawn sharp at any size, and a stroke becomes thicker by adding a number to it
(Green 2007, "Improved Alpha-Tested Magnification for Vector Textures and Special Effects").
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aecore.data.base import package_folder

FONTS = {
    "DejaVu Sans": "DejaVuSans",
    "DejaVu Sans Bold": "DejaVuSans-Bold",
    "DejaVu Sans Oblique": "DejaVuSans-Oblique",
    "DejaVu Sans Mono": "DejaVuSansMono",
    "DejaVu Serif": "DejaVuSerif",
    "DejaVu Serif Bold": "DejaVuSerif-Bold",
    "DejaVu Serif Italic": "DejaVuSerif-Italic",
    "STIX": "STIXGeneral",
    "STIX Bold": "STIXGeneralBol",
    "STIX Italic": "STIXGeneralItalic",
    "STIX Bold Italic": "STIXGeneralBolIta",
    "Computer Modern": "cmr10",
    "Computer Modern Bold": "cmb10",
    "Computer Modern Sans": "cmss10",
    "Computer Modern Italic": "cmti10",
    "Computer Modern Typewriter": "cmtt10",
}
SIDE = 128
"""Texels along a field."""
SPAN = 1.6
"""Side of a field in letter heights: enough room around the letter for everything that moves it."""
TEXELS = SIDE / SPAN
"""Texels to a letter height."""


class Fields(NamedTuple):
    """Distance fields of each letter in each font; letters are one unit high and in the middle of their field."""

    distance: np.ndarray
    """(fonts, letters, SIDE, SIDE) float32: distance to the outline in letter heights, positive inside."""
    weight: np.ndarray
    """(fonts, letters): half the usual width of a stroke, in letter heights."""
    hairline: np.ndarray
    """(fonts, letters): half the width of the thinnest strokes."""


@lru_cache(maxsize=2)
def fields(letters: str) -> Fields:
    """The fields of `letters`, which takes a fraction of a second."""
    found = [[_field(path, letter) for letter in letters] for path in font_files()]
    distance, weight, hairline = (np.array([[field[i] for field in row] for row in found]) for i in range(3))
    return Fields(distance.astype(np.float32), weight, hairline)


def font_files() -> list[Path]:
    """The font files, without importing matplotlib."""
    folder = package_folder("matplotlib") / "mpl-data" / "fonts" / "ttf"
    return [folder / f"{file}.ttf" for file in FONTS.values()]


def _field(path: Path, letter: str) -> tuple[np.ndarray, float, float]:
    distance = signed_distance(_drawn(path, letter))  # in texels
    ridge = _ridge(distance)
    return distance / TEXELS, float(np.median(ridge)) / TEXELS, float(np.quantile(ridge, 0.15)) / TEXELS


def _drawn(path: Path, letter: str) -> np.ndarray:
    """(SIDE, SIDE) coverage in [0, 1] of a letter that is one unit high, or less if it is wide."""
    from PIL import Image, ImageDraw, ImageFont

    probe = ImageFont.truetype(path, 200).getbbox(letter)
    width, height = probe[2] - probe[0], probe[3] - probe[1]
    size = 200 * TEXELS / max(height, 0.8 * np.hypot(width, height))
    font = ImageFont.truetype(path, size)
    left, top, right, bottom = font.getbbox(letter)
    image = Image.new("L", (SIDE, SIDE))
    at = ((SIDE - left - right) / 2, (SIDE - top - bottom) / 2)
    ImageDraw.Draw(image).text(at, letter, fill=255, font=font)
    return np.asarray(image, np.float32) / 255


def signed_distance(coverage: np.ndarray) -> np.ndarray:
    """(H, W) distance to the outline in pixels, positive inside; what whole pixels cannot say, the coverage does: a
    pixel's own where the outline goes through it, else that of the nearest pixel across the outline."""
    inside = coverage >= 0.5
    signed = np.zeros_like(coverage)
    for area, sign in ((inside, 1), (~inside, -1)):
        box = _around(area)
        distance, beyond = _across(area[box], coverage[box])
        signed[box][area[box]] = (sign * distance + beyond - 0.5)[area[box]]
    return np.where((coverage > 0) & (coverage < 1), coverage - 0.5, signed)


def _around(area: np.ndarray) -> tuple[slice, slice]:
    """The part of an image that holds an area and one pixel more on each side: whatever is nearest to it."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    return np.s_[max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]


def _across(area: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) of each pixel the distance to the nearest one outside of the area, and the value there.

    Exact: the nearest within each column, then over all columns. Of several that are as near it is the leftmost, then the
    uppermost, as in `scipy.ndimage`, whose import takes longer than this.
    """
    h, w = area.shape
    y, x = np.arange(h, dtype=np.int32)[:, None], np.arange(w, dtype=np.int32)
    above = np.maximum.accumulate(np.where(area, -4 * h, y), axis=0)
    below = np.minimum.accumulate(np.where(area, 4 * h, y)[::-1], axis=0)[::-1]
    row = np.where(y - above <= below - y, above, below)
    high = (y - row) ** 2 * w  # with the column behind it, so that one minimum finds both
    best, one = np.full(area.shape, np.iinfo(np.int32).max, np.int32), np.empty(area.shape, np.int32)
    for column in np.flatnonzero(~area.all(axis=0)).tolist():
        np.add(high[:, column, None], (x - column) ** 2 * w + column, out=one)
        np.minimum(best, one, out=best)
    column = best % w
    return np.sqrt(best // w), values[row[y, column], column]


def _ridge(distance: np.ndarray) -> np.ndarray:
    """The distances along the middle of the strokes, where no neighbour has a larger one: half their widths."""
    wide = np.pad(distance, 1, mode="edge")
    wide = np.maximum(np.maximum(wide[:-2], wide[1:-1]), wide[2:])
    wide = np.maximum(np.maximum(wide[:, :-2], wide[:, 1:-1]), wide[:, 2:])
    return distance[(distance > 0.7) & (distance == wide)]
