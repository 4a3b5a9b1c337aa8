"""Whether each code unit stands for one known factor of an image, and each factor in one unit: MIG, SAP, DCI, FactorVAE score.

Factors are what a drawn image was drawn from: whole numbers are categories, others are numbers.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.svm import LinearSVC

BINS = 20
"""Equally filled steps that numbers are cut into, where information or a fixed value is asked for."""
MOST, MOST_UNITS = 4000, 256
"""Images that are looked at, and code units up to which it is done, at most."""
VOTES, GROUP = 800, 64
"""Groups of images that share a value of one factor, and images of one group. Kim & Mnih 2018, appendix B."""
TREES = 20


class Known(NamedTuple):
    """Codes (N, D), and the factors (N,) each of their images by name."""

    codes: np.ndarray
    factors: Mapping[str, np.ndarray]


def disentanglement(train: Known, test: Known) -> dict[str, Any]:
    """{'mig', 'sap', 'dci_disentanglement', 'dci_completeness', 'dci_informativeness', 'factor_vae_score', 'factors', 'n'}.

    All lie between 0 and 1; 1 is a code that is the factors, in any order. 'factors': {name: {'mig', 'unit', 'information'}}, the
    gap and the unit (from 1) of each factor alone, and the nats that each unit knows of it. {} for codes of more than MOST_UNITS units, and where no factor varies.
    """
    test, train = (_first(part) for part in (test, train))
    factors = {name: values for name, values in test.factors.items() if len(np.unique(values)) > 1}
    if not factors or not 1 < test.codes.shape[1] <= MOST_UNITS or len(train.codes) < 100 or len(test.codes) < 100:
        return {}
    test, train = Known(test.codes, factors), Known(train.codes, {name: train.factors[name] for name in factors})
    information = mutual_information(test)
    gaps = gap(information / np.array([[entropy(binned(values))] for values in factors.values()]))
    each = {
        name: {"mig": float(value), "unit": int(row.argmax()) + 1, "information": row.tolist()}
        for name, value, row in zip(factors, gaps, information, strict=True)
    }
    found = {"mig": float(gaps.mean()), "sap": float(gap(separability(test)).mean()), **dci(train, test)}
    return found | {"factor_vae_score": factor_vae_score(test), "factors": each, "n": len(test.codes)}


def mutual_information(known: Known) -> np.ndarray:
    """(factors, D) nats between each factor and each unit, both cut into BINS steps. Chen et al. 2018, section 4."""
    units = [binned(unit) for unit in known.codes.T]
    return np.array([[_shared(binned(values), unit) for unit in units] for values in known.factors.values()])


def gap(scores: np.ndarray) -> np.ndarray:
    """(factors,) the largest score (factors, D) of each factor less its second largest."""
    ordered = np.sort(scores, axis=1)
    result: np.ndarray = ordered[:, -1] - ordered[:, -2]
    return result


def separability(known: Known) -> np.ndarray:
    """(factors, D): how well one unit alone tells a factor by a straight line. Kumar et al. 2018, section 3.

    Of a number the squared correlation, of a category the share of its images that a linear classifier finds.
    """
    return np.array(
        [
            [(_found if categorical(values) else _squared_correlation)(values, unit) for unit in known.codes.T]
            for values in known.factors.values()
        ]
    )


def dci(train: Known, test: Known) -> dict[str, float]:
    """Disentanglement, completeness and informativeness. Eastwood & Williams 2018, section 2.

    From the importance of each unit to a random forest that predicts a factor: 1 less the entropy of a unit's share in the
    factors, weighted by the unit's importance; the same of a factor's share in the units; and the forest's score on other
    images, R^2 (0 at least) or the share that is right.
    """
    importance, scores = [], []
    for name, values in train.factors.items():
        forest = (RandomForestClassifier if categorical(values) else RandomForestRegressor)(
            TREES, min_samples_leaf=5, random_state=0
        )
        forest.fit(train.codes, values)
        importance.append(forest.feature_importances_)
        scores.append(max(0.0, forest.score(test.codes, test.factors[name])))
    return concentration(np.array(importance)) | {"dci_informativeness": float(np.mean(scores))}


def concentration(importance: np.ndarray) -> dict[str, float]:
    """{'dci_disentanglement', 'dci_completeness'} of importance (factors, D), none of it negative."""
    total = max(importance.sum(), 1e-12)
    of_unit = importance / np.maximum(importance.sum(0), 1e-12)
    of_factor = importance / np.maximum(importance.sum(1, keepdims=True), 1e-12)
    pure = (1 - _entropy(of_unit.T) / np.log(max(2, len(importance)))) * importance.sum(0) / total
    whole = (1 - _entropy(of_factor) / np.log(importance.shape[1])) * importance.sum(1) / total
    return {"dci_disentanglement": float(pure.sum()), "dci_completeness": float(whole.sum())}


def factor_vae_score(known: Known) -> float:
    """Share of groups with one fixed factor whose least varying unit is the one that votes for this factor.

    Kim & Mnih 2018, section 4: units are divided by their standard deviation, those that hardly vary are left out; half of the
    groups decide for which factor a unit votes, the other half is asked. A number counts as fixed within one of BINS steps.
    A code that knows nothing reaches about 1 over the number of factors.
    """
    random, codes = np.random.default_rng(0), known.codes
    deviation = codes.std(0)
    kept = deviation >= 0.05 * deviation.max()  # all of them where every code is the same
    codes = codes[:, kept] / np.maximum(deviation[kept], 1e-12)
    steps = [binned(values) for values in known.factors.values()]
    votes = np.zeros((2, codes.shape[1], len(steps)))
    for number in range(VOTES):
        factor = int(random.integers(len(steps)))
        alike = np.flatnonzero(steps[factor] == random.choice(steps[factor]))
        group = codes[random.choice(alike, GROUP)]
        votes[number % 2, group.var(0).argmin(), factor] += 1
    chosen = votes[0].argmax(1)
    return float(votes[1][np.arange(len(chosen)), chosen].sum() / votes[1].sum())


def categorical(values: np.ndarray) -> bool:
    return bool(np.issubdtype(values.dtype, np.integer))


def binned(values: np.ndarray) -> np.ndarray:
    """(N,) whole numbers: themselves where there are at most BINS values, else BINS equally filled steps."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= BINS or categorical(values):
        return places
    edges = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.searchsorted(edges, values, side="right")


