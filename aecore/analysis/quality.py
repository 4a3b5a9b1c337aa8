"""How good codes are: what they tell of labels, how many of their dimensions they use, how they lie beside the prior."""

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import ks_2samp
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aecore.analysis.projection import correlations

NEIGHBOURS = 10
LEARNT, ASKED = 10_000, 2_000
"""Codes that probe, neighbours and clusters learn from, and codes that they are asked about, at most."""
NUMBERS = 1 << 24
"""Numbers in the codes that are learnt from: of feature maps fewer images are taken."""
LARGEST_COVARIANCE = 4096
"""Dimensions up to which dimensions are compared with each other."""
ACTIVE = 0.01
"""Variance from which on a dimension counts as used: Burda et al. 2016, section 5.2."""


class Labelled(NamedTuple):
    """Codes (N, D) and the label (N,) of each; a label below 0 is none."""

    codes: np.ndarray
    labels: np.ndarray


def quality(train: Labelled, test: Labelled) -> dict[str, Any]:
    """What the codes of held-out images tell: `of_labels` where there are at least two labels, and `of_dimensions`.

    Codes that are not finite are left out, and {} is all that can be said where fewer than three are left.
    """
    train, test = _finite(train), _finite(test)
    if min(len(train.codes), len(test.codes)) < 3:
        return {}
    found: dict[str, Any] = of_dimensions(test.codes)
    known, asked = (_sample(_known(part), most) for part, most in ((train, LEARNT), (test, ASKED)))
    if len(np.unique(known.labels)) > 1 and len(np.unique(asked.labels)) > 1:
        found |= of_labels(known, asked)
    return found | {"n": len(asked.codes) or len(test.codes)}


def of_labels(train: Labelled, test: Labelled) -> dict[str, float]:
    """{'probe_accuracy', 'knn_accuracy', 'silhouette', 'nmi', 'ari', 'majority'} of the test codes.

    'probe_accuracy': share of labels that a logistic regression on the standardised training codes predicts (Alain & Bengio
    2017); 'knn_accuracy': that a vote of the NEIGHBOURS nearest training codes predicts; 'majority': what always saying
    the most frequent label reaches. 'silhouette': -1 to 1 (Rousseeuw 1987), of the labels. 'nmi' and 'ari': agreement of as
    many k-means clusters as there are labels with the labels, 1 at most, about 0 by chance (Hubert & Arabie 1985).
    """
    names, counts = np.unique(train.labels, return_counts=True)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    nearest = KNeighborsClassifier(min(NEIGHBOURS, len(train.codes)), algorithm="brute")
    clusters = KMeans(min(len(names), len(np.unique(train.codes, axis=0))), n_init=4, random_state=0).fit(train.codes)
    found = clusters.predict(test.codes)
    return {
        "probe_accuracy": float(probe.fit(*train).score(*test)),
        "knn_accuracy": float(nearest.fit(*train).score(*test)),
        "majority": float((test.labels == names[counts.argmax()]).mean()),
        "silhouette": _silhouette(test),
        "nmi": float(normalized_mutual_info_score(test.labels, found)),
        "ari": float(adjusted_rand_score(test.labels, found)),
    }


def of_dimensions(codes: np.ndarray) -> dict[str, float]:
    """{'effective_dimension', 'used_dimensions', 'correlation'} of codes (N, D), the first and last for D up to 4096.

    'effective_dimension': participation ratio of the covariance's eigenvalues, (sum l)^2 / sum l^2, between 1 and D (Gao et
    al. 2017). 'used_dimensions': whose variance is above 0.01. 'correlation': mean |Pearson's r| between the used ones.
    """
    variance = codes.var(0, dtype=np.float64)
    used = np.flatnonzero(variance > ACTIVE)
    found = {"used_dimensions": float(len(used))}
    if codes.shape[1] > LARGEST_COVARIANCE:
        return found
    matrix = np.cov(codes, rowvar=False, dtype=np.float64).reshape(codes.shape[1], codes.shape[1])
    if (total := float(np.square(matrix).sum())) > 0:  # sum of the squared eigenvalues
        found["effective_dimension"] = float(np.trace(matrix) ** 2 / total)
    if len(used) > 1:
        found["correlation"] = float(np.abs(correlations(codes[:, used])[np.triu_indices(len(used), 1)]).mean())
    return found


def prior_distance(drawn: np.ndarray, prior: np.ndarray) -> float:
    """Mean over the dimensions of the Kolmogorov-Smirnov distance between drawn codes and codes of the prior, (N, D) each.

    0: they are distributed alike in every dimension; 1: they do not overlap.
    """
    dimensions = range(min(drawn.shape[1], LARGEST_COVARIANCE))
    return float(np.mean([ks_2samp(drawn[:, j], prior[:, j], method="asymp").statistic for j in dimensions]))


def _silhouette(test: Labelled) -> float:
    """Of labels that occur twice; 0 where every image has its own."""
    names, counts = np.unique(test.labels, return_counts=True)
    among = np.isin(test.labels, names[counts > 1])
    if not 1 < len(np.unique(test.labels[among])) < among.sum():
        return 0.0
    return float(silhouette_score(test.codes[among], test.labels[among]))


def _finite(part: Labelled) -> Labelled:
    finite = np.isfinite(part.codes).all(1)
    return Labelled(part.codes[finite].astype(np.float32), part.labels[finite])


def _known(part: Labelled) -> Labelled:
    return Labelled(part.codes[part.labels >= 0], part.labels[part.labels >= 0])


def _sample(part: Labelled, most: int) -> Labelled:
    most = max(3, min(most, NUMBERS // max(1, part.codes.shape[1])))
    if len(part.codes) <= most:
        return part
    chosen = np.sort(np.random.default_rng(0).choice(len(part.codes), most, replace=False))
    return Labelled(part.codes[chosen], part.labels[chosen])
