"""New images from codes that no image was encoded to, and whether they are copies."""

from typing import NamedTuple

import numpy as np
from sklearn.mixture import GaussianMixture

from aecore.analysis.projection import PCA, fit_pca


def agreement(images: np.ndarray, real: np.ndarray, labels: np.ndarray, k: int = 5, needed: int = 4) -> np.ndarray:
    """(n,) bool: whether at least `needed` of the k real images that are nearest to each of `images` have one label.

    Nearest by squared distance of the pixels: images (n, C, H, W), real (N, C, H, W) with labels (N,). For images that look
    like one class it is true, for what lies between the classes it is not.
    """
    known = real.reshape(len(real), -1).astype(np.float32) / 255
    squares = np.square(known).sum(1)
    votes = []
    for part in np.array_split(images.reshape(len(images), -1).astype(np.float32) / 255, max(1, len(images) // 250)):
        distances = squares - 2 * part @ known.T  # but for |part|^2, which is the same for all
        near = labels[np.argpartition(distances, k, axis=1)[:, :k]]  # (n, k)
        votes.append((near[:, :, None] == near[:, None]).sum(1).max(1))
    return np.concatenate(votes) >= needed


class Mixture(NamedTuple):
    """Gaussians with diagonal covariances in the principal axes of the codes."""

    weights: np.ndarray
    """(g,)."""
    means: np.ndarray
    """(g, k)."""
    scales: np.ndarray
    """(g, k) standard deviations."""
    axes: PCA


def fit_mixture(codes: np.ndarray) -> Mixture:
    """A Gaussian mixture of codes (N, D), in at most 64 principal axes; Ghosh et al. 2020 sample deterministic autoencoders so.

    At most 20 Gaussians, of at most 5,000 codes.
    """
    codes = codes[:5_000]
    axes = fit_pca(codes, min(64, *codes.shape))
    places = axes.project(codes)
    count = max(1, min(20, len(codes) // 20))
    fitted = GaussianMixture(count, covariance_type="diag", reg_covar=1e-6, random_state=0, max_iter=60).fit(places)
    return Mixture(fitted.weights_, fitted.means_, np.sqrt(fitted.covariances_), axes)


def sample(mixture: Mixture, n: int, seed: int) -> np.ndarray:
    """n codes (n, D) float32 of a mixture."""
    random = np.random.default_rng(seed)
    which = random.choice(len(mixture.weights), n, p=mixture.weights / mixture.weights.sum())
    places = mixture.means[which] + mixture.scales[which] * random.standard_normal((n, mixture.means.shape[1]))
    return mixture.axes.lift(places).astype(np.float32)


def near(codes: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n codes (n, D) float32 between codes (m, D): each a random mixture of three of them."""
    random = np.random.default_rng(seed)
    which = random.integers(0, len(codes), (n, 3))
    shares = random.dirichlet(np.ones(3), n)
    return np.einsum("nk,nkd->nd", shares, codes[which]).astype(np.float32)


def nearest_images(known: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each image (n, C, H, W) uint8 the place of the nearest among `known` (N, C, H, W) uint8, and the root of their mean
    squared difference, pixels in [0, 1]: (n,) each."""
    asked = images.reshape(len(images), -1).astype(np.float32) / 255
    best, where = np.full(len(images), np.inf), np.zeros(len(images), np.int64)
    rows = max(1, (1 << 23) // asked.shape[1])
    for begin in range(0, len(known), rows):
        part = known[begin : begin + rows].reshape(-1, asked.shape[1]).astype(np.float32) / 255
        away = np.square(asked).sum(1)[:, None] - 2 * asked @ part.T + np.square(part).sum(1)
        first = away.argmin(1)
        least = away[np.arange(len(asked)), first]
        where, best = np.where(least < best, begin + first, where), np.minimum(least, best)
    return where, np.sqrt(np.maximum(best, 0) / asked.shape[1])
