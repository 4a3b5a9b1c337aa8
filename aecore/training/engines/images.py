"""A step's images: from bytes, at their places among all training images, to numbers of the value range."""

from collections.abc import Callable

import torch
from torch import Tensor

from aecore.config import RunConfig
from aecore.data import normalise
from aecore.training.data import Data, augment
from aecore.training.engines import loops


class Images:
    """By PyTorch's kernels, on any device."""

    def __init__(self, data: Data, config: RunConfig):
        self.data, self.config = data, config

    def __call__(self, chosen: Tensor, noise: torch.Generator) -> Tensor:
        """The images `chosen` (B,), (B, C, H, W); those of the call before may be overwritten."""
        images = self.data.images(chosen)
        return normalise(augment(images, self.config.training, noise), self.data.facts.value_range)


class Gathered(Images):
    """In one pass, on the CPU, where they are not changed at random."""

    def __init__(self, data: Data, config: RunConfig):
        super().__init__(data, config)
        images = data.train_images
        self.plain = config.training.augmentation == "none" and images.is_contiguous() and images.dtype == torch.uint8
        self.room = torch.empty(0)
        self.fill: dict[int, Callable[[Tensor], None]] = {}
        """For each size of a batch, what fills the beginning of `room`."""

    def __call__(self, chosen: Tensor, noise: torch.Generator) -> Tensor:
        if not self.plain:
            return super().__call__(chosen, noise)
        n = len(chosen)
        if n > len(self.room):
            self.room, self.fill = torch.empty(n, *self.data.train_images.shape[1:]), {}
        if n not in self.fill:
            self.fill[n] = loops.gather(self.data.train_images, self.data.facts.value_range, self.room[:n])
        self.fill[n](chosen)
        return self.room[:n]
