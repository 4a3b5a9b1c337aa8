"""Squares, ellipses and hearts whose factors of variation are known, after dSprites (Matthey et al. 2017), in colour."""

from typing import Literal

import numpy as np

from aecore.config import DataConfig
from aecore.data.base import Dataset, Roots, Split
from aecore.data.cache import cached, generated

VERSION = 1  # of the drawing: a change of it is a new cache
N_TRAIN, N_TEST = 20_000, 4_000
NATIVE = 32
KINDS = ("square", "ellipse", "heart")
SATURATION = 0.7
PIXELS = 1 << 18  # drawn at once: what fits into a core's cache


def draw(size: int, n: int, seed: int, part: int) -> Split:
    """`n` images (n, 3, size, size), as many of each kind; the same for the same arguments.

    x and y of the middle and the scale (half of the shape's height) are in shares of the side, x and y from the middle
    of the image; rotation in degrees; hue in [0, 1): 0 red, 1/3 green, 2/3 blue.
    """
    random = np.random.default_rng([VERSION, seed, part])
    labels = random.permutation(np.arange(n) % len(KINDS))
    factors = {
        "x": random.uniform(-0.19, 0.19, n),
        "y": random.uniform(-0.19, 0.19, n),
        "scale": random.uniform(0.14, 0.26, n),
        "rotation": random.uniform(0, 360, n),
        "hue": random.uniform(0, 1, n),
    }
    colour = hsv(factors["hue"])
    images = np.empty((n, 3, size, size), np.uint8)
    step = max(1, PIXELS // size**2)
    for start in range(0, n, step):
        chunk = slice(start, start + step)
        cover = _cover(labels[chunk], {name: values[chunk] for name, values in factors.items()}, size)
        images[chunk] = np.rint(cover[:, None] * (255 * colour[chunk, :, None, None]))
    return Split(images, labels, KINDS, factors)


def hsv(hue: np.ndarray) -> np.ndarray:
    """(n,) hues in [0, 1) -> (n, 3) RGB in [0, 1], bright and of one saturation. Smith 1978."""
    corner = (hue[:, None] * 6 + np.array([5, 3, 1])) % 6
    return (1 - SATURATION * np.clip(np.minimum(corner, 4 - corner), 0, 1)).astype(np.float32)


def _cover(labels: np.ndarray, factors: dict[str, np.ndarray], size: int) -> np.ndarray:
    """(k, size, size) float32: the share of each pixel that the shape covers."""
    at = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    parts = {name: values.astype(np.float32)[:, None, None] for name, values in factors.items()}
    turn, scale = np.radians(parts["rotation"]), parts["scale"]
    right, down = (at[None, None] - parts["x"]) / scale, (at[None, :, None] - parts["y"]) / scale
    x = np.cos(turn) * right + np.sin(turn) * down
    y = np.cos(turn) * down - np.sin(turn) * right
    outside = np.empty_like(x)
    for kind, distance in enumerate((square, ellipse, heart)):
        chosen = labels == kind
        outside[chosen] = distance(x[chosen], y[chosen])
    return np.clip(0.5 - outside * scale * size, 0, 1)


def square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance to a square of half side 0.85, negative inside. All distances after Quilez, "2D distance functions"."""
    dx, dy = np.abs(x) - 0.85, np.abs(y) - 0.85
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0)


def ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance to an ellipse of half axes 0.6 and 1, exact to first order at its outline, which is all that is drawn."""
    near = np.hypot(x / 0.6, y)
    return near * (near - 1) / np.maximum(np.hypot(x / 0.36, y), 1e-6)


def heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance to a heart about two units high, its tip down."""
    x, y = np.abs(x) / 1.75, 0.55 - y / 1.75
    lobe = np.hypot(x - 0.25, y - 0.75) - np.sqrt(2) / 4
    along = np.maximum(x + y, 0) / 2
    tip = np.minimum(np.hypot(x, y - 1), np.hypot(x - along, y - along)) * np.sign(x - y)
    return 1.75 * np.where(x + y > 1, lobe, tip)


def read(config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split:
    size = config.size or NATIVE
    n, part = (N_TRAIN, 0) if split == "train" else (N_TEST, 1)
    folder = generated(roots, f"shapes-{size}-seed{config.seed}-{split}-v{VERSION}")
    return cached(folder, lambda: draw(size, n, config.seed, part))


SHAPES = Dataset(
    name="shapes",
    title="Shapes",
    help="24,000 squares, ellipses and hearts; place, scale, rotation and colour of each are known. No download.",
    kind="generated",
    read=read,
    shape=(3, NATIVE, NATIVE),
    n_train=N_TRAIN,
    n_test=N_TEST,
    class_names=KINDS,
)
