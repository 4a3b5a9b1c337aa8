"""What is done to the input while the target stays clean; on the device, batch by batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from aecore.config.tasks import DenoiseTask, IdentityTask


def identity(config: IdentityTask, x: Tensor, value_range: tuple[float, float], generator: torch.Generator) -> Tensor:
    return x


def denoise(config: DenoiseTask, x: Tensor, value_range: tuple[float, float], generator: torch.Generator) -> Tensor:
    low, high = value_range
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return (x + config.sigma * (high - low) * noise).clamp(low, high)


TASKS: dict[str, Callable[[Any, Tensor, tuple[float, float], torch.Generator], Tensor]] = {
    "identity": identity,
    "denoise": denoise,
}
"""kind -> function(config, x, value range, generator) -> what the encoder sees."""


def corrupt(
    config: IdentityTask | DenoiseTask, x: Tensor, value_range: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """What the encoder sees of clean images x (B, C, H, W), in model space; noise is drawn from `generator`, on x's device."""
    return TASKS[config.kind](config, x, value_range, generator)
