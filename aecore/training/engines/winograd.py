"""The compiled convolutions between many channels of `winograd.c`, as an operation that can be differentiated once.

It takes and gives 32-bit floats on the CPU, images (B, C, H, W) whose channels lie last, C a multiple of 16.
"""

import ctypes
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aecore.training.engines.loops import N, P, done, library

LAST = torch.channels_last
MULTIPLE = 16
"""What the channels and the outputs must be multiples of."""
ENOUGH = 32
"""Tiles from which it is faster: fewer do not pay for the weights to be turned into matrices."""
SIZES = ("n", "height", "width", "channels", "below", "across", "outputs", "padding", "taps")


class Images(ctypes.Structure):
    """As `winograd.c` has it."""

    _fields_ = (("from", P), ("active", P), ("to", P), ("total", P))


class Task(ctypes.Structure):
    """As `winograd.c` has it."""

    _fields_ = (
        *(("large", Images), ("small", Images), ("weights", P), ("bias", P), ("to_weights", P), ("relu", N)),
        *((name, N) for name in SIZES),
    )


class Tile(NamedTuple):
    """How many outputs in one direction are computed together, from how many weights each."""

    outputs: int
    taps: int


TILES = {(4, 2): Tile(4, 2), (3, 1): Tile(4, 3), (5, 1): Tile(2, 5)}
"""By the side and the stride of a convolution; weights of one phase of the stride each."""


def known(channels: int, outputs: int, side: int, stride: int) -> bool:
    """Whether a convolution can go this way, on this processor."""
    return (
        (side, stride) in TILES and channels % MULTIPLE == outputs % MULTIPLE == 0 and bool(library().winograd_runs())
    )


def room(channels: int, outputs: int, side: int, stride: int) -> int:
    """Bytes of matrices that `winograd.c` makes of the weights, and of their gradients, once for all layers of a thread."""
    tile = TILES[side, stride]
    return 2 * 4 * (tile.outputs + tile.taps - 1) ** 2 * channels * stride**2 * outputs


def faster(tile: Tile, images: int, below: int, across: int) -> bool:
    """Whether a convolution to images of this size, or a transposed one from them, takes fewer multiplications so, and has enough of them."""
    down, beside = math.ceil(below / tile.outputs), math.ceil(across / tile.outputs)
    points = tile.outputs + tile.taps - 1
    return down * beside * points**2 < below * across * tile.taps**2 and images * down * beside >= ENOUGH


class Layer(NamedTuple):
    """What a convolution is besides its weights."""

    taps: int
    stride: int
    padding: int
    relu: bool
    """Whether it ends in one."""
    size: tuple[int, int]
    """Height and width of what it gives."""
    transposed: bool


class Winograd(torch.autograd.Function):
    """A convolution, or a transposed one, and the ReLU that it ends in where it does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: Layer) -> Tensor:
        x, weight, bias = x.contiguous(memory_format=LAST), weight.contiguous(memory_format=LAST), bias.contiguous()
        assert x.shape[1] == weight.shape[0 if layer.transposed else 1]
        out = torch.empty((len(x), len(bias), *layer.size), memory_format=LAST)
        _do(layer, x, out, _images(x), _images(to=out), weights=place(weight), bias=place(bias), relu=layer.relu)
        ctx.layer = layer
        ctx.save_for_backward(x, weight, out if layer.relu else None)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight, out), gradient = ctx.saved_tensors, gradient.contiguous(memory_format=LAST)
        needed = zip((x, weight), ctx.needs_input_grad[:2], strict=True)
        of_x, of_weight = (torch.empty_like(part) if asked else None for part, asked in needed)
        of_bias = gradient.new_zeros(gradient.shape[1])
        taken = _images(None if of_weight is None else x, to=of_x)
        given = _images(gradient, active=out, total=of_bias)
        _do(ctx.layer, x, gradient, taken, given, weights=place(weight), to_weights=place(of_weight))
        return of_x, of_weight, of_bias, None


def place(part: Tensor | None) -> int | None:
    """Where the numbers lie."""
    assert part is None or part.dtype == torch.float32
    return None if part is None else part.data_ptr()


def _images(
    given: Tensor | None = None, active: Tensor | None = None, to: Tensor | None = None, total: Tensor | None = None
) -> Images:
    return Images(place(given), place(active), place(to), place(total))


def _do(layer: Layer, x: Tensor, out: Tensor, taken: Images, given: Images, **rest: int | None) -> None:
    """A task: with the images that the layer takes, of the size of x, and those that it gives, of the size of `out`.

    Raises: MemoryError.
    """
    large, small = (out, x) if layer.transposed else (x, out)
    images = {"large": given, "small": taken} if layer.transposed else {"large": taken, "small": given}
    (n, channels, height, width), (_, outputs, below, across) = large.shape, small.shape
    assert channels % MULTIPLE == outputs % MULTIPLE == 0
    sizes = (n, height, width, channels, below, across, outputs, layer.padding, layer.taps)
    task = Task(**images, **rest, **dict(zip(SIZES, sizes, strict=True)))
    done(library().winograd(ctypes.byref(task)))
