"""Convolutions on a GPU whose weights' gradients are summed by a kernel of Triton's: those of cuDNN that give the same bits each time
take two to eight times as long (`docs/LOG.md`)."""

from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from aecore.models import Autoencoder
from aecore.models.convolutional import TransposedConvolution
from aecore.models.jacobian import TWICE
from aecore.training.engines import tiles
from aecore.training.engines.fused import usual

aten = torch.ops.aten
LEAST = 4
"""Sums of a tile that a program is worth."""
MOST = 2**31
"""Numbers that 32 bits count."""
LARGE = 2**15
"""Weights that are worth large tiles."""


class Form(NamedTuple):
    """What PyTorch's convolution is told, in its order."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int


class Tile(NamedTuple):
    """What a program sums at once: places of images, for so many rows and columns of the weights."""

    places: int
    rows: int
    columns: int


class Convolution(torch.autograd.Function):
    """x (B, in, h, w), weight, bias (out,) -> (B, out, h', w')."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, form: Form, exact: str) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.form, ctx.exact = form, exact
        return aten.convolution(x, weight, bias, *form)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        (g,), (x, weight), of_x = gradients, ctx.saved_tensors, None
        if ctx.needs_input_grad[0]:
            of_x = aten.convolution_backward(g, x, weight, None, *ctx.form, (True, False, False))[0]
        return of_x, of_weights(x, g, weight.shape, ctx.form, ctx.exact), g.sum((0, 2, 3)), None, None


def of_weights(x: Tensor, g: Tensor, shape: torch.Size, form: Form, exact: str) -> Tensor:
    """The gradient of weights of this shape, from a layer's input and the gradient of its output."""
    if max(x.numel(), g.numel()) >= MOST:
        return aten.convolution_backward(g, x, x.new_empty(shape), None, *form, (False, True, False))[1]  # type: ignore[no-any-return]
    above, below = (x, g) if form.transposed else (g, x)
    n, k = shape[0], shape[1:].numel()
    m, by, programs = len(x) * above.shape[2:].numel(), *cut(n, k)
    across = -(-n // by.rows), -(-k // by.columns)
    splits = max(1, min(programs // prod(across), m // (LEAST * by.places)))
    share = -(-m // (splits * by.places)) * by.places
    parts = x.new_empty(splits, *shape)
    sizes = (m, n, k, *below.shape[2:], *above.shape[2:], form.stride[0], form.padding[0], *shape[2:], share)
    grid, strides = (*across, splits), (*below.stride(), *above.stride())
    tiles.weights_of_convolution[grid](below, above, parts, *sizes, *strides, exact, *by)
    return parts.sum(0)


def cut(n: int, k: int) -> tuple[Tile, int]:
    """How (n, k) weights are cut, and into how many programs: two or eight for each multiprocessor of an H100."""
    if min(n, k) <= 16:
        return Tile(16, 16, 16), 264
    return (Tile(32, 64, 64), 264) if n * k >= LARGE else (Tile(16, 32, 32), 1056)


class Convolved(nn.Conv2d):
    """What is differentiated twice goes by PyTorch's."""

    exact: str
    """The products' precision, as `tiles.PRODUCTS` has it."""

    def forward(self, x: Tensor) -> Tensor:
        if TWICE.get():
            return super().forward(x)
        return Convolution.apply(x, self.weight, self.bias, form(self, (0, 0)), self.exact)  # type: ignore[no-any-return]


class TransposedConvolved(TransposedConvolution):
    exact: str

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if TWICE.get() or output_size is not None:
            return super().forward(x, output_size)
        return Convolution.apply(x, self.weight, self.bias, form(self, self.output_padding), self.exact)  # type: ignore[no-any-return]


def form(layer: nn.Conv2d | nn.ConvTranspose2d, more: tuple[int, ...]) -> Form:
    assert not isinstance(layer.padding, str)
    return Form(layer.stride, layer.padding, layer.dilation, isinstance(layer, nn.ConvTranspose2d), more, layer.groups)


def exchange(model: Autoencoder, precision: str) -> None:
    """The classes of a model's convolutions, as far as they are known here."""
    exact = tiles.PRODUCTS[precision]
    for layer in model.modules():
        kind = {nn.Conv2d: Convolved, TransposedConvolution: TransposedConvolved}.get(type(layer))
        if kind and usual(layer):  # type: ignore[arg-type]
            layer.__class__, layer.exact = kind, exact  # type: ignore[assignment]
