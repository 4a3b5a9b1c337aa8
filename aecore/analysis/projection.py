"""Projections of codes for plots: principal components, and correlations. numpy only."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CHUNK = 1 << 22
"""Numbers that are centred at once."""
LARGEST_EXACT, FEW = 2048, 64
"""Dimensions from which on few components are found by iteration: an eigendecomposition grows with their cube."""
SPARE, ITERATIONS = 10, 8


class PCA(NamedTuple):
    """Principal components of points (N, D). Pearson 1901."""

    mean: np.ndarray
    """(D,)."""
    components: np.ndarray
    """(k, D), orthonormal rows, by falling variance; the largest entry of each is positive."""
    explained: np.ndarray
    """(k,) share of the variance along each."""

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, D) -> (N, k)."""
        projected: np.ndarray = points @ self.components.T - self.mean @ self.components.T
        return projected

    def lift(self, points: np.ndarray) -> np.ndarray:
        """(N, k) -> (N, D): the nearest points in the subspace."""
        lifted: np.ndarray = points @ self.components + self.mean
        return lifted


def fit_pca(points: np.ndarray, k: int) -> PCA:
    """The first k principal components of points (N, D) of any number type; k is at most min(N, D).

    From the covariance (D, D) where it is small, in float64, so that 70,000 points of 784 dimensions take about a second;
    from the Gram matrix (N, N) where there are few points; else by subspace iteration, for the few components of a plot.
    """
    n, d = points.shape
    mean = points.mean(axis=0, dtype=np.float64)
    if min(n, d) > LARGEST_EXACT and k <= FEW:
        components, values, total = _iterate(points, mean, k)
    elif d <= n:
        components, values, total = _from_covariance(points, mean, k)
    else:
        components, values, total = _from_gram(points, mean, k)
    signs = np.sign(components[np.arange(k), np.abs(components).argmax(axis=1)])
    return PCA(mean, components * signs[:, None], np.clip(values, 0, None) / max(total, 1e-300))


Found = tuple[np.ndarray, np.ndarray, float]
"""Components (k, D), the sum of squares along each (k,), and the sum of squares in all."""


def _from_covariance(points: np.ndarray, mean: np.ndarray, k: int) -> Found:
    d = points.shape[1]
    covariance = np.zeros((d, d))
    for centred in _centred(points, mean):
        covariance += centred.T @ centred
    values, vectors = np.linalg.eigh(covariance)
    return vectors.T[::-1][:k], values[::-1][:k], float(values.sum())


def _from_gram(points: np.ndarray, mean: np.ndarray, k: int) -> Found:
    centred = points - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)
    components = vectors.T[::-1][:k] @ centred
    components /= np.maximum(np.linalg.norm(components, axis=1, keepdims=True), 1e-300)
    return components, values[::-1][:k], float(values.sum())


def _iterate(points: np.ndarray, mean: np.ndarray, k: int) -> Found:
    """Randomised subspace iteration with a fixed seed. Halko, Martinsson & Tropp 2011, algorithm 4.4."""
    basis = np.random.default_rng(0).standard_normal((points.shape[1], k + SPARE))
    for _ in range(ITERATIONS):
        product, total = np.zeros_like(basis), 0.0
        for centred in _centred(points, mean):
            product += centred.T @ (centred @ basis)
            total += float(np.square(centred).sum())
        basis = np.linalg.qr(product)[0]
    projected = np.concatenate([centred @ basis for centred in _centred(points, mean)])  # (N, k + SPARE)
    _, sizes, turned = np.linalg.svd(projected, full_matrices=False)
    return turned[:k] @ basis.T, sizes[:k] ** 2, total


def _centred(points: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
    """The centred points (n, D) float64, a chunk at a time."""
    step = max(1, CHUNK // points.shape[1])
    for first in range(0, len(points), step):
        yield points[first : first + step] - mean


def moving(codes: np.ndarray) -> np.ndarray:
    """(D,) bool: the dimensions of codes (N, D) that say anything of an image, whatever their scale: their standard deviation is
    above a thousandth of the largest one's, and above what rounding makes of equal numbers."""
    spread = np.nan_to_num(codes.std(axis=0, dtype=np.float64))
    rounding = 1e-7 * np.nan_to_num(np.abs(codes)).max(initial=0)
    found: np.ndarray = spread > max(1e-3 * spread.max(initial=0), rounding)
    return found


def correlations(codes: np.ndarray) -> np.ndarray:
    """(D, D) Pearson's r between the dimensions of codes (N, D); 0 where a dimension does not vary."""
    centred = codes - codes.mean(0, dtype=np.float64)
    scale = np.sqrt(np.square(centred).sum(0))
    matrix = centred.T @ centred / np.maximum(np.outer(scale, scale), 1e-300)
    return np.clip(matrix, -1, 1)


def largest_angle(a: np.ndarray, b: np.ndarray) -> float:
    """Largest principal angle in degrees between the spans of the rows of a and of b, (k, D) each. Bjorck & Golub 1973."""
    basis_a, basis_b = np.linalg.qr(a.T)[0], np.linalg.qr(b.T)[0]
    # from the sine, which is exact for small angles, where the cosine is not
    sine = float(np.linalg.norm(basis_b - basis_a @ (basis_a.T @ basis_b), ord=2))
    return math.degrees(math.asin(min(1.0, sine)))
