"""How well the error of an image tells that its class was left out of training."""

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score


def detection(errors: np.ndarray, strange: np.ndarray) -> dict[str, Any]:
    """{'auroc', 'average_precision', 'share', 'n'} of errors (N,) as a score for `strange` (N,) bool, of both kinds.

    AUROC is the chance that a strange image has a larger error than a known one (0.5: no better than guessing). The average
    precision of guessing is `share`, the share of strange images.
    """
    return {
        "auroc": float(roc_auc_score(strange, errors)),
        "average_precision": float(average_precision_score(strange, errors)),
        "share": float(strange.mean()),
        "n": len(errors),
    }
