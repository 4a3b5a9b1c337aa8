"""Images as uint8 arrays: the data sets, and what a config asks of them. Importing this imports no torch."""

from aecore.data.base import DataError, Dataset, Described, Progress, Roots, Split, unfound
from aecore.data.catalogue import DATASETS, dataset
from aecore.data.loading import (
    choose,
    chosen,
    describe,
    ensure,
    facts,
    is_present,
    load,
    n_validation,
    of_classes,
    places_of_classes,
    some,
    watch_split,
)
from aecore.data.pixels import normalise, to_image
from aecore.data.suiting import check, n_of_classes, suited

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Described",
    "Progress",
    "Roots",
    "Split",
    "check",
    "choose",
    "chosen",
    "dataset",
    "describe",
    "ensure",
    "facts",
    "is_present",
    "load",
    "n_of_classes",
    "n_validation",
    "normalise",
    "of_classes",
    "places_of_classes",
    "some",
    "suited",
    "to_image",
    "unfound",
    "watch_split",
]
