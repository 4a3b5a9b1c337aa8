"""What the encoder saw of clean images, as pictures: the same noise again whenever it is asked for, apart from the training's."""

import numpy as np
import torch
from torch import Tensor

from aecore.config import Facts, RunConfig
from aecore.data import normalise, to_image
from aecore.tasks import corrupt
from aecore.training.seeds import seeded

BATCH = 1024


def seen(config: RunConfig, images: np.ndarray, facts: Facts) -> np.ndarray:
    """Images (N, C, H, W) uint8 after the run's task, as uint8 of the same shape; themselves where it changes nothing.

    Drawn on the CPU in batches of 1,024 from `training.seed`: the same images in the same order always get the same noise.
    """
    return images if config.task.kind == "identity" else seen_on(config, torch.from_numpy(images), facts).numpy()


def seen_on(config: RunConfig, images: Tensor, facts: Facts) -> Tensor:
    """The same of a tensor, on its device, which has random numbers of its own."""
    if config.task.kind == "identity" or not len(images):
        return images
    noise = seeded(config.training.seed, "watch", device=images.device)
    parts = (normalise(part, facts.value_range) for part in images.split(BATCH))
    return torch.cat([to_image(corrupt(config.task, x, facts.value_range, noise).x, facts.value_range) for x in parts])
