"""Random numbers for a batch that several processes share: together they draw what one process alone would draw."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Noise(torch.Generator):
    """A generator whose draws for a batch are this process's part of the whole batch's."""

    part: slice | None = None
    """This process's images of the batch; None where it has all of them."""
    whole: int = 0
    """Images of the whole batch."""


def normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of the shape of `like` (B, ...)."""
    return _drawn(torch.randn, like, generator)


def _drawn(draw: Callable[..., Tensor], like: Tensor, generator: torch.Generator | None) -> Tensor:
    part = getattr(generator, "part", None)
    size = like.shape if part is None else (generator.whole, *like.shape[1:])  # type: ignore[union-attr]
    drawn = draw(size, generator=generator, device=like.device, dtype=like.dtype)
    return drawn if part is None else drawn[part]


def even(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Numbers even in [0, 1) of the shape of `like`; for one process alone."""
    return torch.rand(like.shape, generator=generator, device=like.device)


class Dropout(nn.Module):
    """Sets a share of the numbers to 0 in training, and enlarges the others. Srivastava et al. 2014.

    Unlike nn.Dropout it draws from the run's own generator, so that a run that is resumed draws the same.
    """

    generator: torch.Generator | None = None
    """What it draws from; set by the model in each step."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.is_meta:
            return x
        kept = _drawn(torch.rand, x, self.generator) >= self.share
        return x * kept * (1 / (1 - self.share))
