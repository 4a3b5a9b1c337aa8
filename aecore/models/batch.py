"""What goes into a model and comes out of it, in model space: floats in the data's value range."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """One batch of B images."""

    x: Tensor
    """(B, C, H, W): what the encoder sees."""
    target: Tensor
    """(B, C, H, W): what the decoder should give."""
    label: Tensor | None = None
    """(B,) int64."""
    mask: Tensor | None = None
    """(B, 1, H, W): where the task changed the input."""


class Output(NamedTuple):
    """What a model makes of a batch."""

    x_hat: Tensor
    """(B, C, H, W): the reconstruction."""
    z: Tensor
    """(B, *code_shape): the code that was decoded; drawn from the posterior in training, for Gaussian bottlenecks."""
    logits: Tensor
    """(B, C, H, W): the decoder's output before its last non-linearity."""
    mu: Tensor | None = None
    """(B, latent_dim), for Gaussian bottlenecks."""
    log_var: Tensor | None = None
    """(B, latent_dim), for Gaussian bottlenecks."""
    commitment: Tensor | None = None
    """(B,), for bottlenecks with a code book: weighted distance of the encoder's vectors from the code book's."""
    usage: Tensor | None = None
    """(codes,) int64, for quantised bottlenecks: how often each code was taken."""


Sums = tuple[dict[str, Tensor], ...]
"""The named, already weighted scalars of one step, for each optimiser those whose sum it minimises."""


class Progress(NamedTuple):
    """How far the training is: for terms whose weight changes along the way."""

    step: int | Tensor
    """Steps done; a number on the device where the step is recorded and played again."""
    total: int
