"""Random changes that leave an image what it is; on the device, a draw for each image."""

from collections.abc import Callable

import torch
from torch import Tensor

FARTHEST = 2


def none(images: Tensor, generator: torch.Generator) -> Tensor:
    return images


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images mirrored left to right."""
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by up to two pixels either way; its edge is repeated where nothing is known."""
    n, _, height, width = images.shape
    device = images.device
    moves = torch.randint(-FARTHEST, FARTHEST + 1, (2, n, 1), generator=generator, device=device)
    rows = (torch.arange(height, device=device) + moves[0]).clamp(0, height - 1)  # (B, H)
    columns = (torch.arange(width, device=device) + moves[1]).clamp(0, width - 1)  # (B, W)
    image = torch.arange(n, device=device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    return moved.permute(0, 3, 1, 2).contiguous()


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {"none": none, "flip": flip, "shift": shift}
