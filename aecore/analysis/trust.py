"""How much of the codes' neighbourhoods a map keeps: a pretty picture can lie. numpy only."""

from typing import NamedTuple

import numpy as np

from aecore.analysis.neighbours import nearest

NEIGHBOURS, SAMPLE = 15, 1_500
"""Neighbours of each code that are looked at, and codes that are taken for it."""


class Trust(NamedTuple):
    """Of a map, from a sample of its points."""

    trustworthiness: float
    """0 to 1: 1 where nobody is a neighbour in the map who is none in the code. Venna & Kaski 2001."""
    kept: float
    """Share of the neighbours in the code that are neighbours in the map."""
    neighbours: int
    """How many were looked at."""
    n: int
    """Codes that were looked at."""


def trust(codes: np.ndarray, places: np.ndarray) -> Trust | None:
    """Of codes (N, D) at places (N, d), all finite; None for fewer than four points, which have no neighbourhoods."""
    n = len(codes)
    chosen = np.random.default_rng(0).permutation(n)[:SAMPLE]
    k = min(NEIGHBOURS, (len(chosen) - 1) // 2)
    if k < 1:
        return None
    before, after = nearest(codes, codes[chosen], k + 1), nearest(places, places[chosen], k + 1)
    kept = np.mean([_overlap(a, b, i, k) for a, b, i in zip(before.indices, after.indices, chosen, strict=True)])
    return Trust(trustworthiness(codes[chosen], places[chosen], k), float(kept), k, len(chosen))


def trustworthiness(codes: np.ndarray, places: np.ndarray, k: int) -> float:
    """1 - 2 / (n k (2n - 3k - 1)) sum over i, and over those j of its k neighbours in the map that are none in the code, of
    (rank of j from i in the code - k). Venna & Kaski 2001, equation 1; k < n / 2."""
    n = len(codes)
    mapped = nearest(places, places, k, same=True).indices
    away = np.square(codes.astype(np.float64)).sum(1) - 2 * codes.astype(np.float64) @ codes.T.astype(np.float64)
    np.fill_diagonal(away, -np.inf)  # rank 0
    ranks = np.empty((n, n), np.int32)
    np.put_along_axis(ranks, np.argsort(away, axis=1, kind="stable"), np.arange(n, dtype=np.int32)[None], 1)
    beyond = np.take_along_axis(ranks, mapped, 1) - k
    return float(1 - beyond[beyond > 0].sum() * 2 / (n * k * (2 * n - 3 * k - 1)))


def _overlap(before: np.ndarray, after: np.ndarray, own: int, k: int) -> float:
    """Share of the neighbours before that are still there, but for the point itself."""
    first, then = (part[part != own][:k] for part in (before, after))
    return len(np.intersect1d(first, then)) / k
