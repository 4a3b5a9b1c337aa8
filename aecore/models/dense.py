"""The fully connected backbone. Hinton & Salakhutdinov 2006."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import nn

from aecore.config import Shape
from aecore.config.backbones import DenseBackbone
from aecore.models.layers import ACTIVATIONS, Layers


def dense_layers(config: DenseBackbone, shape: Shape) -> Layers:
    """The backbone for images of `shape` (C, H, W). Without widths the features are the pixels themselves."""
    sizes = (prod(shape), *config.widths)
    down = nn.Sequential(nn.Flatten(), *stack(sizes, config.activation, last=config.activation))
    up = nn.Sequential(*stack(sizes[::-1], config.activation, last="none"), nn.Unflatten(1, shape))
    return Layers(down, up, sizes[-1:], config.activation if config.widths else "none", widest=max(sizes))


def stack(sizes: Sequence[int], activation: str, last: str) -> list[nn.Module]:
    """Dense layers from size to size, each followed by `activation`, the last one by `last`."""
    modules: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        name = last if number == len(sizes) - 1 else activation
        modules += [nn.Linear(inputs, outputs), ACTIVATIONS[name]()]
    return modules
