"""Samples that have each label in its share."""

import numpy as np


def stratified(labels: np.ndarray, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """The rows in a random order of which every beginning has each label about as often as all of it."""
    order = np.random.default_rng(seed).permutation(rows)
    kinds, member = np.unique(labels[order], return_inverse=True)
    counts = np.bincount(member, minlength=len(kinds))
    grouped = np.argsort(member, kind="stable")
    turn = np.empty(len(order))
    turn[grouped] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    offset = np.random.default_rng(seed + 1).random(len(kinds))
    return order[np.argsort((turn + offset[member]) / counts[member], kind="stable")]
