"""Maps of codes that keep who is whose neighbour: t-SNE by openTSNE, and UMAP.

UMAP is McInnes et al. 2018 in numpy: exact neighbours, the start from the principal components, and gradient steps for batches
of edges. umap-learn compiles for a minute in each new process, and cannot be asked how far it is.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import curve_fit
from scipy.sparse import coo_matrix

from aecore.analysis.neighbours import Nearest, nearest, placed
from aecore.analysis.projection import fit_pca
from aecore.config.projection import TsneConfig, UmapConfig

Step = Callable[[float], None]
"""Told the share that is done; may raise to stop."""
EXAGGERATED, EXAGGERATION = 250, 12.0
ENTRIES = 5
"""Random points that each edge pushes its first point away from."""
FEW = 10_000


def lay_out(
    config: TsneConfig | UmapConfig, codes: np.ndarray, found: Nearest, step: Step, start: np.ndarray | None = None
) -> np.ndarray:
    """Places (N, d) float32 of codes (N, D), from their nearest neighbours, `config.neighbours` of each.

    `start` (N, d) is where they begin, by default at `begin`.
    """
    start = begin(codes, config.dims) if start is None else start
    return tsne(config, start, found, step) if isinstance(config, TsneConfig) else umap(config, start, found, step)


def begin(codes: np.ndarray, dims: int) -> np.ndarray:
    """(N, dims) float64: the first principal components, the widest of standard deviation 1. All 0 where all codes are equal."""
    known = min(dims, *codes.shape)
    places = np.zeros((len(codes), dims))
    places[:, :known] = fit_pca(codes, known).project(codes)
    return places / (places.std(0).max() or 1.0)


def begin_like(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N, d) float64: the places (N, d) of another map, at the scale of `begin`; where one is NaN, near its fitted neighbours."""
    there = np.isfinite(known).all(1)
    places = np.empty(known.shape)
    places[there] = known[there] - known[there].mean(0)
    places[there] /= places[there].std(0).max() or 1.0
    if not there.all():
        places[~there] = placed(places[there], nearest(codes[there], codes[~there], 1))
    return places


def tsne(config: TsneConfig, start: np.ndarray, found: Nearest, step: Step) -> np.ndarray:
    """t-SNE of points whose neighbours are known, from `start` (N, d); in two dimensions interpolated by FFT from 10,000 points on.

    Poličar et al. 2024 (openTSNE); the start: Kobak & Berens 2019; the learning rate N / exaggeration: Belkina et al. 2019.
    """
    from openTSNE import TSNEEmbedding  # two seconds
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    total, done = EXAGGERATED + config.iterations, 0

    def told(iteration: int, *_: object) -> bool:
        step((done + iteration) / total)
        return False

    index = PrecomputedNeighbors(found.indices.astype(np.int64), found.distances.astype(np.float64))
    affinities = PerplexityBasedNN(
        knn_index=index, perplexity=min(config.perplexity, found.indices.shape[1] / 3), n_jobs=1
    )
    method = "bh" if len(start) < FEW or config.dims > 2 else "fft"
    options = {"negative_gradient_method": method, "n_jobs": 1, "random_state": config.seed}
    noise = np.random.default_rng(config.seed).standard_normal(start.shape)
    places = TSNEEmbedding(1e-4 * start + 1e-6 * noise, affinities, **options)
    phases = ((EXAGGERATED, EXAGGERATION, 0.5), (config.iterations, 1.0, 0.8))
    for iterations, exaggeration, momentum in phases:
        callbacks = {"callbacks": told, "callbacks_every_iters": 5, "use_callbacks": True}
        places = places.optimize(iterations, exaggeration=exaggeration, momentum=momentum, **callbacks)
        done += iterations
    return np.asarray(places, np.float32)


