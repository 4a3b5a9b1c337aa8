"""Codes from a finite set: which of it is used how often, and what each of it draws."""

from typing import NamedTuple

import numpy as np
import torch

from aecore.analysis.passes import pictures
from aecore.config import Facts
from aecore.models import Autoencoder
from aecore.models.quantised import EnterQuantised


class Use(NamedTuple):
    """Of a finite set, how codes use it."""

    counts: np.ndarray
    """(size of the set,) int64: how often each vector is taken, in all places."""
    places: np.ndarray
    """(*places,) int64: how many different ones are taken in each place."""

    @property
    def used(self) -> int:
        return int((self.counts > 0).sum())

    @property
    def perplexity(self) -> float:
        """exp of the entropy: how many would be in use if all of these were used as often."""
        shares = self.counts[self.counts > 0] / max(1, self.counts.sum())
        return float(np.exp(-(shares * np.log(shares)).sum()))


def use(model: Autoencoder, codes: np.ndarray) -> Use:
    """How codes (N, numbers of one code) use the set of a quantised model.

    Raises:
        ValueError: where the model's codes are from no finite set.
    """
    enter = _enter(model)
    shape = model.code_shape
    z = torch.from_numpy(np.array(codes, np.float32)).reshape(-1, *shape).movedim(1, -1)
    with model.evaluating():
        taken = np.concatenate(
            [enter.taken(part.reshape(-1, shape[0]).to(model.device)).cpu().numpy() for part in z.split(256)]
        )
    by_place = taken.reshape(len(z), -1)
    different = np.array([len(np.unique(column)) for column in by_place.T], np.int64)
    return Use(np.bincount(taken, minlength=enter.codes), different.reshape(shape[1:]))


def drawn(model: Autoencoder, facts: Facts, numbers: np.ndarray) -> np.ndarray:
    """(n, C, H, W) uint8: what the decoder draws where every place has the vector of this number (n,)."""
    enter, shape = _enter(model), model.code_shape
    with model.evaluating():
        vectors = enter.vectors_of(torch.from_numpy(numbers).to(model.device))
        z = vectors.reshape(len(numbers), shape[0], *[1] * len(shape[1:])).expand(-1, *shape)
        labels = torch.zeros(len(numbers), dtype=torch.int64, device=model.device) if model.labels else None
        return pictures(model.decode(z.contiguous(), labels), facts)


def _enter(model: Autoencoder) -> EnterQuantised:
    if not isinstance(model.encoder.bottleneck, EnterQuantised):
        raise ValueError("The codes of this model are from no finite set: it has no code book.")
    return model.encoder.bottleneck
