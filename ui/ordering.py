"""Which images of the wall are shown, and in which order: where models disagree, what they do worst, what looks like this."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from ui.columns import Wall

STORED, GAP, WORST, CLASS = "One class after another", "Where two disagree", "Worst first", "By class"
ORDERS = (STORED, GAP, WORST, CLASS)
APART = 160
"""Between the borders of images, of 255, from which on one of them is taken for inverted."""


def ordered(wall: Wall, order: str, pair: tuple[str, str] | None = None) -> np.ndarray:
    """Places of the wall's rows in this order. `pair` are the keys of the two models whose gap counts.

    Returns: (n,) int64.
    """
    if order == GAP and pair:
        return np.argsort(-gaps(wall, pair), kind="stable")
    if order == WORST and wall.models:
        return np.argsort(-np.mean([column.errors for column in wall.models], axis=0), kind="stable")
    if order == CLASS:
        return np.argsort(wall.labels, kind="stable")
    return np.arange(len(wall.labels))


def gaps(wall: Wall, pair: tuple[str, str]) -> np.ndarray:
    """(n,) by how much the errors of two models are apart; 0 where one of them is not there."""
    errors = {column.key: column.errors for column in wall.models}
    if not set(pair) <= set(errors):
        return np.zeros(len(wall.labels))
    return np.abs(errors[pair[0]] - errors[pair[1]])


def like(wall: Wall, image: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """These rows, the ones nearest to an image (C, H, W) uint8 first, by the squared difference of their pixels."""
    difference = wall.originals[rows].astype(np.float32) - image
    found: np.ndarray = rows[np.argsort(np.square(difference).sum(axis=(1, 2, 3)), kind="stable")]
    return found


def inverted(wall: Wall, image: np.ndarray) -> str:
    """A sentence more where the border of a grey image (1, H, W) is bright and that of the wall's images dark, or the other way."""
    if len(image) > 1:
        return ""
    mine, theirs = (float(np.median(_border(pixels))) for pixels in (image, wall.originals))
    if abs(mine - theirs) < APART:
        return ""
    words = ("bright", "dark") if mine > theirs else ("dark", "bright")
    return f" It looks inverted: its border is {words[0]}, that of these images is {words[1]}."


def _border(images: np.ndarray) -> np.ndarray:
    """The pixels (..., n) at the edges of images (..., H, W)."""
    edges = images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]
    return np.concatenate(edges, axis=-1)


def uploaded(content: bytes, shape: Sequence[int]) -> np.ndarray:
    """An image file as (C, H, W) uint8 of this shape. Raises ValueError with a sentence where it is none."""
    channels, height, width = shape
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > 50_000_000:
                raise ValueError("The image has more than 50 million pixels: use a smaller one.")
            small = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        raise ValueError("This is not an image that can be read: use a PNG, JPEG or WebP.") from None
    pixels = np.asarray(small)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
