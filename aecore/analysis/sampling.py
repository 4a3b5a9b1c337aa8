"""What is shown of a run while it trains: a fixed, held-out subset, and what the model makes of it now."""

from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aecore.analysis.passes import pictures
from aecore.analysis.seen import seen_on
from aecore.analysis.watched import Inputs
from aecore.config import RunConfig
from aecore.data import normalise
from aecore.models import Autoencoder
from aecore.training import Data

PICTURES, POINTS = 64, 2000
LARGEST_CODES = 1 << 20
"""Numbers in the codes of one sample, so that a sample of a feature map stays small on the disk."""


class Sample(NamedTuple):
    """What the model makes of it at one moment."""

    x_hat: np.ndarray
    """(n <= 64, C, H, W) uint8."""
    codes: np.ndarray
    """(m <= 2000, D) float32."""
    errors: np.ndarray
    """(M,) float32: mean squared error per pixel, in [0,1] units, clipped, of every watched image."""


class Sampler:
    """Takes samples of a model between two steps of its training, which does not feel it.

    The model sees the images as the run's task leaves them, with the same noise each time.
    """

    def __init__(self, data: Data, model: Autoencoder, config: RunConfig):
        self.images, self.facts = data.watch_images, data.facts
        self.labels = data.watch_labels
        self.seen = seen_on(config, self.images, self.facts)
        labels, indices = data.watch_labels.cpu().numpy(), data.watch_indices
        self.points = min(POINTS, max(1, LARGEST_CODES // prod(model.code_shape)))
        self.shown = _one_class_after_another(labels)[:PICTURES]
        shown = torch.from_numpy(self.shown).to(self.images.device)
        self.seen_shown, self.labels_shown = self.seen[shown], self.labels[shown]
        self.inputs = Inputs(
            self.images[shown].cpu().numpy(),
            labels[self.shown],
            indices[self.shown],
            labels[: self.points],
            indices[: self.points],
            data.watch_split,
            None if self.seen is self.images else self.seen_shown.cpu().numpy(),
            labels,
            indices,
        )

    def take(self, model: Autoencoder) -> Sample:
        """Reconstructions, codes and errors now. The random numbers of the training are not touched."""
        low, high = self.facts.value_range
        codes: list[Tensor] = []
        errors: list[Tensor] = []
        with model.evaluating():
            size = model.evaluation_batch
            parts = (self.images.split(size), self.seen.split(size), self.labels.split(size))
            for images, seen, label in zip(*parts, strict=True):
                target = normalise(images, self.facts.value_range)  # (B, C, H, W)
                z = model.encode(normalise(seen, self.facts.value_range))
                missing = self.points - sum(map(len, codes))
                if missing > 0:
                    codes.append(z[:missing].flatten(1).float())
                difference = (model.decode(z, label).clamp(low, high) - target) / (high - low)
                errors.append(difference.square().mean(dim=(1, 2, 3)))
            x = normalise(self.seen_shown, self.facts.value_range)
            x_hat = pictures(model.decode(model.encode(x), self.labels_shown), self.facts)
        return Sample(x_hat, torch.cat(codes).cpu().numpy(), torch.cat(errors).cpu().numpy())


def _one_class_after_another(labels: np.ndarray) -> np.ndarray:
    """Indices in an order that shows a class after another, so that the first few pictures are different things."""
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        turns[of_label] = np.arange(len(of_label))
    return np.lexsort((labels, turns))
