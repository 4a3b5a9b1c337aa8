"""The squared norm of a Jacobian, exact or from random directions."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar

import torch
from torch import Tensor

from aecore.models.noise import normal

TWICE = ContextVar("TWICE", default=False)
"""Whether what is computed now is differentiated twice, which not every kernel can."""


def squared_jacobian(
    function: Callable[[Tensor], Tensor], x: Tensor, probes: int, generator: torch.Generator | None
) -> Tensor:
    """(B,) squared Frobenius norm of d function(x)_i / d x_i, for x (B, ...), each image on its own.

    With `probes` directions v of standard normal numbers it is the mean of |J^T v|^2, whose expectation it is (Hutchinson
    1990); with 0 the sum over all outputs, exact. Works in inference mode too, and is differentiable where gradients are on.
    """
    training = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        x = x if x.requires_grad else x.clone().requires_grad_()
        token = TWICE.set(True)
        y = function(x).float().flatten(1)  # (B, outputs)
        TWICE.reset(token)
        total = torch.zeros(len(x), device=x.device)
        for direction in _directions(y, probes, generator):
            gradient = torch.autograd.grad((y * direction).sum(), x, create_graph=training, retain_graph=True)[0]
            total = total + gradient.flatten(1).square().sum(1)
        total = total / max(1, probes)
    return total if training else total.detach()


def _directions(y: Tensor, probes: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    if probes:
        yield from (normal(y.detach(), generator) for _ in range(probes))
    else:
        yield from torch.eye(y.shape[1], device=y.device)
