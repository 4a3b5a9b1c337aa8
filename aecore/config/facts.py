"""What a model must know of the data, and nothing of how the data came to be."""

from typing import NamedTuple

Shape = tuple[int, int, int]


class Facts(NamedTuple):
    """Facts of a data set as a model sees them."""

    shape: Shape
    """(C, H, W) of one image."""
    value_range: tuple[float, float]
    """(0, 1) or (-1, 1): the range of a normalised pixel."""
    n_train: int
    """Images in the training split, before `training.subset`."""
    class_names: tuple[str, ...]
    """Name of each label, in the order of the labels."""
