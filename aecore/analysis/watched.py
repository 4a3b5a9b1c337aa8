"""The fixed, held-out subset that is shown of a run. Free of torch: pages read it from run folders."""

from typing import NamedTuple

import numpy as np

EACH, EACH_OF_CLASS, MOST_NOTABLE = 4, 3, 128
"""Best, typical and worst images that are shown: of all, of one class; and how many a sample keeps at most."""


def three(order: np.ndarray, each: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Beginning, middle and reversed end of an order, `each` long and without common members; shorter where there are few."""
    few = min(each, len(order) // 3) or min(1, len(order))
    middle = max(few, (len(order) - few) // 2)
    last = min(few, max(0, len(order) - 2 * few))
    return order[:few], order[middle : middle + few], order[::-1][:last]


def notable(errors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(k <= 128,) int64: places of the images with the smallest, middle and largest errors, of all and then of each class."""
    found = [*three(np.argsort(errors, kind="stable"), EACH)]
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        found += three(places[np.argsort(errors[places], kind="stable")], EACH_OF_CLASS)
    return np.array(list(dict.fromkeys(np.concatenate(found).tolist()))[:MOST_NOTABLE], np.int64)


class Inputs(NamedTuple):
    """The fixed, held-out subset that is watched during a run."""

    images: np.ndarray
    """(n <= 64, C, H, W) uint8: what the decoder should give, above every row of reconstructions."""
    labels: np.ndarray
    """(n,) int64."""
    indices: np.ndarray
    """(n,) int64: place of each image in its split."""
    point_labels: np.ndarray
    """(m <= 2000,) int64: label of each point of a sample's codes."""
    point_indices: np.ndarray
    """(m,) int64: place of each point in its split."""
    split: str
    """'val' or 'test'."""
    seen: np.ndarray | None = None
    """(n, C, H, W) uint8: what the encoder sees; None where that is what the decoder should give, and in older folders."""
    all_labels: np.ndarray | None = None
    """(N,) int64: label of every watched image, in the order of a sample's errors; None in older folders."""
    all_indices: np.ndarray | None = None
    """(N,) int64: place of every watched image in its split; None in older folders."""
    target: str = ""
    """What the decoder should give, in words, where that is not the images themselves."""
