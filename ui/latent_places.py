"""From a place of the map to a code, and from a code to a place: exactly where the map allows it, by neighbours otherwise."""

from functools import lru_cache

import numpy as np

from aecore.analysis.neighbours import Among, Nearest, among, nearest, nearest_one, placed
from ui import latent_points
from ui.latent_model import model
from ui.latent_points import View

ASKED = 5
"""Nearest points that say what is at a place of a map that has no inverse."""
NUMBERS = latent_points.NUMBERS
"""Numbers in the codes among which the nearest are looked for at once; of more, a sample."""
SAMPLE = 100
"""Codes of which the distance to the nearest other one is measured, to know what is usual."""


def lift(view: View, x: float, y: float) -> np.ndarray:
    """The code (1, D) float32 of a place in the plane: see `lifted` for how."""
    found = latent_points.cloud(view)
    if found.pca is not None:
        place = np.zeros((1, found.places.shape[1]), np.float32)
        place[0, :2] = (x, y)[: place.shape[1]]
        return found.pca.lift(place).astype(np.float32)
    codes = latent_points.codes(view)
    if view.map.startswith("dims-") or not view.map:
        code = mean(view)[None].copy()
        columns = [int(word) for word in view.map.split("-")[1:3]] or [0, 1]
        for column, value in zip(columns, (x, y), strict=True):
            if column < found.code_size:
                code[0, column] = value
        return code
    return placed(codes, at(view, x, y, min(ASKED, len(codes))))


def at(view: View, x: float, y: float, k: int) -> Nearest:
    """The k points nearest to a place in the plane: positions in the cloud, and distances."""
    places = _places(*_key(view, view.map))
    return nearest_one(places, np.array([x, y][: places.codes.shape[1]]), k)


def lifted(view: View) -> str:
    """How a place becomes a code, in words; '' where it is the code."""
    found = latent_points.cloud(view)
    if found.pca is not None:
        return "exact, through the inverse of PCA"
    if view.map.startswith("dims-") or (found.code_size > 2 and not view.map):
        return "the other code units at their mean"
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
    known = _searched(*_key(view))
    return nearest_one(known, code, min(k, len(known.codes)))


def labels(view: View, codes: np.ndarray, weights: str) -> np.ndarray | None:
    """(n,) the labels of the codes nearest to codes (n, D); None where the decoder asks for none."""
    if not model(view.run, weights).model.labels:
        return None
    known = latent_points.codes(view)[: _most(view)]
    return latent_points.cloud(view).labels[nearest(known, codes, 1).indices[:, 0]]


def label_at(view: View, x: float, y: float, weights: str) -> np.ndarray | None:
    """(1,) the label of the point nearest to a place in the plane; None where the decoder asks for none."""
    if not model(view.run, weights).model.labels:
        return None
    return latent_points.cloud(view).labels[at(view, x, y, 1).indices[0]]


def away(view: View, code: np.ndarray) -> float:
    """How far a code (D,) is from real ones: the distance to the nearest, in units of what is usual between real ones."""
    usual = _usual(*_key(view))
    distance = float(around(view, code, 1).distances[0, 0])
    return distance / usual if usual else float(distance > 0)


def _key(view: View, map_: str = "") -> tuple[View, str]:
    """What the prepared codes of a view depend on."""
    return View(view.run, view.split, view.step, map=map_), latent_points.stamp(view)


def _most(view: View) -> int:
    return max(300, NUMBERS // latent_points.codes(view).shape[1])


@lru_cache(maxsize=3)
def _searched(view: View, stamp: str) -> Among:
    return among(latent_points.codes(view)[: _most(view)])


@lru_cache(maxsize=3)
def _places(view: View, stamp: str) -> Among:
    return among(latent_points.cloud(view).places[:, :2])


def mean(view: View) -> np.ndarray:
    """(D,) float32: the mean of all codes."""
    return _mean(*_key(view))


@lru_cache(maxsize=16)
def _mean(view: View, stamp: str) -> np.ndarray:
    return np.asarray(latent_points.codes(view).mean(0), np.float32)


@lru_cache(maxsize=16)
def _usual(view: View, stamp: str) -> float:
    """The median distance from a code to the nearest other one."""
    known = _searched(view, stamp)
    if len(known.codes) < 2:
        return 0.0
    asked = known.codes[:SAMPLE] + known.middle
    return float(np.median([nearest_one(known, one, 2).distances[0, 1] for one in asked]))
