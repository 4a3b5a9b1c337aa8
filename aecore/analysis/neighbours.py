"""Nearest codes, exactly, and what they tell of a code: density, agreement, how far a place is from all of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

BLOCK = 1 << 22
"""Distances that are held at once."""


class Nearest(NamedTuple):
    """Of each of n codes its k nearest among N others, the nearest first."""

    indices: np.ndarray
    """(n, k) int32."""
    distances: np.ndarray
    """(n, k) float32, Euclidean."""


def nearest(
    codes: np.ndarray, asked: np.ndarray, k: int, step: Callable[[float], None] = lambda share: None, same: bool = False
) -> Nearest:
    """The k nearest of codes (N, D) to each of `asked` (n, D), exactly. `step` is told the share that is done.

    Args:
        same: `asked` are the codes themselves, and none is its own neighbour.

    Raises:
        ValueError: where there are not as many others as k.
    """
    most = len(codes) - same
    if k > most:
        raise ValueError(f"{k} neighbours were asked for, but there are only {most:,} other codes: ask for fewer.")
    codes, asked = (np.ascontiguousarray(part, np.float32) for part in (codes, asked))
    middle = codes.mean(0)  # far from the origin, squares lose what the differences have
    codes, asked = codes - middle, asked - middle
    squares, rows = np.square(codes).sum(1), max(1, BLOCK // len(codes))
    indices, distances = np.empty((len(asked), k), np.int32), np.empty((len(asked), k), np.float32)
    for begin in range(0, len(asked), rows):
        part = slice(begin, min(begin + rows, len(asked)))
        away = asked[part] @ codes.T
        away *= -2
        away += squares  # without the square of the asked one: the same order
        if same:
            away[np.arange(away.shape[0]), np.arange(part.start, part.stop)] = np.inf
        indices[part] = np.argpartition(away, k - 1, axis=1)[:, :k] if k < len(codes) else np.argsort(away, axis=1)
        between = np.sqrt(np.square(codes[indices[part]] - asked[part][:, None]).sum(2))
        order = np.argsort(between, axis=1, kind="stable")
        indices[part], distances[part] = (np.take_along_axis(array, order, 1) for array in (indices[part], between))
        step(part.stop / len(asked))
    return Nearest(indices, distances)


def placed(places: np.ndarray, found: Nearest) -> np.ndarray:
    """Places (n, d) of codes that are new to a map (N, d): the mean of the places of their nearest fitted codes, by closeness.

    A code that was fitted lands exactly on its own place.
    """
    away = found.distances.astype(np.float64)
    weights = 1 / np.maximum(away / np.maximum(away[:, :1], 1e-12), 1e-9) ** 4  # the nearest counts most by far
    weights[away[:, 0] == 0] = away[away[:, 0] == 0] == 0
    weights /= weights.sum(1, keepdims=True)
    return np.einsum("nk,nkd->nd", weights, places[found.indices]).astype(np.float32)


def agreement(labels: np.ndarray, others: np.ndarray, found: Nearest) -> np.ndarray:
    """(n,) share of each code's neighbours, whose labels are `others` (N,), that have its own label (n,)."""
    return np.asarray((others[found.indices] == labels[:, None]).mean(1), np.float32)


def kept_neighbours(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """(n,) share of the k nearest of each code in a (n, D) that are among its k nearest in b (n, E)."""
    k = min(k, len(a) - 1)
    first, second = (nearest(codes, codes, k, same=True).indices for codes in (a, b))
    return np.array([np.isin(x, y, assume_unique=True).mean() for x, y in zip(first, second, strict=True)], np.float32)
