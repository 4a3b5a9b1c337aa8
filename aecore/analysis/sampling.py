"""What is shown of a run while it trains: a fixed, held-out subset, and what the model makes of it now."""

from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aecore.analysis.passes import pictures
from aecore.analysis.seen import seen_on, wanted_on
from aecore.analysis.watched import Inputs, notable
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
    notable: np.ndarray
    """(k <= 128,) int64: places of the best, typical and worst of them now."""
    notable_x_hat: np.ndarray
    """(k, C, H, W) uint8: what the model makes of those."""


class Sampler:
    """Takes samples of a model between two steps of its training, which does not feel it.

    The model sees the images as the run's task leaves them, with the same noise each time.
    """

    def __init__(self, data: Data, model: Autoencoder, config: RunConfig):
        self.facts, self.labels = data.facts, data.watch_labels
        self.images = wanted_on(config, data.watch_images, self.facts)
        self.seen = seen_on(config, data.watch_images, self.facts)
        labels, indices = data.watch_labels.cpu().numpy(), data.watch_indices
        self.points = min(POINTS, max(1, LARGEST_CODES // prod(model.code_shape)))
        self.shown = _one_class_after_another(labels)[:PICTURES]
        self.known = labels
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
            config.task.target,
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
            measured = torch.cat(errors).cpu().numpy()
            places = notable(measured, self.known)
            chosen = torch.from_numpy(places).to(self.images.device)
            x_hat = self._pictures(model, self.seen_shown, self.labels_shown)
            of_notable = self._pictures(model, self.seen[chosen], self.labels[chosen])
        return Sample(x_hat, torch.cat(codes).cpu().numpy(), measured, places, of_notable)

    def _pictures(self, model: Autoencoder, seen: Tensor, labels: Tensor) -> np.ndarray:
        """Images as the encoder sees them (n, C, H, W) uint8 -> their reconstructions."""
        size, span = model.evaluation_batch, self.facts.value_range
        parts = zip(seen.split(size), labels.split(size), strict=True)
        return np.concatenate(
            [pictures(model.decode(model.encode(normalise(x, span)), label), self.facts) for x, label in parts]
        )


def _one_class_after_another(labels: np.ndarray) -> np.ndarray:
    """Indices in an order that shows a class after another, so that the first few pictures are different things."""
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        turns[of_label] = np.arange(len(of_label))
    return np.lexsort((labels, turns))
