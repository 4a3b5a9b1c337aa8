"""Simple methods as columns beside a model: what they make of an image with as many numbers, or as few bytes, as its code."""

import io
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from aecore.analysis.baselines import mean_of, pca_of
from aecore.analysis.projection import PCA

BEST = {"JPEG": 95, "WebP": 100}
"""The largest quality that is tried: above it a JPEG only grows."""


class Made(NamedTuple):
    """What a method made of images: (N, C, H, W) uint8, and the bytes of each one's file where there is one."""

    x_hat: np.ndarray
    size: np.ndarray | None = None
    """(N,) int64."""


class Simple(NamedTuple):
    """A method that needs no network."""

    name: str
    label: str
    """In words, with the numbers that it keeps of an image."""
    apply: Callable[[np.ndarray], Made]


def simple_methods(train: np.ndarray, code_size: int, fitted: PCA) -> list[Simple]:
    """The mean of the training images, their principal components, fewer pixels, and two kinds of files.

    Args:
        train: (N, C, H, W) uint8.
        code_size: numbers in the code that they are held against; a byte each, where files are compared.
        fitted: principal components of the training images as they are, at most `code_size` of them.
    """
    mean = mean_of(train)
    shape = train.shape[1:]
    height, width = smaller(code_size, shape)
    count = len(fitted.components)
    grey = ", grey" if code_size < shape[0] else ""
    return [
        Simple("mean", "Mean image", lambda images: Made(np.broadcast_to(mean, images.shape).copy())),
        Simple("pca", f"PCA, {count} number{'s' * (count != 1)}", lambda images: Made(pca_of(fitted, images))),
        Simple("bicubic", f"Bicubic, {height}×{width}{grey}", partial(bicubic, code_size=code_size)),
        Simple("jpeg", "JPEG", partial(as_file, kind="JPEG", at_least=code_size)),
        Simple("webp", "WebP", partial(as_file, kind="WebP", at_least=code_size)),
    ]


def smaller(values: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of images of `shape` (C, H, W) when at most so many values are left, of about the same proportions.

    >>> smaller(16, (1, 28, 28)), smaller(2, (1, 28, 28)), smaller(100, (3, 96, 96)), smaller(2, (3, 8, 8))
    ((4, 4), (1, 2), (5, 6), (1, 2))
    """
    channels, height, width = shape
    pixels = max(1, values // channels if values >= channels else values)
    rows = min(height, max(1, int((pixels * height / width) ** 0.5)))
    return rows, min(width, max(1, pixels // rows))


def bicubic(images: np.ndarray, code_size: int) -> Made:
    """Images (N, C, H, W) made smaller until they are at most `code_size` numbers, and large again, both bicubically.

    Where that is fewer numbers than channels, they are made grey first.
    """
    height, width = images.shape[2:]
    rows, columns = smaller(code_size, images.shape[1:])

    def through(image: Image.Image) -> Image.Image:
        image = image.convert("L") if code_size < images.shape[1] else image
        small = image.resize((columns, rows), Image.Resampling.BICUBIC)
        return small.resize((width, height), Image.Resampling.BICUBIC)

    return Made(np.stack([_array(through(_picture(image)), images.shape[1]) for image in images]))


def as_file(images: np.ndarray, kind: Literal["JPEG", "WebP"], at_least: int) -> Made:
    """Images (N, C, H, W) as the smallest file of this kind that is not below `at_least` bytes, and read again.

    A file has a head of its own, which counts: the smallest JPEG of 28x28 pixels has more than 300 bytes. Where even the best
    quality is smaller, that is taken.
    """
    files = [_smallest(_picture(image), kind, at_least) for image in images]
    x_hat = np.stack([_array(Image.open(io.BytesIO(file), formats=[kind]), images.shape[1]) for file in files])
    return Made(x_hat, np.array([len(file) for file in files], np.int64))


def _smallest(image: Image.Image, kind: str, at_least: int) -> bytes:
    """The file of the lowest quality that is large enough; sizes grow with the quality."""
    low, high = 0, BEST[kind]
    file = _file(image, kind, low)
    if len(file) >= at_least:
        return file
    best = _file(image, kind, high)
    while high - low > 1:  # low is too small, high is large enough or the best there is
        middle = (low + high) // 2
        tried = _file(image, kind, middle)
        if len(tried) >= at_least:
            high, best = middle, tried
        else:
            low = middle
    return best


def _file(image: Image.Image, kind: str, quality: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, quality=quality, **({"optimize": True} if kind == "JPEG" else {"method": 4}))
    return stream.getvalue()


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def _array(image: Image.Image, channels: int) -> np.ndarray:
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
