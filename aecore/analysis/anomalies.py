"""How well the error of an image tells that its class was left out of training."""

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

MOST_POINTS = 201
"""Of a curve that is kept."""


def detection(errors: np.ndarray, strange: np.ndarray) -> dict[str, Any]:
    """{'auroc', 'average_precision', 'share', 'n', 'roc', 'pr'} of errors (N,) as a score for `strange` (N,) bool, of both kinds.

    AUROC is the chance that a strange image has a larger error than a known one (0.5: no better than guessing). The average
    precision of guessing is `share`, the share of strange images. 'roc' holds the points (false positive rate, true positive
    rate), 'pr' (recall, precision), at most MOST_POINTS each.
    """
    wrong, right, _ = roc_curve(strange, errors)
    precision, recall, _ = precision_recall_curve(strange, errors)
    return {
        "auroc": float(roc_auc_score(strange, errors)),
        "average_precision": float(average_precision_score(strange, errors)),
        "share": float(strange.mean()),
        "n": len(errors),
        "roc": _thinned(wrong, right),
        "pr": _thinned(recall[::-1], precision[::-1]),
    }


def _thinned(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Points (x, y) of a curve, to four places; the first and the last are kept."""
    kept = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(int))
    points: list[list[float]] = np.stack([x[kept], y[kept]], 1).round(4).tolist()
    return points
