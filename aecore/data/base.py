"""What a data set is: its facts, and how its images are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from aecore.config import ConfigError, DataConfig, Shape

Roots = Sequence[Path]
"""Data folders, searched in this order. Downloads and drawn images go into the last one."""

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class DataError(ConfigError):
    """Images that cannot be had. The sentence says what failed, where, and what to do by hand."""

    def __init__(self, sentence: str, field: str = "data.name"):
        super().__init__({field: sentence})


def unfound(roots: Roots) -> list[str]:
    """A sentence on each folder that somebody named, which are all but the last, where it is none."""
    where = [(root, "is no folder" if root.exists() else "is not there") for root in roots[:-1] if not root.is_dir()]
    return [f"The folder {root} (--data-root or AELAB_DATA) {what}." for root, what in where]


class Split(NamedTuple):
    """The images of one split."""

    images: np.ndarray
    """(N, C, H, W) uint8, C is 1 or 3."""
    labels: np.ndarray
    """(N,) int64, indices into `class_names`."""
    class_names: tuple[str, ...]
    """Name of each label."""
    factors: dict[str, np.ndarray]
    """What a drawn image was drawn from, (N,) each; empty where nobody knows."""

    def take(self, indices: np.ndarray) -> "Split":
        """The images at `indices`, in their order."""
        factors = {name: values[indices] for name, values in self.factors.items()}
        return Split(self.images[indices], self.labels[indices], self.class_names, factors)


class Described(NamedTuple):
    """What is known of a data set without its pixels."""

    shape: Shape
    n_train: int
    n_test: int
    class_names: tuple[str, ...]


class Reader(Protocol):
    """Reads 'train' or 'test' as the data set has it; a drawn set draws at `config.size` already."""

    def __call__(self, config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split: ...


@dataclass(frozen=True)
class Dataset:
    """One data set of the catalogue."""

    name: str
    title: str
    help: str
    kind: Literal["package", "generated", "download", "folder"]
    read: Reader
    shape: Shape | None = None
    """(C, H, W) of an image before `data.size` and `data.colour`; None where only its files know."""
    n_train: int = 0
    """Images in the training split, before a validation split is cut from it."""
    n_test: int = 0
    class_names: tuple[str, ...] | None = None
    megabytes: float = 0.0
    """Size of the download; 0 where there is none."""
    sequence: bool = False
    """Whether an image (1, F, T) is a sequence of T steps of F numbers: `data.size` is T then, and there is no colour."""
    group: int = 1
    """Consecutive training images that share pixels: the validation cut never divides them."""
    present: Callable[[Roots], bool] = lambda roots: True
    """Whether the images can be read without a download."""
    download: Callable[[Path, Progress | None], None] | None = None
    """Fetches the files into a data folder. Raises DataError."""
    describe: Callable[[DataConfig, Roots], Described] | None = None
    """Where shape and counts depend on the config: how to find them. Raises DataError."""
    labels: Callable[[DataConfig, Roots], tuple[np.ndarray, tuple[str, ...]]] | None = None
    """Labels of the training images and class names, where they can be had much faster than the pixels."""


def names(words: str) -> tuple[str, ...]:
    """Class names from a line of them: words without spaces, in the order of the labels."""
    return tuple(word.replace("_", " ") for word in words.split())


def package_folder(package: str) -> Path:
    """Where an installed package lies, found without importing it, which would take a second."""
    found = find_spec(package)
    assert found, f"{package} is in requirements.txt"
    return Path(str(found.origin)).parent
