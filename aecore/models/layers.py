"""What backbones and bottlenecks are built of, and what a backbone hands over."""

from typing import NamedTuple

from torch import nn

from aecore.models.noise import Dropout

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def hidden(activation: str, dropout: float) -> list[nn.Module]:
    """What follows a hidden layer: its non-linearity, and dropout where there is any."""
    return [ACTIVATIONS[activation](), *([Dropout(dropout)] if dropout else [])]


class Layers(NamedTuple):
    """The two halves of a backbone. Between them stands the bottleneck."""

    down: nn.Module
    """Images (B, C, H, W) to features (B, *feature_shape)."""
    up: nn.Module
    """Features (B, *feature_shape) to images (B, C, H, W), before the output's non-linearity."""
    feature_shape: tuple[int, ...]
    """Shape of the features of one image."""
    feature_activation: str
    """Name of the non-linearity on features that a bottleneck made from a code."""
    widest: int
    """Numbers in the largest output of any layer, for one image: what a batch for evaluation is sized by."""
