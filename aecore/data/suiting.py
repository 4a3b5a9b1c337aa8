"""Whether a whole configuration goes with its images: asked before anything is queued, by pages and command line alike."""

from collections.abc import Callable

import numpy as np

from aecore.config import ConfigError, DataConfig, Facts, RunConfig, suggest
from aecore.data.base import Roots
from aecore.data.catalogue import dataset
from aecore.data.loading import cut, facts, is_present


def suited(config: RunConfig, roots: Roots) -> Facts:
    """Facts of the images of a config that goes with them. Nothing is downloaded.

    Raises:
        ConfigError: where the layers, the task, the labels, the classes or the batches do not go with the images.
        DataError: for a folder that cannot be read.
    """
    known = facts(config.data, roots)
    check(config, known, lambda: n_of_classes(config.data, config.training.classes, roots))
    return known


def check(config: RunConfig, known: Facts, count: Callable[[], int | None]) -> None:
    """Raises ConfigError where a config does not go with images of these facts.

    Args:
        count: how many training images are of `training.classes`, None where nobody can know yet; asked only where it matters.
    """
    config.suits(known)
    classes = config.training.classes
    for name in classes:
        if name not in known.class_names:
            sentence = f"training.classes names {name!r}: {suggest(name, known.class_names)}"
            raise ConfigError({"training.classes": sentence})
    if classes and config.model.batch_norm and (images := count()) is not None:
        config.divides(images)


def n_of_classes(config: DataConfig, classes: tuple[str, ...], roots: Roots) -> int | None:
    """Training images of some classes, without the validation split; None where the images are not there yet."""
    if not is_present(config, roots):
        return None
    found = dataset(config.name)
    if found.labels is not None:
        labels, names = found.labels(config, roots)
    else:
        whole = found.read(config, roots, "train")
        labels, names = whole.labels, whole.class_names
    if config.validation:
        labels = labels[cut(config, len(labels), "train")]
    return int(np.isin(labels, [names.index(name) for name in classes]).sum())
