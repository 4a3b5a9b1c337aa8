"""From a data config to arrays: find, read, cut the validation split, convert, choose."""

from typing import Literal

import numpy as np

from aecore.config import ConfigError, DataConfig, Facts, RunConfig, Shape, TrainingConfig, suggest
from aecore.data.base import DataError, Described, Progress, Roots, Split, unfound
from aecore.data.catalogue import dataset
from aecore.data.pixels import grey, resize, rgb

RANGES: dict[str, tuple[float, float]] = {"[0,1]": (0.0, 1.0), "[-1,1]": (-1.0, 1.0)}


def is_present(config: DataConfig, roots: Roots) -> bool:
    """Whether `load` needs no download. Raises ConfigError for an unknown data set."""
    found = dataset(config.name)
    if found.kind != "folder":
        return found.present(roots)
    try:
        describe(config, roots)
    except DataError:
        return False
    return True


def ensure(config: DataConfig, roots: Roots, progress: Progress | None = None) -> None:
    """Download what is missing into the last root; nothing happens where it is there.

    Raises:
        DataError: what failed, from where, and how to put the files there by hand. Nothing half is left behind.
    """
    found = dataset(config.name)
    if found.download is not None and not found.present(roots):
        try:
            found.download(roots[-1], progress)
        except DataError as error:
            raise DataError(" ".join([str(error), *unfound(roots)])) from None


def load(config: DataConfig, split: Literal["train", "val", "test"], roots: Roots) -> Split:
    """The images of a split as the config wants them: cut, coloured and resized. It downloads nothing.

    'val' is a share of the training images, chosen by `config.seed`, in a random order; 'train' is the rest in the
    order of the file.

    Raises:
        DataError: where the images are missing or cannot be read.
    """
    found = dataset(config.name)
    if not found.present(roots):
        missing = (
            f"The data set {found.name!r} is not in {' or '.join(map(str, roots))}: download it first "
            f"({found.megabytes:.0f} MB)."
        )
        raise DataError(" ".join([missing, *unfound(roots)]))
    if split == "test":
        return _convert(found.read(config, roots, "test"), config)
    whole = found.read(config, roots, "train")
    if config.validation == 0 and split == "train":
        return _convert(whole, config)
    return _convert(whole.take(cut(config, len(whole.labels), split)), config)


def watch_split(config: DataConfig) -> Literal["val", "test"]:
    """The split that is watched while training: 'test' where no validation split is cut."""
    return "val" if config.validation else "test"


def facts(config: DataConfig, roots: Roots) -> Facts:
    """What a model must know of these images; nothing is downloaded or drawn for it.

    Raises:
        ConfigError: for an unknown data set.
        DataError: for a folder that cannot be read.
    """
    known = describe(config, roots)
    n_train = known.n_train - n_validation(config, known.n_train)
    return Facts(_converted_shape(known.shape, config), RANGES[config.value_range], n_train, known.class_names)


def describe(config: DataConfig, roots: Roots) -> Described:
    """Native shape, images in both files and class names, whether they are there yet or not."""
    found = dataset(config.name)
    if found.describe is not None:
        return found.describe(config, roots)
    assert found.shape, "what does not describe itself declares its shape"
    assert found.class_names, "and its classes"
    return Described(found.shape, found.n_train, found.n_test, found.class_names)


def n_validation(config: DataConfig, n: int) -> int:
    """Images that the validation cut takes from `n` training images: at least one, and at least one is left."""
    group = dataset(config.name).group
    if config.validation == 0 or n < 2 * group:
        return 0
    return group * max(1, round(n // group * config.validation))


def choose(split: Split, training: TrainingConfig) -> Split:
    """The images that `training` asks for; labels and class names stay, so that a class keeps its colour: see `chosen`."""
    places = chosen(split, training)
    return split if len(places) == len(split.labels) else split.take(places)


def chosen(split: Split, training: TrainingConfig) -> np.ndarray:
    """(n,) int64: places in the split of the images that `training` asks for: of its classes, and at most `subset` of them, in the
    order of the file.

    Raises:
        ConfigError: for a class that is not there.
    """
    among = places_of_classes(split, training)
    if training.subset is None or training.subset >= len(among):
        return among
    if training.subset_order == "file":
        return among[: training.subset]
    random = np.random.default_rng(training.seed)
    return among[np.sort(random.permutation(len(among))[: training.subset])]


def of_classes(split: Split, training: TrainingConfig) -> Split:
    """The images of `training.classes` only; labels and class names stay. Raises ConfigError for a class that is not there."""
    return split.take(places_of_classes(split, training)) if training.classes else split


def places_of_classes(split: Split, training: TrainingConfig) -> np.ndarray:
    """(n,) int64: places in the split of the images of `training.classes`, of all where it names none.

    Raises:
        ConfigError: for a class that is not there.
    """
    for name in training.classes:
        if name not in split.class_names:
            raise ConfigError(
                {"training.classes": f"training.classes names {name!r}: {suggest(name, split.class_names)}"}
            )
    if not training.classes:
        return np.arange(len(split.labels))
    return np.flatnonzero(np.isin(split.labels, [split.class_names.index(name) for name in training.classes]))


def some(split: Split, name: Literal["train", "val", "test"], config: RunConfig) -> None:
    """Raises DataError where a split of a run has no image."""
    if len(split.labels):
        return
    classes, what = config.training.classes, {"train": "training", "val": "validation", "test": "test"}[name]
    if classes:
        named = f"of the class{'es' * (len(classes) > 1)} {', '.join(classes)}"
        raise DataError(
            f"There are no {what} images {named}: choose other classes, or more images.", "training.classes"
        )
    raise DataError(f"There are no {what} images: this data set has too few of each class.")


def cut(config: DataConfig, n: int, split: Literal["train", "val"]) -> np.ndarray:
    """Indices of a split into the training file of `n` images. Images that share pixels (a group) stay together."""
    random = np.random.default_rng(config.seed)
    group = dataset(config.name).group
    taken = random.permutation(n // group)[: n_validation(config, n) // group]
    indices = (taken[:, None] * group + np.arange(group)).ravel()
    if split == "val":
        return random.permutation(indices)
    return np.delete(np.arange(n), indices)


def _convert(split: Split, config: DataConfig) -> Split:
    images = split.images
    if dataset(config.name).sequence:
        return split
    if config.colour == "grey":
        images = grey(images)
    if config.size is not None:
        images = resize(images, config.size)
    if config.colour == "rgb":
        images = rgb(images)
    return split._replace(images=np.ascontiguousarray(images))


def _converted_shape(shape: Shape, config: DataConfig) -> Shape:
    channels, height, width = shape
    if dataset(config.name).sequence:
        return shape
    if config.size is not None:
        height = width = config.size
    return {"own": channels, "grey": 1, "rgb": 3}[config.colour], height, width
