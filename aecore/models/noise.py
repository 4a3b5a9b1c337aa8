"""Random numbers for a batch that several processes share: together they draw what one process alone would draw."""

import torch
from torch import Tensor


class Noise(torch.Generator):
    """A generator whose draws for a batch are this process's part of the whole batch's."""

    part: slice | None = None
    """This process's images of the batch; None where it has all of them."""
    whole: int = 0
    """Images of the whole batch."""


def normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of the shape of `like` (B, ...)."""
    part = getattr(generator, "part", None)
    size = like.shape if part is None else (generator.whole, *like.shape[1:])  # type: ignore[union-attr]
    drawn = torch.randn(size, generator=generator, device=like.device, dtype=like.dtype)
    return drawn if part is None else drawn[part]


def even(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Numbers even in [0, 1) of the shape of `like`; for one process alone."""
    return torch.rand(like.shape, generator=generator, device=like.device)
