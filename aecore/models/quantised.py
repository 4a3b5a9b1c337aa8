"""Codes from a finite set: a learnt code book, or rounded numbers. The gradient passes as if nothing had been quantised."""

from math import prod

import torch
from torch import Tensor, nn

from aecore.config.bottlenecks import FsqBottleneck, Quantised, VqBottleneck
from aecore.models.bottlenecks import Bottleneck, Code, Ends, Enter, leave

SMOOTHING = 1e-5
AT_ONCE = 8192
"""Vectors whose distances to the whole code book are in memory at a time: an evaluation has fifty thousand of them."""


class CodeBook(nn.Module):
    """Vectors (codes, width) that follow what is assigned to them: a moving average. van den Oord et al. 2017, appendix A.1.

    All state is in buffers, so that a checkpoint keeps it.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, config: VqBottleneck):
        super().__init__()
        self.decay, self.restart = config.decay, config.restart
        vectors = torch.empty(config.codes, config.dimension).uniform_(-1 / config.codes, 1 / config.codes)
        self.register_buffer("vectors", vectors)
        self.register_buffer("counts", torch.zeros(config.codes))  # moving average of how often each vector is taken
        self.register_buffer("sums", torch.zeros(vectors.shape))  # and of the sum of what takes it

    def nearest(self, x: Tensor) -> Tensor:
        """(N,) int64: place of the vector next to each of x (N, width)."""
        lengths = self.vectors.square().sum(1)
        distances = lambda part: lengths - 2 * part @ self.vectors.T  # but for |x|^2, which is the same for all
        return torch.cat([distances(part).argmin(1) for part in x.split(AT_ONCE)])

    @torch.no_grad()
    def follow(self, x: Tensor, taken: Tensor, generator: torch.Generator | None) -> None:
        """Move by one batch x (N, width) and what each took (N,). Products with zeros and ones, for adding up by index has no
        fixed order on a GPU."""
        chosen = (taken[:, None] == torch.arange(len(self.vectors), device=x.device)).to(x.dtype)  # (N, codes)
        self.counts.mul_(self.decay).add_(chosen.sum(0), alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(chosen.T @ x, alpha=1 - self.decay)
        if self.restart:
            self._restart(x, generator)
        total = self.counts.sum()
        smooth = (self.counts + SMOOTHING) / (total + len(self.counts) * SMOOTHING) * total
        self.vectors.copy_(self.sums / smooth[:, None])

    def _restart(self, x: Tensor, generator: torch.Generator | None) -> None:
        """Dead vectors go to random ones of x, and count as if used as often as the average: so they have time. At the first
        step all but a few are dead, so that the code book begins where the data is."""
        even = self.counts.mean()
        dead = self.counts < self.restart * even
        places = torch.randint(len(x), (len(self.counts),), generator=generator, device=x.device)
        self.counts.copy_(torch.where(dead, even, self.counts))
        self.sums.copy_(torch.where(dead[:, None], even * x[places], self.sums))


class EnterQuantised(Enter):
    """(B, *feature_shape) -> (B, width, *places): one layer to the vectors, and the nearest that the finite set has."""

    codes: int

    def __init__(self, features: tuple[int, ...], config: Quantised):
        super().__init__()
        self.project = (
            nn.Conv2d(features[0], config.width, 1)
            if len(features) == 3
            else nn.Sequential(
                nn.Flatten(),
                nn.Linear(prod(features), config.width * config.vectors),
                nn.Unflatten(1, (config.width, config.vectors)),
            )
        )

    def vectors(self, features: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """(B * places, width), and the shape (B, *places) of what they were; in 32 bits also under autocast."""
        z = self.project(features).float()
        return z.movedim(1, -1).flatten(0, -2), (len(z), *z.shape[2:])

    def forward(self, features: Tensor) -> Tensor:
        x, shape = self.vectors(features)
        return self._laid_out(x if x.is_meta else self.quantise(x)[0], shape)

    def code(self, features: Tensor, generator: torch.Generator | None) -> Code:
        x, shape = self.vectors(features)
        if x.is_meta:  # a shape is all that is asked for, and PyTorch would import torch._dynamo for what follows
            return Code(self._laid_out(x, shape))
        z, taken = self.quantise(x)
        usage = _counted(taken, self.codes)
        return Code(self._laid_out(z, shape), commitment=self.settle(x, taken, shape[0], generator), usage=usage)

    def settle(self, x: Tensor, taken: Tensor, n: int, generator: torch.Generator | None) -> Tensor | None:
        """What n images pay for what they took, (n,); the set may follow them, in training."""
        return None

    def quantise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, width) as vectors of the set, with the gradient straight through, and the number (N,) of each."""
        raise NotImplementedError

    def taken(self, z: Tensor) -> Tensor:
        """(N,) int64: the numbers of vectors of the set, which z (N, width) are."""
        raise NotImplementedError

    def vectors_of(self, numbers: Tensor) -> Tensor:
        """(N, width): the vectors of these numbers (N,)."""
        raise NotImplementedError

    @staticmethod
    def _laid_out(x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return x.view(*shape, -1).movedim(-1, 1).contiguous()


class EnterVq(EnterQuantised):
    """The nearest vectors of a code book."""

    def __init__(self, features: tuple[int, ...], config: VqBottleneck):
        super().__init__(features, config)
        self.codes, self.commitment = config.codes, config.commitment
        self.book = CodeBook(config)
        self.scratch = 2 * prod(config.code_shape(features)[1:]) * config.codes  # distances from all vectors

    def quantise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        taken = self.book.nearest(x)
        return x + (self.book.vectors[taken] - x).detach(), taken

    def taken(self, z: Tensor) -> Tensor:
        return self.book.nearest(z)

    def vectors_of(self, numbers: Tensor) -> Tensor:
        return self.book.vectors[numbers]

    def settle(self, x: Tensor, taken: Tensor, n: int, generator: torch.Generator | None) -> Tensor | None:
        """Commitment: the weight times the mean of (x - sg[e])^2, of each image. van den Oord et al. 2017, equation 3."""
        commitment = self.commitment * (x - self.book.vectors[taken]).square().reshape(n, -1).mean(1)
        if self.training:
            self.book.follow(x.detach(), taken, generator)
        return commitment


class EnterFsq(EnterQuantised):
    """Each number squashed into its levels and rounded. Mentzer et al. 2024, section 3 and appendix A.1."""

    levels: Tensor

    def __init__(self, features: tuple[int, ...], config: FsqBottleneck):
        super().__init__(features, config)
        self.codes = prod(config.levels)
        self.register_buffer("levels", torch.tensor(config.levels), persistent=False)

    def quantise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers from -1 to 1: with an even number of levels the outermost one above is missing."""
        half = (self.levels - 1) * 1.001 / 2
        offset = (1 - self.levels % 2) / 2  # an even number of levels has none in the middle
        bounded = torch.tanh(x + torch.atanh(offset / half)) * half - offset
        rounded = bounded + (bounded.round() - bounded).detach()
        return rounded / (self.levels // 2), self._numbers(rounded.detach())

    def taken(self, z: Tensor) -> Tensor:
        return self._numbers((z * (self.levels // 2)).round())

    def vectors_of(self, numbers: Tensor) -> Tensor:
        digits = numbers[:, None] // (self.levels.cumprod(0) // self.levels) % self.levels
        return (digits - self.levels // 2) / (self.levels // 2)

    def _numbers(self, rounded: Tensor) -> Tensor:
        digits = rounded.long() + self.levels // 2
        return (digits * (self.levels.cumprod(0) // self.levels)).sum(1)


def _counted(taken: Tensor, codes: int) -> Tensor:
    """(codes,) int64: how often each number below `codes` occurs."""
    zeros = torch.zeros(codes, dtype=torch.int64, device=taken.device)
    return zeros.scatter_add(0, taken, torch.ones_like(taken))  # whole numbers: the order does not matter


def use_of_codes(usage: Tensor) -> dict[str, float]:
    """{'perplexity': exp of the entropy of the codes, 'code_use': share of codes that were taken}, from counts (codes,)."""
    shares = usage.double().cpu() / usage.sum().clamp(min=1).cpu()
    entropy = -torch.special.xlogy(shares, shares).sum()
    return {"perplexity": entropy.exp().item(), "code_use": (usage > 0).double().mean().item()}


def vq(config: VqBottleneck, ends: Ends) -> Bottleneck:
    return Bottleneck(EnterVq(ends.encoder, config), leave(config.code_shape(ends.encoder), ends))


def fsq(config: FsqBottleneck, ends: Ends) -> Bottleneck:
    return Bottleneck(EnterFsq(ends.encoder, config), leave(config.code_shape(ends.encoder), ends))
