"""Projections of codes for plots: principal components. numpy only."""

import math
from typing import NamedTuple

import numpy as np

CHUNK = 1 << 24
"""Numbers that are centred at once."""


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
    """The first k principal components of points (N, D), by the smaller of the covariance (D, D) and the Gram matrix (N, N).

    Works in float64, so that 70,000 points of 784 dimensions take about a second; k is at most min(N, D).
    """
    n, d = points.shape
    mean = points.mean(axis=0, dtype=np.float64)
    if d <= n:
        values, vectors = np.linalg.eigh(_covariance(points, mean))
        values, components = values[::-1][:k], vectors.T[::-1][:k]
    else:
        centred = points - mean
        values, vectors = np.linalg.eigh(centred @ centred.T)
        values = values[::-1][:k]
        components = vectors.T[::-1][:k] @ centred
        components /= np.maximum(np.linalg.norm(components, axis=1, keepdims=True), 1e-300)
    total = max(float((np.square(points, dtype=np.float64).sum(axis=0) - n * mean**2).sum()), 1e-300)
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return PCA(mean, components * signs[:, None], np.clip(values, 0, None) / total)


def _covariance(points: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(D, D) sum of outer products of the centred points, a chunk of points at a time."""
    n, d = points.shape
    covariance = np.zeros((d, d))
    step = max(1, CHUNK // d)
    for first in range(0, n, step):
        centred = points[first : first + step] - mean
        covariance += centred.T @ centred
    return covariance


def largest_angle(a: np.ndarray, b: np.ndarray) -> float:
    """Largest principal angle in degrees between the spans of the rows of a and of b, (k, D) each. Bjorck & Golub 1973."""
    basis_a, basis_b = np.linalg.qr(a.T)[0], np.linalg.qr(b.T)[0]
    # from the sine, which is exact for small angles, where the cosine is not
    sine = float(np.linalg.norm(basis_b - basis_a @ (basis_a.T @ basis_b), ord=2))
    return math.degrees(math.asin(min(1.0, sine)))
