"""Nearest codes, exactly, and what they tell of a code: density, agreement, how far a place is from all of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

BLOCK, THIN = 1 << 22, 16
"""Distances that are held at once; of them every so many-th is looked at first."""
ONE_BY_ONE = 4
"""So few that are asked for are looked up on their own."""


class Nearest(NamedTuple):
    """Of each of n codes its k nearest among N others, the nearest first."""

    indices: np.ndarray
    """(n, k) int32."""
    distances: np.ndarray
    """(n, k) float32, Euclidean."""


class Among(NamedTuple):
    """Codes among which the nearest of one are looked for again and again, as under a cursor."""

    codes: np.ndarray
    """(N, D) float32, from `middle`: far from the origin, squares lose what the differences have."""
    squares: np.ndarray
    """(N,) float32."""
    middle: np.ndarray
    """(D,)."""


def among(codes: np.ndarray) -> Among:
    """Prepared for `nearest_one`."""
    middle = codes.mean(0)
    centred = codes - middle
    return Among(centred, np.einsum("nd,nd->n", centred, centred), middle)


def nearest_one(known: Among, one: np.ndarray, k: int) -> Nearest:
    """The k nearest to one code (D,): indices and distances (1, k). A product finds who can be among them; these are measured."""
    asked = (one - known.middle).astype(np.float32)
    away = known.squares - 2 * (known.codes @ asked)
    least = smallest(away[None], k)[0]
    unsure = 4 * np.finfo(np.float32).eps * len(asked) ** 0.5 * (known.squares[least].max() + asked @ asked)
    near = np.flatnonzero(away <= away[least].max() + unsure)
    distances = np.sqrt(np.square(known.codes[near] - asked).sum(1))
    order = np.argsort(distances, kind="stable")[:k]
    return Nearest(near[order][None].astype(np.int32), distances[order][None])


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
    if len(asked) <= ONE_BY_ONE and not same:
        known = among(codes)
        return Nearest(*map(np.concatenate, zip(*(nearest_one(known, one, k) for one in asked), strict=True)))
    middle = codes.mean(0)  # far from the origin, squares lose what the differences have
    codes, asked = codes - middle, asked - middle
    rows = max(1, BLOCK // len(codes))
    left = np.concatenate([-2 * asked, np.ones((len(asked), 1), np.float32)], 1)
    right = np.ascontiguousarray(np.concatenate([codes, np.square(codes).sum(1, keepdims=True)], 1).T)
    indices, distances = np.empty((len(asked), k), np.int32), np.empty((len(asked), k), np.float32)
    for begin in range(0, len(asked), rows):
        part = slice(begin, min(begin + rows, len(asked)))
        away = left[part] @ right  # squared distances without the square of the asked one: the same order
        if same:
            away[np.arange(away.shape[0]), np.arange(part.start, part.stop)] = np.inf
        indices[part] = smallest(away, k)
        between = np.sqrt(np.square(codes[indices[part]] - asked[part][:, None]).sum(2))
        order = np.argsort(between, axis=1, kind="stable")
        indices[part], distances[part] = (np.take_along_axis(array, order, 1) for array in (indices[part], between))
        step(part.stop / len(asked))
    return Nearest(indices, distances)


def smallest(away: np.ndarray, k: int) -> np.ndarray:
    """(n, k) places of the k smallest numbers of each row (n, N), in any order.

    The k-th smallest of every THIN-th number bounds them: what is below is a small part of the row, and only that is sorted.
    """
    if k == away.shape[1]:
        return np.argsort(away, axis=1)
    few = away[:, ::THIN]
    found = np.empty(0, int)
    if few.shape[1] > 4 * k:
        found = np.flatnonzero(away <= np.partition(few, k - 1, axis=1)[:, k - 1 : k])
    if not 0 < len(found) <= 4 * THIN * k * len(away):  # a short row, or very many that are equally far
        return np.argpartition(away, k - 1, axis=1)[:, :k]
    values, ends = away.ravel()[found], np.searchsorted(found, np.arange(1, len(away) + 1) * away.shape[1])
    places, begin = np.empty((len(away), k), np.int64), 0
    for row, end in enumerate(ends):
        places[row] = found[begin:end][np.argpartition(values[begin:end], k - 1)[:k]]
        begin = end
    return places % away.shape[1]


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
