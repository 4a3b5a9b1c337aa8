"""What a run's model makes of codes and images, in the dashboard's process: one viewer at a time, on one thread."""

import threading
from typing import TYPE_CHECKING

import numpy as np

from ui.lab import trained

if TYPE_CHECKING:
    from aecore import Trained

_computing = threading.Lock()
"""The cores belong to the trainers."""


def model(run: str, weights: str) -> "Trained":
    """The model of a run. Raises FileNotFoundError with a sentence while it has no weights."""
    if not weights:
        raise FileNotFoundError("This run has no weights yet: the first checkpoint brings them.")
    return trained(run, weights)


def computed(run: str, weights: str, verb: str, *values: np.ndarray | None) -> np.ndarray:
    """What the model of a run makes of values: 'encode' of images, 'decode' and 'reconstruct' also of labels.

    Raises FileNotFoundError without weights.
    """
    ready = model(run, weights)
    with _computing:
        return np.asarray(getattr(ready, verb)(*values))
