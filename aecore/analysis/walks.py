"""Walks through codes: straight, on the sphere, along the data; and one dimension after the other."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from aecore.analysis.neighbours import nearest

LANDMARKS, NUMBERS, NEIGHBOURS = (300, 3_000), 20_000_000, 10
"""Codes that a walk along the data may step on, at least and at most, with so many numbers together; and to how many others from each."""


def evenly(points: np.ndarray, n: int) -> np.ndarray:
    """n points (n, d) at equal distances along a line through points (m, d), its ends among them."""
    if len(points) < 2:
        return np.repeat(points, n, axis=0)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0, at[-1], n)
    return np.stack([np.interp(wanted, at, column) for column in points.T], axis=1)


def straight(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """(n, D) from code a (D,) to b by equal steps."""
    t = np.linspace(0, 1, n)[:, None]
    return np.asarray((1 - t) * a + t * b)


def spherical(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """(n, D) by equal turns from a to b, the length changing evenly: Shoemake 1985, White 2016. Straight for parallel codes."""
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    cosine = float(a @ b / max(lengths[0] * lengths[1], 1e-12))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:
        return straight(a, b, n)
    t = np.linspace(0, 1, n)[:, None]
    turned = (np.sin((1 - t) * angle) * a / lengths[0] + np.sin(t * angle) * b / lengths[1]) / np.sin(angle)
    return np.asarray(turned * ((1 - t) * lengths[0] + t * lengths[1]))


def along_data(a: np.ndarray, b: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """(n, D) from a to b over codes (N, D): the shortest way in the graph of the nearest neighbours, squared lengths, so that
    many short steps are shorter than one long one. Codes beyond LANDMARKS are not stepped on. Straight where no way leads there.
    """
    most = int(np.clip(NUMBERS // codes.shape[1], *LANDMARKS))
    known = np.concatenate([a[None], b[None], codes[:most]]).astype(np.float32)
    k = min(NEIGHBOURS, len(known) - 1)
    found = nearest(known, known, k, same=True)
    rows = np.repeat(np.arange(len(known)), k)
    lengths = np.maximum(found.distances.ravel().astype(np.float64), 1e-9) ** 2
    graph = coo_matrix((lengths, (rows, found.indices.ravel())), shape=(len(known),) * 2).tocsr()
    pieces = connected_components(graph, directed=False)[1]
    if pieces[0] != pieces[1]:
        return straight(a, b, n)
    before = dijkstra(graph, directed=False, indices=0, return_predecessors=True)[1]
    way = [1]
    while way[-1] != 0:
        way.append(int(before[way[-1]]))
    return evenly(known[way[::-1]].astype(np.float64), n)


def traversal(code: np.ndarray, dimension: int, values: np.ndarray) -> np.ndarray:
    """(n, D): the code (D,) with one number at each of the values (n,)."""
    rows = np.repeat(code[None], len(values), axis=0)
    rows[:, dimension] = values
    return rows


def quantiles(codes: np.ndarray, n: int) -> np.ndarray:
    """(n, D): the values at the middles of n equal shares of codes (N, D), in every dimension."""
    return np.asarray(np.quantile(codes, (np.arange(n) + 0.5) / n, axis=0))