def entropy(steps: np.ndarray) -> float:
    """Nats of whole numbers (N,)."""
    return float(_entropy(np.unique(steps, return_counts=True)[1][None] / len(steps))[0])


def _entropy(shares: np.ndarray) -> np.ndarray:
    """(n,) nats of shares (n, k) that add up to 1."""
    result: np.ndarray = -np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1)
    return result


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    return entropy(a) + entropy(b) - entropy(a * (int(b.max()) + 1) + b)


def _squared_correlation(values: np.ndarray, unit: np.ndarray) -> float:
    a, b = values - values.mean(), unit - unit.mean()
    scale = float((a @ a) * (b @ b))
    return float(a @ b) ** 2 / scale if scale > 1e-12 else 0.0


def _found(values: np.ndarray, unit: np.ndarray) -> float:
    x = (unit / max(unit.std(), 1e-12))[:, None]
    half = len(x) // 2
    return float(LinearSVC(C=0.01, class_weight="balanced").fit(x[:half], values[:half]).score(x[half:], values[half:]))


def _first(known: Known) -> Known:
    """The first MOST of the codes that are finite."""
    finite = np.flatnonzero(np.isfinite(known.codes).all(1))[:MOST]
    return Known(
        known.codes[finite].astype(np.float64), {name: values[finite] for name, values in known.factors.items()}
    )