def umap(config: UmapConfig, start: np.ndarray, found: Nearest, step: Step) -> np.ndarray:
    """UMAP of points whose neighbours are known, from `start` (N, d), in `config.epochs` epochs.

    McInnes et al. 2018, algorithms 1 to 5; of each pair both directions, 5 random points pushed away for each, gradients cut
    at 4, the step falling from 1 to 0.
    """
    epochs = config.epochs or (500 if len(start) <= FEW else 200)
    head, tail, weight = _edges(found)
    kept = weight >= weight.max() / epochs
    head, tail, every = (
        head[kept],
        tail[kept],
        weight.max() / weight[kept],
    )  # epochs from one use of an edge to the next
    random, due = np.random.default_rng(config.seed), every.copy()
    places = (10 * start / max(np.abs(start).max(), 1e-12) + 1e-4 * random.standard_normal(start.shape)).astype(
        np.float32
    )
    batch = max(256, len(start) // 4)  # small enough that a point is seldom moved twice at once
    a, b = curve(config.min_dist)
    for epoch in range(epochs):
        active = random.permutation(np.flatnonzero(due <= epoch + 1))
        due[active] += every[active]
        for first in range(0, len(active), batch):
            edges = active[first : first + batch]
            _move(places, head[edges], tail[edges], a, b, np.float32(1 - epoch / epochs), random)
        step((epoch + 1) / epochs)
    return places


def curve(min_dist: float) -> tuple[float, float]:
    """a and b of 1 / (1 + a d^(2b)), which is near 1 up to min_dist and falls like exp(min_dist - d) behind it."""
    d = np.linspace(0, 3, 300)
    wanted = np.where(d < min_dist, 1.0, np.exp(min_dist - d))
    (a, b), _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), d, wanted)
    return float(a), float(b)


def memberships(found: Nearest) -> np.ndarray:
    """(N, k) weights exp(-max(0, d - rho) / sigma): rho the nearest distance, sigma such that they sum to log2(k + 1).

    McInnes et al. 2018, algorithm 3 (its k counts the point itself). sigma is at least a thousandth of the mean distance.
    """
    beyond = np.maximum(0, found.distances - found.distances[:, :1]).astype(np.float64)
    low, high = np.zeros(len(beyond)), np.full(len(beyond), np.inf)
    sigma, wanted = np.ones(len(beyond)), np.log2(found.distances.shape[1] + 1)
    for _ in range(64):
        above = np.exp(-beyond / sigma[:, None]).sum(1) > wanted
        high, low = np.where(above, sigma, high), np.where(above, low, sigma)
        sigma = np.where(np.isinf(high), 2 * sigma, (low + np.minimum(high, 1e300)) / 2)
    floor = 1e-3 * np.maximum(found.distances.mean(1), 1e-12)
    return np.asarray(np.exp(-beyond / np.maximum(np.minimum(sigma, 1e30), floor)[:, None]))


def _edges(found: Nearest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First points, second points and weights of the edges, both directions of each: w + w' - w w'."""
    n, k = found.indices.shape
    weights = memberships(found).ravel()
    one_way = coo_matrix((weights, (np.repeat(np.arange(n), k), found.indices.ravel())), shape=(n, n)).tocsr()
    other = one_way.T.tocsr()
    both = (one_way + other - one_way.multiply(other)).tocoo()
    return both.row, both.col, both.data


def _move(
    places: np.ndarray,
    head: np.ndarray,
    tail: np.ndarray,
    a: float,
    b: float,
    rate: np.float32,
    random: np.random.Generator,
) -> None:
    """One gradient step along these edges, in place: their ends attract each other, random points push the first ends away."""
    n, dims = places.shape
    between = places[head] - places[tail]  # (e, d)
    away = np.square(between).sum(1)
    power = away**b
    pull = np.where(away > 0, -2 * a * b * power / np.maximum(away, 1e-12) / (1 + a * power), 0)
    near = np.clip(pull[:, None] * between, -4, 4)
    others = random.integers(0, n, (len(head), ENTRIES))
    apart = places[head][:, None] - places[others]  # (e, 5, d)
    away = np.square(apart).sum(2)
    push = np.where(others == head[:, None], 0, 2 * b / ((0.001 + away) * (1 + a * away**b)))
    far = np.clip(push[..., None] * apart, -4, 4).sum(1)
    for axis in range(dims):
        steps = np.bincount(head, near[:, axis] + far[:, axis], n) - np.bincount(tail, near[:, axis], n)
        places[:, axis] += rate * steps.astype(np.float32)
