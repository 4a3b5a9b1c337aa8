"""Non-linearities and their derivatives in place, without a graph: the kernels that automatic differentiation calls."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

aten = torch.ops.aten


class Activation(NamedTuple):
    """How a layer's output is made from its input, and a gradient taken back through it."""

    forward: Callable[[Any, Tensor, Tensor], object]
    """(module, input, output): fills `output`, which may be `input` where the derivative needs the output only."""
    backward: Callable[[Any, Tensor, Tensor], object]
    """(module, gradient, kept): changes `gradient`; `kept` is the output, or the input where `of_input`."""
    of_input: bool = False


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(
        lambda _, a, out: aten.relu_(a),
        lambda _, g, out: aten.threshold_backward.grad_input(g, out, 0, grad_input=g),
    ),
    nn.LeakyReLU: Activation(
        lambda m, a, out: aten.leaky_relu_(a, m.negative_slope),
        lambda m, g, out: aten.leaky_relu_backward.grad_input(g, out, m.negative_slope, True, grad_input=g),
    ),
    nn.ELU: Activation(
        lambda m, a, out: aten.elu_(a, m.alpha),
        lambda m, g, out: aten.elu_backward.grad_input(g, m.alpha, 1, 1, True, out, grad_input=g),
    ),
    nn.GELU: Activation(
        lambda m, a, out: aten.gelu.out(a, approximate=m.approximate, out=out),
        lambda m, g, a: aten.gelu_backward.grad_input(g, a, approximate=m.approximate, grad_input=g),
        of_input=True,
    ),
    nn.SiLU: Activation(
        lambda _, a, out: aten.silu.out(a, out=out),
        lambda _, g, a: aten.silu_backward.grad_input(g, a, grad_input=g),
        of_input=True,
    ),
    nn.Tanh: Activation(
        lambda _, a, out: aten.tanh_(a),
        lambda _, g, out: aten.tanh_backward.grad_input(g, out, grad_input=g),
    ),
    nn.Sigmoid: Activation(
        lambda _, a, out: aten.sigmoid_(a),
        lambda _, g, out: aten.sigmoid_backward.grad_input(g, out, grad_input=g),
    ),
}
