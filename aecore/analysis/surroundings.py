"""What the neighbours of each code tell: density, cluster, and how many of them have its label."""

from collections.abc import Callable

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from aecore.analysis.neighbours import Nearest, agreement, nearest
from aecore.config.projection import SurroundingsConfig


def columns(
    config: SurroundingsConfig,
    splits: dict[str, dict[str, np.ndarray]],
    name: str,
    rows: np.ndarray,
    around: Nearest,
    step: Callable[[float], None],
) -> dict[str, np.ndarray]:
    """{'SPLIT.density', 'SPLIT.agreement', 'SPLIT.cluster'} of every split, one number a code; NaN and -1 where it is not finite.

    'density': the mean distance to the nearest codes of the split `name`, so that small is dense; 'agreement': share of those
    that have the code's label; 'cluster': of k-means on that split's codes, the largest first.
    """
    codes, labels = splits[name]["codes"][rows], splits[name]["labels"][rows]
    known = max(2, len(np.unique(labels[labels >= 0])))
    count = min(config.clusters or min(known, 20), len(np.unique(codes, axis=0)))
    means = MiniBatchKMeans(count, n_init=3, random_state=config.seed, batch_size=4096).fit(codes)
    largest = np.argsort(np.argsort(-np.bincount(means.labels_, minlength=count), kind="stable"))
    made: dict[str, np.ndarray] = {}
    for split, found in splits.items():
        finite = np.flatnonzero(np.isfinite(found["codes"]).all(1))
        near = around
        if split != name or len(finite) != len(rows):
            mine = found["codes"][finite]
            near = nearest(codes, mine, around.indices.shape[1] + (split == name), step)
            if split == name:
                near = Nearest(near.indices[:, 1:], near.distances[:, 1:])  # the nearest is the code itself
        made[f"{split}.density"] = _spread(near.distances.mean(1), finite, len(found["codes"]), np.nan)
        agreed = agreement(found["labels"][finite], labels, near)
        made[f"{split}.agreement"] = _spread(agreed, finite, len(found["codes"]), np.nan)
        cluster = largest[means.predict(found["codes"][finite])] if len(finite) else np.empty(0, np.int64)
        made[f"{split}.cluster"] = _spread(cluster, finite, len(found["codes"]), -1)
    return made


def _spread(values: np.ndarray, rows: np.ndarray, n: int, missing: float) -> np.ndarray:
    spread = np.full(n, missing, values.dtype)
    spread[rows] = values
    return spread
