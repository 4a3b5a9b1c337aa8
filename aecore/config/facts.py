"""What a model must know of the data, and nothing of how the data came to be."""

from collections.abc import Mapping
from typing import Any, NamedTuple

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

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Facts":
        """Back from JSON of `_asdict()`, which has no tuples."""
        channels, height, width = content["shape"]
        low, high = content["value_range"]
        return cls((channels, height, width), (low, high), content["n_train"], tuple(content["class_names"]))
