"""From a place of the map to a code, and from a code to a place: exactly where the map allows it, by neighbours otherwise."""

from functools import lru_cache

import numpy as np

from aecore.analysis.neighbours import Nearest, nearest, placed
from ui import latent_points
from ui.latent_points import View

ASKED = 5
"""Nearest points that say what is at a place of a map that has no inverse."""
NUMBERS = 20_000_000
"""Numbers in the codes among which the nearest are looked for at once; of more, a sample."""


def lift(view: View, x: float, y: float) -> np.ndarray:
    """The code (1, D) float32 of a place in the plane: see `lifted` for how."""
    found = latent_points.cloud(view)
    if found.pca is not None:
        place = np.zeros((1, found.places.shape[1]), np.float32)
        place[0, :2] = x, y
        return found.pca.lift(place).astype(np.float32)
    codes = latent_points.codes(view)
    if view.map.startswith("dims-") or not view.map:
        code = codes.mean(0, keepdims=True) if view.map else np.zeros((1, found.code_size), np.float32)
        columns = [int(word) for word in view.map.split("-")[1:3]] or [0, 1]
        for column, value in zip(columns, (x, y), strict=True):
            if column < found.code_size:
                code[0, column] = value
        return code.astype(np.float32)
    away = np.hypot(found.places[:, 0] - x, found.places[:, 1] - y)
    near = np.argpartition(away, min(ASKED, len(away)) - 1)[:ASKED]
    order = near[np.argsort(away[near])]
    return placed(codes, Nearest(order[None], away[order][None]))


def lifted(view: View) -> str:
    """How a place becomes a code, in words; '' where it is the code."""
    found = latent_points.cloud(view)
    if found.pca is not None:
        return "exact, through the inverse of PCA"
    if view.map.startswith("dims-"):
        return "the other numbers of the code at their mean"
    return "a mixture of the nearest points' codes" if view.map else ""


def place(view: View, codes: np.ndarray) -> np.ndarray:
    """Places (n, d) in the map of a view of codes (n, D) that are new to it."""
    found = latent_points.cloud(view)
    if found.pca is not None:
        return found.pca.project(codes).astype(np.float32)
    if view.map.startswith("dims-"):
        return codes[:, [int(word) for word in view.map.split("-")[1:]]]
    if not view.map:
        return codes[:, :3] if codes.shape[1] > 1 else np.concatenate([codes, codes * 0], axis=1)
    known = latent_points.codes(view)
    return placed(found.places, nearest(known, codes, min(ASKED, len(known))))


def around(view: View, code: np.ndarray, k: int) -> Nearest:
    """The k nearest of a view's codes to a code (D,), in the full code: positions in the cloud, and distances."""
    known = _searched(view, latent_points.stamp(view))
    return nearest(known, code[None], min(k, len(known)))


def labels(view: View, codes: np.ndarray) -> np.ndarray:
    """(n,) the labels of the codes nearest to codes (n, D), for decoders that ask for one."""
    known = _searched(view, latent_points.stamp(view))
    return latent_points.cloud(view).labels[nearest(known, codes, 1).indices[:, 0]]


def away(view: View, code: np.ndarray) -> float:
    """How far a code (D,) is from real ones: the distance to the nearest, in units of what is usual between real ones."""
    usual = _usual(view._replace(n=None, map="", colour="label", only="", dims=2), latent_points.stamp(view))
    distance = float(around(view, code, 1).distances[0, 0])
    return distance / usual if usual else float(distance > 0)


def _searched(view: View, stamp: str) -> np.ndarray:
    codes = latent_points.codes(view)
    return codes[: max(1_000, NUMBERS // codes.shape[1])]


@lru_cache(maxsize=16)
def _usual(view: View, stamp: str) -> float:
    """The median distance from a code to the nearest other one."""
    codes = _searched(view, stamp)
    if len(codes) < 2:
        return 0.0
    return float(np.median(nearest(codes, codes[:300], 2).distances[:, 1]))
