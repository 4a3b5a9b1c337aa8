"""The 8x8 digits that scikit-learn carries: there at once, without a download."""

import gzip
from typing import Literal

import numpy as np

from aecore.config import DataConfig
from aecore.data.base import Dataset, Roots, Split, package_folder

N_TRAIN = 1500


def read(config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split:
    """The first 1,500 images of the file to train on, the other 297, written by other people, to test."""
    with gzip.open(package_folder("sklearn") / "datasets" / "data" / "digits.csv.gz", "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    table = table[:N_TRAIN] if split == "train" else table[N_TRAIN:]
    pixels = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8)  # the file counts ink from 0 to 16
    return Split(pixels.reshape(-1, 1, 8, 8), table[:, -1].copy(), tuple("0123456789"), {})


DIGITS = Dataset(
    name="digits",
    title="Digits 8x8",
    help="1,797 handwritten digits, 8x8 pixels, grey. Tiny: a model trains in seconds.",
    kind="package",
    read=read,
    shape=(1, 8, 8),
    n_train=N_TRAIN,
    n_test=297,
    class_names=tuple("0123456789"),
)
