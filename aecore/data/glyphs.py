"""Digits and letters drawn on the fly, so that there is something to learn from without a download.

Each image is a letter of a random font, turned, slanted, stretched and bent like a rubber sheet (Simard et al. 2003),
with a stroke of random thickness. All of it is known: the factors of variation come with the images.
"""

import string
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aecore.config import DataConfig
from aecore.data.base import Dataset, Roots, Split
from aecore.data.cache import cached, generated
from aecore.data.fonts import FONTS, SIDE, TEXELS, Fields, fields

VERSION = 1  # of the drawing: a change of it is a new cache
N_TRAIN, N_TEST = 20_000, 4_000
NATIVE = 28
HEIGHT = 0.7  # of the image, on average
KNOTS = 5  # of the rubber sheet, along a side
PIXELS = 1 << 18  # drawn at once: what fits into a core's cache


def draw(letters: str, size: int, n: int, seed: int, part: int) -> Split:
    """`n` images (n, 1, size, size) of `letters`, as many of each; the same for the same arguments.

    Rotation and slant are in degrees, x and y (of the middle, from the middle) and thickness (of the usual stroke) in
    shares of the image's side, scale relative to the usual height, bend in shares of the side (root mean square).
    """
    random = np.random.default_rng([VERSION, seed, part, len(letters)])
    labels = random.permutation(np.arange(n) % len(letters))
    known = fields(letters)
    factors = _factors(random, known, labels)
    images = _draw(random, known, labels, factors, size)
    return Split(images[:, None], labels, tuple(letters), factors)


def _factors(random: np.random.Generator, known: Fields, labels: np.ndarray) -> dict[str, np.ndarray]:
    n = len(labels)
    font = random.integers(len(FONTS), size=n)
    scale = np.exp(random.normal(0, 0.06, n).clip(-0.14, 0.12))
    weight, hairline = known.weight[font, labels], known.hairline[font, labels]
    wanted = random.uniform(0.042, 0.105, n)  # half a stroke's width, in letter heights
    lowest = np.maximum(-0.03, np.minimum(0.033 - hairline, 0.035))
    thicker = np.clip(wanted - weight, lowest, np.maximum(lowest, 0.045))
    return {
        "font": font,
        "rotation": random.normal(0, 8, n).clip(-20, 20),
        "slant": random.normal(0, 8, n).clip(-18, 18),
        "thickness": 2 * (weight + thicker) * scale * HEIGHT,
        "x": random.normal(0, 0.025, n).clip(-0.06, 0.06),
        "y": random.normal(0, 0.02, n).clip(-0.05, 0.05),
        "scale": scale,
        "bend": random.uniform(0, 0.03, n),
    }


