"""Arithmetic on pixels: the range that a model sees and back, colour, size."""

from typing import Any

import numpy as np

CHUNK = 16 << 20  # numbers that are worked on at once: small enough to stay out of swap, large enough to be fast


def normalise(images: Any, value_range: tuple[float, float]) -> Any:
    """uint8 pixels as float32 in `value_range`; a numpy array gives an array, a torch tensor a tensor on its device."""
    low, high = value_range
    x = images / np.float32(255)
    if value_range != (0, 1):
        x *= high - low
        x += low
    return x


def to_image(x: Any, value_range: tuple[float, float]) -> Any:
    """The inverse of `normalise`: float in `value_range` as uint8, rounded, clipped. numpy or torch, any shape."""
    low, high = value_range
    pixels = ((x - low) * (255 / (high - low))).round().clip(0, 255)
    return pixels.astype(np.uint8) if isinstance(pixels, np.ndarray) else pixels.byte()


def grey(images: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) -> (N, 1, H, W) uint8 by the luma of ITU-R BT.601, in the same integers as Pillow; grey stays as it is."""
    if images.shape[1] == 1:
        return images
    result = np.empty((len(images), 1, *images.shape[2:]), np.uint8)
    for part in _chunks(images):
        red, green, blue = (images[part, channel].astype(np.uint32) for channel in range(3))
        result[part, 0] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return result


def rgb(images: np.ndarray) -> np.ndarray:
    """(N, 1 or 3, H, W) -> (N, 3, H, W) uint8."""
    return images if images.shape[1] == 3 else np.repeat(images, 3, axis=1)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """(N, C, H, W) -> (N, C, size, size) uint8: the square in the middle, resampled by a triangle filter that widens
    when it shrinks (antialiased, as Pillow's BILINEAR)."""
    images = _middle(images)
    side = images.shape[-1]
    if side == size:
        return images
    weights = triangle(side, size)
    result = np.empty((*images.shape[:2], size, size), np.uint8)
    for part in _chunks(images):
        resampled = weights @ images[part].astype(np.float32) @ weights.T
        result[part] = np.rint(resampled, out=resampled).clip(0, 255)
    return result


def triangle(source: int, target: int) -> np.ndarray:
    """(target, source) float32: row i holds the weights of the source pixels in target pixel i; each row sums to 1."""
    scale = source / target
    centres = (np.arange(target)[:, None] + 0.5) * scale
    distances = np.abs(np.arange(source)[None] + 0.5 - centres) / max(scale, 1)
    weights = np.clip(1 - distances, 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _middle(images: np.ndarray) -> np.ndarray:
    height, width = images.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, :, top : top + side, left : left + side]


def _chunks(images: np.ndarray) -> list[slice]:
    step = max(1, CHUNK // max(1, int(np.prod(images.shape[1:]))))
    return [slice(start, start + step) for start in range(0, len(images), step)]
