"""The images of a run, resident on its device as uint8, and the batches that are made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aecore.config import Facts, RunConfig, TrainingConfig
from aecore.data import choose, facts, load, of_classes, some, watch_split
from aecore.data.base import Split
from aecore.training import streamed
from aecore.training.augmentation import AUGMENTATIONS
from aecore.training.seeds import seeded

FEWEST_WATCHED, WATCHED = 1000, 20
"""Held-out images that are watched: so many at least, else one for so many training images, which costs less than 5 % of an epoch."""


@dataclass
class Data:
    """What a run trains on and watches; tensors on its device."""

    train_images: Tensor
    """(N, C, H, W) uint8: the training images, after subset and classes."""
    train_labels: Tensor
    """(N,) int64."""
    watch_images: Tensor
    """(M, C, H, W) uint8: the held-out images that are evaluated after each epoch."""
    watch_labels: Tensor
    """(M,) int64."""
    watch_indices: np.ndarray
    """(M,) int64: place of each watched image in its split."""
    watch_split: str
    """'val' or 'test'."""
    facts: Facts
    streamed: bool = False
    """Whether the training images are read from the host's memory, batch by batch."""

    def images(self, chosen: Tensor) -> Tensor:
        """(B, C, H, W) uint8: the training images at places `chosen` (B,)."""
        return self.train_images.index_select(0, chosen)  # ten times as fast as [chosen], which copies byte by byte

    def labels(self, chosen: Tensor) -> Tensor:
        """(B,) int64: their labels."""
        return self.train_labels.index_select(0, chosen)

    def watching(self, most: int) -> "Data":
        """The same with at most so many watched images."""
        names = ("watch_images", "watch_labels", "watch_indices")
        return replace(self, **{name: getattr(self, name)[:most] for name in names})


def prepare(config: RunConfig, roots: Sequence[Path], device: torch.device) -> Data:
    """Load a run's images and move them to its device, or let training images that it has no room for be read from there.
    Nothing is downloaded.

    Raises:
        DataError: where images are missing or cannot be read, or none are left to train on or to watch.
        ConfigError: for a class that is not there, or a last batch that is too small.
    """
    known = facts(config.data, roots)
    train = choose(load(config.data, "train", roots), config.training)
    some(train, "train", config)
    config.divides(len(train.labels))
    watched, indices = _watched(config, roots, len(train.labels))
    some(watched, watch_split(config.data), config)
    stays = streamed.too_large(train.images.nbytes, device)
    return Data(
        streamed.on_host(train.images, device) if stays else _tensor(train.images, device),
        _tensor(train.labels, device),
        _tensor(watched.images, device),
        _tensor(watched.labels, device),
        indices,
        watch_split(config.data),
        known,
        stays,
    )


def most_watched(n_train: int) -> int:
    """Images that are watched at most, beside `n_train` training images."""
    return max(FEWEST_WATCHED, n_train // WATCHED)


def _watched(config: RunConfig, roots: Sequence[Path], n_train: int) -> tuple[Split, np.ndarray]:
    """Images of the watched split, one for twenty training images (or 1,000), so that watching costs little.

    Chosen by the data's seed, so that runs on the same data watch the same images.
    """
    split = load(config.data, watch_split(config.data), roots)
    kept = of_classes(split._replace(factors={"index": np.arange(len(split.labels))}), config.training)
    n = min(len(kept.labels), most_watched(n_train))
    order = torch.randperm(len(kept.labels), generator=seeded(config.data.seed, "watch"))[:n]
    chosen = kept.take(np.sort(order.numpy()))
    return chosen, chosen.factors["index"]


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def order(data: Data, training: TrainingConfig, epoch: int, start: int) -> Iterator[Tensor]:
    """Places (B,) int64 of an epoch's training images from its batch number `start` on; the last batch may be smaller."""
    n, size = len(data.train_images), training.batch_size
    shuffled = torch.randperm(n, generator=seeded(training.seed, "order", epoch))
    whole = (shuffled if training.shuffle else torch.arange(n)).to(data.train_images.device)
    return iter(whole[start * size :].split(size)) if start * size < n else iter(())


def augment(images: Tensor, training: TrainingConfig, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) changed at random as `training.augmentation` says."""
    return AUGMENTATIONS[training.augmentation](images, generator)
