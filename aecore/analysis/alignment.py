"""The same points from epoch to epoch in one plane, so that they move instead of jumping. numpy only."""

import numpy as np

from aecore.analysis.projection import fit_pca

FITTED = 512
"""Points that the plane of long codes is found from: an eigendecomposition grows with the cube of either."""
GOLDEN = 0.6180339887498949


def procrustes(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Centred points (N, k), turned and mirrored about the origin so that they lie nearest to `onto` (N, k). Schonemann 1966."""
    left, _, right = np.linalg.svd(points.T @ onto)
    turned: np.ndarray = points @ (left @ right)
    return turned


def laid_over(places: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Places (n, d) turned or mirrored, scaled by one factor and moved, so that they lie nearest to `onto` (n, d) in squares.

    Schonemann & Carroll 1970.
    """
    mine, theirs = places - places.mean(0), onto - onto.mean(0)
    turned = procrustes(mine, theirs)
    scale = float((turned * theirs).sum()) / max(float(np.square(mine).sum()), 1e-300)
    aligned: np.ndarray = scale * turned + onto.mean(0)
    return aligned.astype(np.float32)


def plane(codes: np.ndarray) -> np.ndarray:
    """Codes (N, D) -> centred places (N, 2) of root mean square radius 1: the codes themselves for two numbers, else their
    first two principal components; one number is spread evenly across. What is not finite stands at the centre."""
    finite = np.isfinite(codes).all(axis=1)
    known = codes[finite].astype(np.float64)
    places = np.zeros((len(codes), 2))
    if len(known):
        places[finite] = _two(known)
        places[finite] -= places[finite].mean(axis=0)
    radius = float(np.sqrt(np.square(places).sum(axis=1).mean())) if len(places) else 0.0
    return places / radius if radius > 1e-12 else places


def _two(codes: np.ndarray) -> np.ndarray:
    n, d = codes.shape
    if d == 1:
        across = np.modf(np.arange(n) * GOLDEN)[0] - 0.5
        return np.stack([codes[:, 0], across * max(float(codes.std()), 1e-12)], axis=1)
    if d == 2 or n < 3:
        return codes[:, :2]
    return fit_pca(codes[:FITTED] if d > FITTED else codes, 2).project(codes)


def follow(codes: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """The places of codes (N, D), turned onto where the same points were `before`; codes of two numbers keep their axes."""
    places = plane(codes)
    if before is None or codes.shape[1] <= 2 or len(before) != len(places):
        return places
    return procrustes(places, before)
