"""The fixed, held-out subset that is shown of a run. Free of torch: pages read it from run folders."""

from typing import NamedTuple

import numpy as np


class Inputs(NamedTuple):
    """The fixed, held-out subset that is watched during a run."""

    images: np.ndarray
    """(n <= 64, C, H, W) uint8: the originals above every row of reconstructions."""
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
    """(n, C, H, W) uint8: what the encoder sees of the images; None where that is the images themselves, and in older folders."""
    all_labels: np.ndarray | None = None
    """(N,) int64: label of every watched image, in the order of a sample's errors; None in older folders."""
    all_indices: np.ndarray | None = None
    """(N,) int64: place of every watched image in its split; None in older folders."""
