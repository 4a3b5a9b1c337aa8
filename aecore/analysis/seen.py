"""What the encoder saw of clean images, and what the decoder should give, as pictures: the same noise again whenever it is asked
for, apart from the training's."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from aecore import tasks
from aecore.config import Facts, RunConfig
from aecore.data import normalise, to_image
from aecore.training.seeds import seeded

BATCH = 1024
# pages share their images, and nothing here writes
warnings.filterwarnings("ignore", "The given NumPy array is not writable")


def seen(config: RunConfig, images: np.ndarray, facts: Facts) -> np.ndarray:
    """Images (N, C, H, W) uint8 after the run's task, as uint8 of the same shape; themselves where it changes nothing.

    Drawn on the CPU in batches of 1,024 from `training.seed`: the same images in the same order always get the same noise.
    """
    return _changed(seen_on, config, images, facts)


def seen_on(config: RunConfig, images: Tensor, facts: Facts) -> Tensor:
    """The same of a tensor, on its device, which has random numbers of its own."""
    if tasks.TASKS[config.task.kind] is tasks.identity or not len(images):
        return images
    noise = seeded(config.training.seed, "watch", device=images.device)
    parts = (normalise(part, facts.value_range) for part in images.split(BATCH))
    return torch.cat(
        [to_image(tasks.corrupt(config.task, x, facts.value_range, noise).x, facts.value_range) for x in parts]
    )


def wanted(config: RunConfig, images: np.ndarray, facts: Facts) -> np.ndarray:
    """What the decoder should give for images (N, C, H, W) uint8, of the same shape: themselves, unless the run's task says else."""
    return _changed(wanted_on, config, images, facts)


def wanted_on(config: RunConfig, images: Tensor, facts: Facts) -> Tensor:
    """The same of a tensor, on its device."""
    if not config.task.target or not len(images):
        return images
    parts = (normalise(part, facts.value_range) for part in images.split(BATCH))
    return torch.cat([to_image(tasks.wanted(config.task, x, facts.value_range), facts.value_range) for x in parts])


def _changed(
    change: Callable[[RunConfig, Tensor, Facts], Tensor], config: RunConfig, images: np.ndarray, facts: Facts
) -> np.ndarray:
    """A change of tensors, of arrays: the same array where nothing changes."""
    before = torch.from_numpy(images)
    after = change(config, before, facts)
    return images if after is before else after.numpy()
