"""How good codes are: what they tell of labels, how many of their dimensions they use, how they lie beside the prior."""

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import ks_2samp
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_samples
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from aecore.analysis.projection import correlations, moving
from aecore.analysis.quality_words import ASKED

NEIGHBOURS = 10
LEARNT = 10_000
"""Codes that probe, neighbours and clusters learn from, at most."""
NUMBERS = 1 << 24
"""Numbers in the codes that are learnt from: of feature maps fewer images are taken."""
LARGEST_COVARIANCE = 4096
"""Dimensions up to which dimensions are compared with each other."""
PICTURED = 40
"""Labels up to which tables of them are kept."""


class Labelled(NamedTuple):
    """Codes (N, D) and the label (N,) of each; a label below 0 is none."""

    codes: np.ndarray
    labels: np.ndarray


class Judged(NamedTuple):
    """What is known of codes: numbers, and what the pictures beside them are drawn from."""

    figures: dict[str, Any]
    pictures: dict[str, Any]
    """Of up to PICTURED labels: 'labels'; 'probe' and 'knn', how many images of each label (rows) were taken for each;
    'clusters', how many are in each; 'silhouettes', the mean of each label. {} where there are more, or fewer than two."""


def judged(train: Labelled, test: Labelled) -> Judged:
    """What the codes of held-out images tell: `of_labels` where there are at least two labels, and `of_dimensions`.

    Codes that are not finite are left out, and nothing can be said where fewer than three are left.
    """
    train, test = _finite(train), _finite(test)
    if min(len(train.codes), len(test.codes)) < 3:
        return Judged({}, {})
    found: dict[str, Any] = of_dimensions(test.codes)
    known, asked = (_sample(_known(part), most) for part, most in ((train, LEARNT), (test, ASKED)))
    pictures: dict[str, Any] = {}
    if len(np.unique(known.labels)) > 1 and len(np.unique(asked.labels)) > 1:
        told, pictures = of_labels(known, asked)
        found |= told
    return Judged(found | {"n": len(asked.codes) or len(test.codes), "codes": len(test.codes)}, pictures)


def of_labels(train: Labelled, test: Labelled) -> Judged:
    """{'probe_accuracy', 'knn_accuracy', 'silhouette', 'nmi', 'ari', 'majority'} of the test codes.

    'probe_accuracy': share of labels that a logistic regression on the standardised training codes predicts (Alain & Bengio
    2017); 'knn_accuracy': that a vote of the NEIGHBOURS nearest training codes predicts; 'majority': what always saying
    the most frequent label reaches. 'silhouette': -1 to 1 (Rousseeuw 1987), of the labels. 'nmi' and 'ari': agreement of as
    many k-means clusters as there are labels with the labels, 1 at most, about 0 by chance (Hubert & Arabie 1985).
    """
    names, counts = np.unique(train.labels, return_counts=True)
    scale = StandardScaler().fit(train.codes)
    scaled, asked = in_span(scale.transform(train.codes), scale.transform(test.codes))
    probed = LogisticRegression(max_iter=300).fit(scaled, train.labels).predict(asked)
    codes, asked = in_span(train.codes, test.codes)
    clusters = KMeans(min(len(names), len(np.unique(codes, axis=0))), n_init=4, random_state=0).fit(codes)
    voters = KNeighborsClassifier(min(NEIGHBOURS, len(codes)), algorithm="brute").fit(codes, train.labels)
    found, voted = clusters.predict(asked), voters.predict(asked)
    widths = _silhouettes(test)
    figures = {
        "probe_accuracy": float((probed == test.labels).mean()),
        "knn_accuracy": float((voted == test.labels).mean()),
        "majority": float((test.labels == names[counts.argmax()]).mean()),
        "silhouette": float(np.nanmean(widths)) if np.isfinite(widths).any() else 0.0,
        "nmi": float(normalized_mutual_info_score(test.labels, found)),
        "ari": float(adjusted_rand_score(test.labels, found)),
    }
    names = np.union1d(names, test.labels)
    if len(names) > PICTURED:
        return Judged(figures, {})
    pictures = {"labels": names.tolist(), "probe": table(test.labels, probed, names, names)}
    pictures |= {"knn": table(test.labels, voted, names, names)}
    pictures |= {"clusters": table(test.labels, found, names, np.arange(len(clusters.cluster_centers_)))}
    means = [
        np.nan_to_num(np.nanmean(w)) if np.isfinite(w := widths[test.labels == name]).any() else 0.0 for name in names
    ]
    return Judged(figures, pictures | {"silhouettes": [float(mean) for mean in means]})


def in_span(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of codes (n, D) and (m, D) in the space that the first ones span, where that has fewer dimensions than D.

    A linear model of the n codes has its weights there, and the rest of a code is equally far from all of them: probe, clusters
    and neighbours are those of the codes themselves, and a feature map costs no more than n numbers.
    """
    if len(train) >= train.shape[1]:
        return train, test
    known = train.astype(np.float64)
    values, vectors = np.linalg.eigh(known @ known.T)
    if values[-1] <= 0:  # all codes are nothing
        return train, test
    there = values > 1e-9 * values[-1]
    sizes, vectors = np.sqrt(values[there]), vectors[:, there]
    return vectors * sizes, test.astype(np.float64) @ known.T @ vectors / sizes


def table(a: np.ndarray, b: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> list[list[int]]:
    """How many of a (n,) and b (n,) are each of `rows` and each of `columns`, both ascending."""
    found = np.zeros((len(rows), len(columns)), int)
    np.add.at(found, (np.searchsorted(rows, a), np.searchsorted(columns, b)), 1)
    counts: list[list[int]] = found.tolist()
    return counts


def of_dimensions(codes: np.ndarray) -> dict[str, float]:
    """{'effective_dimension', 'used_dimensions', 'correlation'} of codes (N, D), the first and last for D up to 4096.

    'effective_dimension': participation ratio of the covariance's eigenvalues, (sum l)^2 / sum l^2, between 1 and D (Gao et
    al. 2017). 'used_dimensions': those that are `moving`. 'correlation': mean |Pearson's r| between the used ones.
    """
    used = np.flatnonzero(moving(codes))
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


def _silhouettes(test: Labelled) -> np.ndarray:
    """(n,) of images whose label occurs twice; NaN for the others, and where there is only one such label."""
    names, counts = np.unique(test.labels, return_counts=True)
    among = np.isin(test.labels, names[counts > 1])
    widths = np.full(len(test.labels), np.nan)
    if 1 < len(np.unique(test.labels[among])) < among.sum():
        widths[among] = silhouette_samples(test.codes[among], test.labels[among])
    return widths


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
