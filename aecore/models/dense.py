"""The fully connected backbone. Hinton & Salakhutdinov 2006."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.config import Facts
from aecore.config.backbones import DenseBackbone
from aecore.models.bottlenecks import Bottleneck
from aecore.models.layers import ACTIVATIONS, Layers, hidden


def dense_layers(config: DenseBackbone, facts: Facts) -> Layers:
    """The backbone for images of `facts.shape` (C, H, W). Without widths the features are the pixels themselves."""
    sizes = (prod(facts.shape), *config.widths)
    down = stack(sizes, config.activation, config.activation, config.dropout)
    up = stack(sizes[::-1], config.activation, "none", config.dropout)
    if config.tied:
        forward = [layer for layer in down if isinstance(layer, nn.Linear)]
        up = [Transposed(forward.pop()) if isinstance(layer, nn.Linear) else layer for layer in up]
    return Layers(
        nn.Sequential(nn.Flatten(), *down),
        nn.Sequential(*up, nn.Unflatten(1, facts.shape)),
        sizes[-1:],
        config.activation if config.widths else "none",
        widest=max(sizes),
    )


def stack(sizes: Sequence[int], activation: str, last: str, dropout: float = 0.0) -> list[nn.Module]:
    """Dense layers from size to size, each followed by `activation` and dropout, the last one by `last`; a last one that has no
    non-linearity is bare."""
    modules: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        final = number == len(sizes) - 1
        after = [ACTIVATIONS["none"]()] if final and last == "none" else hidden(last if final else activation, dropout)
        modules += [nn.Linear(inputs, outputs), *after]
    return modules


class Transposed(nn.Module):
    """The way back through a dense layer: its own weights, transposed, and another bias. Vincent et al. 2010, section 2.2."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.weight = layer.weight  # one parameter in two modules
        bound = layer.out_features**-0.5
        self.bias = nn.Parameter(torch.empty(layer.in_features).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(B, out_features of the layer) -> (B, its in_features)."""
        return F.linear(x, self.weight.T, self.bias)


def tie(bottleneck: Bottleneck) -> Bottleneck:
    """The layer from the code back gets the weights of the layer to the code, where there is one of each (the mean's, of two)."""
    enter = getattr(bottleneck.enter, "dense", getattr(bottleneck.enter, "mu", None))
    leave = bottleneck.leave
    if isinstance(enter, nn.Linear) and isinstance(leave, nn.Sequential) and isinstance(leave[0], nn.Linear):
        leave[0] = Transposed(enter)
    return bottleneck