def _draw(
    random: np.random.Generator, known: Fields, labels: np.ndarray, factors: dict[str, np.ndarray], size: int
) -> np.ndarray:
    """(n, size, size) uint8. An image's pixels are looked up in its field: one matrix product gives all the places."""
    n = len(labels)
    unit = HEIGHT * factors["scale"]  # of a letter's height, in image sides
    offset = (factors["thickness"] / unit / 2 - known.weight[factors["font"], labels]).astype(np.float32)
    sharpness = (255 * size * unit).astype(np.float32)  # grey values to a letter height, across an edge one pixel wide
    places = _places(random, factors, unit)
    basis = _basis(size)
    order = np.lexsort((labels, factors["font"]))  # neighbours share a field, which stays in the core's cache
    which = factors["font"] * known.distance.shape[1] + labels
    texels = known.distance.reshape(-1)
    images = np.empty((n, size * size), np.uint8)
    step = max(1, PIXELS // size**2)
    for start in range(0, n, step):
        part = order[start : start + step]
        distance = _lookup(texels, which[part], places[0, part] @ basis, places[1, part] @ basis)
        distance += offset[part, None]
        distance *= sharpness[part, None]
        distance += 128
        images[part] = np.clip(distance, 0, 255, out=distance)
    return images.reshape(n, size, size)


def _places(random: np.random.Generator, factors: dict[str, np.ndarray], unit: np.ndarray) -> np.ndarray:
    """(2, n, 3 + KNOTS**2) float32: coefficients of x and y in texels over `_basis`: constant, slopes, then the sheet."""
    turn, slant = np.radians(factors["rotation"]), np.tan(np.radians(factors["slant"]))
    cos, sin = np.cos(turn), np.sin(turn)
    # the drawing turns a slanted letter; a pixel is looked up backwards: turn back, then straighten
    rows = np.array([[cos + slant * sin, -sin + slant * cos], [sin, cos]]) / unit  # (2, 2, n)
    moved = -(rows[:, 0] * factors["x"] + rows[:, 1] * factors["y"])
    sheet = random.normal(size=(2, len(turn), KNOTS**2)) * (2 * factors["bend"] / unit)[:, None]
    places = np.concatenate([moved[..., None], rows.transpose(0, 2, 1), sheet], axis=2) * TEXELS
    places[..., 0] += (SIDE - 1) / 2
    return places.astype(np.float32)


def _basis(size: int) -> np.ndarray:
    """(3 + KNOTS**2, size * size) float32: 1, x and y in [-1/2, 1/2], and the cubic B-splines of the rubber sheet."""
    at = (np.arange(size) + 0.5) / size
    away = np.abs(at * (KNOTS - 3) - np.arange(-1, KNOTS - 1)[:, None])  # (KNOTS, size), in knots
    spline = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.clip(2 - away, 0, None) ** 3 / 6)
    sheet = np.einsum("iy,jx->ijyx", spline, spline).reshape(KNOTS**2, -1)
    y, x = np.meshgrid(at - 0.5, at - 0.5, indexing="ij")
    return np.concatenate([[np.ones(size**2), x.ravel(), y.ravel()], sheet]).astype(np.float32)


def _lookup(texels: np.ndarray, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(k, pixels) float32: the fields `which` at (x, y) in texels, between texels bilinearly, at the border outside."""
    np.clip(x, 0, SIDE - 1.001, out=x)
    np.clip(y, 0, SIDE - 1.001, out=y)
    left, top = x.astype(np.int32), y.astype(np.int32)
    x -= left
    y -= top
    at = top
    at *= SIDE
    at += left
    at += (which * SIDE**2).astype(np.int32)[:, None]
    above = _between(texels, at, x)
    at += SIDE
    below = _between(texels, at, x)
    below -= above
    below *= y
    below += above
    return below


def _between(texels: np.ndarray, at: np.ndarray, share: np.ndarray) -> np.ndarray:
    left, right = texels[at], texels[at + 1]
    right -= left
    right *= share
    right += left
    return right


@dataclass(frozen=True)
class Drawn:
    """Reads drawn letters: at any size, kept in the last data folder."""

    name: str
    letters: str

    def __call__(self, config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split:
        size = config.size or NATIVE
        n, part = (N_TRAIN, 0) if split == "train" else (N_TEST, 1)
        folder = generated(roots, f"{self.name}-{size}-seed{config.seed}-{split}-v{VERSION}")
        return cached(folder, lambda: draw(self.letters, size, n, config.seed, part))


GLYPHS = Dataset(
    name="glyphs",
    title="Glyphs: digits",
    help="24,000 digits drawn from 16 fonts, turned, slanted, thickened and bent; all of that is known. No download.",
    kind="generated",
    read=Drawn("glyphs", string.digits),
    shape=(1, NATIVE, NATIVE),
    n_train=N_TRAIN,
    n_test=N_TEST,
    class_names=tuple(string.digits),
)
GLYPHS_LETTERS = Dataset(
    name="glyphs-letters",
    title="Glyphs: letters",
    help="24,000 capital letters drawn like the glyphs: what a model of digits has never seen. No download.",
    kind="generated",
    read=Drawn("glyphs-letters", string.ascii_uppercase),
    shape=(1, NATIVE, NATIVE),
    n_train=N_TRAIN,
    n_test=N_TEST,
    class_names=tuple(string.ascii_uppercase),
)
