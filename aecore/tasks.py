"""What is done to the input while the target stays clean, and to the target where a task says so; on the device, batch by batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from aecore.config.tasks import (
    AnyTask,
    ColouriseTask,
    DeblurTask,
    DenoiseTask,
    DownSampleTask,
    GreyTask,
    InpaintTask,
    MaskedPatchesTask,
    MaskingTask,
    SaltAndPepperTask,
    SuperResolveTask,
    Task,
)

ValueRange = tuple[float, float]
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey: ITU-R BT.601."""


class Seen(NamedTuple):
    """What the encoder sees."""

    x: Tensor
    """(B, C, H, W), in model space."""
    mask: Tensor | None = None
    """(B, 1, H, W) bool: the pixels that were taken away, in all channels. None for tasks that change all pixels or none."""


def identity(config: Task, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    return Seen(x)


def denoise(config: DenoiseTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    low, high = value_range
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    sigma = level(config.sigma, config.sigma_to, x, generator)
    return Seen((x + sigma * (high - low) * noise).clamp(low, high))


def salt_and_pepper(config: SaltAndPepperTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    low, high = value_range
    chance = even(pixels(x), x, generator)
    share = level(config.share, config.share_to, x, generator)
    return Seen(x.where(chance >= share / 2, high).where((chance < share / 2) | (chance >= share), low), chance < share)


def masking(config: MaskingTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    mask = even(pixels(x), x, generator) < level(config.share, config.share_to, x, generator)
    return Seen(x.masked_fill(mask, value_range[0]), mask)


def inpaint(config: InpaintTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    mask = HOLES[config.hole](config.share, x, generator)
    return Seen(x.masked_fill(mask, sum(value_range) / 2), mask)


def colourise(config: ColouriseTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    return Seen(in_grey(config, x, value_range))


def super_resolve(config: SuperResolveTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    return Seen(made_small(config, x, value_range))


def deblur(config: DeblurTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    rows, columns = (gaussian_filter(side, config.sigma, x) for side in x.shape[2:])
    return Seen((rows @ x @ columns.T).clamp(*value_range))


def masked_patches(config: MaskedPatchesTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    """As many patches as round(share times their number); at the right and lower edge a patch may be cut off."""
    (n, _, height, width), side = x.shape, config.patch
    down, across = -(-height // side), -(-width // side)
    order = even((n, down * across), x, generator).argsort(dim=1).argsort(dim=1)  # each patch's place in a random order
    hidden = (order < round(config.share * down * across)).view(n, 1, down, across)
    mask = hidden.repeat_interleave(side, 2).repeat_interleave(side, 3)[:, :, :height, :width]
    return Seen(x.masked_fill(mask, sum(value_range) / 2), mask)


def in_grey(config: ColouriseTask | GreyTask, x: Tensor, value_range: ValueRange) -> Tensor:
    """(B, 3, H, W) -> the same, with the luma of each pixel on all channels."""
    grey = sum((weight * x[:, i : i + 1] for i, weight in enumerate(LUMA)), torch.zeros_like(x[:, :1]))
    return grey.clamp(*value_range).expand_as(x)


def made_small(config: SuperResolveTask | DownSampleTask, x: Tensor, value_range: ValueRange) -> Tensor:
    """(B, C, H, W) made small by the mean of the pixels, and as large again."""
    small = functional.avg_pool2d(x, config.factor)
    large = functional.interpolate(small, scale_factor=config.factor, mode=config.enlarge)
    return large.clamp(*value_range)


def box(share: float, x: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, H, W) bool: a box of this share of the area, in the shape of the image, anywhere inside it."""
    (n, _, height, width), part = x.shape, share**0.5
    sides = [max(1, round(part * side)) for side in (height, width)]
    drawn = even((2, n, 1, 1, 1), x, generator)
    inside = []
    for axis, (whole, side) in enumerate(zip((height, width), sides, strict=True)):
        begin = (drawn[axis] * (whole - side + 1)).floor()
        at = torch.arange(whole, device=x.device).view((-1, 1) if axis == 0 else (1, -1))
        inside.append((at >= begin) & (at < begin + side))
    return inside[0] & inside[1]


def half(share: float, x: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, H, W) bool: the upper, lower, left or right half, each as often; of an odd side, the smaller half."""
    n, _, height, width = x.shape
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    whole = torch.ones(height, width, dtype=torch.bool, device=x.device)
    upper, lower = rows < height // 2, rows >= height - height // 2
    left, right = columns < width // 2, columns >= width - width // 2
    halves = torch.stack([whole & upper[:, None], whole & lower[:, None], whole & left, whole & right])
    return halves[torch.randint(4, (n,), generator=generator, device=x.device)][:, None]


def single_pixels(share: float, x: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, H, W) bool: each pixel with this chance."""
    return even(pixels(x), x, generator) < share


HOLES: dict[str, Callable[[float, Tensor, torch.Generator], Tensor]] = {
    "box": box,
    "half": half,
    "pixels": single_pixels,
}
"""hole -> function(share, x, generator) -> where it is."""

TASKS: dict[str, Callable[[Any, Tensor, ValueRange, torch.Generator], Seen]] = {
    "identity": identity,
    "denoise": denoise,
    "salt_and_pepper": salt_and_pepper,
    "masking": masking,
    "inpaint": inpaint,
    "colourise": colourise,
    "grey": identity,
    "super_resolve": super_resolve,
    "down_sample": identity,
    "deblur": deblur,
    "masked_patches": masked_patches,
}
"""kind -> function(config, x, value range, generator) -> what the encoder sees."""

TARGETS: dict[str, Callable[[Any, Tensor, ValueRange], Tensor]] = {"grey": in_grey, "down_sample": made_small}
"""kind -> function(config, x, value range) -> what the decoder should give, where that is not the clean image: `Task.target`
says in words what."""


def corrupt(config: AnyTask, x: Tensor, value_range: ValueRange, generator: torch.Generator) -> Seen:
    """What the encoder sees of clean images x (B, C, H, W), in model space and its value range; random numbers are drawn from
    `generator`, on x's device."""
    return TASKS[config.kind](config, x, value_range, generator)


def wanted(config: AnyTask, x: Tensor, value_range: ValueRange) -> Tensor:
    """What the decoder should give for clean images x (B, C, H, W), of the same shape: themselves, unless the task says else."""
    return TARGETS[config.kind](config, x, value_range) if config.kind in TARGETS else x


def even(size: tuple[int, ...], x: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers of this size, even in [0, 1), on x's device."""
    return torch.rand(size, generator=generator, device=x.device, dtype=x.dtype)


def level(low: float, high: float | None, x: Tensor, generator: torch.Generator) -> Tensor | float:
    """The level of each image of x, (B, 1, 1, 1), even between the two; `low` for all of them where there is no `high`."""
    return low if high is None else low + (high - low) * even((len(x), 1, 1, 1), x, generator)


def pixels(x: Tensor) -> tuple[int, int, int, int]:
    """The size of one number for each pixel of x (B, C, H, W), whatever its channels."""
    return len(x), 1, x.shape[2], x.shape[3]


def gaussian_filter(side: int, sigma: float, like: Tensor) -> Tensor:
    """(side, side): row i holds the weights of all pixels in pixel i of the blurred image; each row sums to 1, at the edges too."""
    at = torch.arange(side, device=like.device, dtype=torch.float64)
    return torch.softmax(-0.5 * ((at[:, None] - at) / sigma).square(), dim=1).to(like.dtype)
