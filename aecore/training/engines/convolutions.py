"""The compiled convolutions of `convolutions.c`, and what lies between them, as operations that can be differentiated once.

Each takes and gives 32-bit floats on the CPU, images (B, C, H, W), and computes what PyTorch's own operation does.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from aecore.training.engines.loops import LOSSES, done, kind, library


class Correlation(torch.autograd.Function):
    """A convolution of stride 1, or a transposed one: that is a convolution with its weights turned."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, transposed: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.transposed, ctx.padding, ctx.beyond = transposed, padding, weight.shape[-1] - 1 - padding
        return correlate(x, weight, bias, ctx.beyond if transposed else padding, transposed)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        images, slopes = (gradient, x) if ctx.transposed else (x, gradient)
        back = ctx.padding if ctx.transposed else ctx.beyond
        return (
            correlate(gradient, weight, None, back, not ctx.transposed) if of_x else None,
            correlate_weights(images, slopes, ctx.padding, weight) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
            None,
        )


def correlate(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, turned: bool) -> Tensor:
    """x padded on all sides, with weight (out, in, k, k); `turned`: (in, out, k, k), mirrored. Raises MemoryError."""
    x, weight = x.contiguous(), weight.contiguous()
    (n, inputs, height, width), side = x.shape, weight.shape[-1]
    outputs, more = weight.shape[int(turned)], 2 * padding - side + 1
    assert inputs == weight.shape[1 - int(turned)]
    assert min(height, width) + more > 0
    assert all(part.dtype == torch.float32 for part in (x, weight, *([] if bias is None else [bias])))
    out = x.new_empty(n, outputs, height + more, width + more)
    places = (x.data_ptr(), weight.data_ptr(), None if bias is None else bias.data_ptr(), out.data_ptr())
    done(library().correlate(*places, n, inputs, height, width, outputs, side, padding, turned))
    return out


def correlate_weights(x: Tensor, gradient: Tensor, padding: int, like: Tensor) -> Tensor:
    """The gradient of a weight shaped as `like`, (out, in, k, k), from that of what `correlate` made of x. Raises MemoryError."""
    x, gradient = x.contiguous(), gradient.contiguous()
    of_weight = torch.empty_like(like, memory_format=torch.contiguous_format)
    places = (x.data_ptr(), gradient.data_ptr(), of_weight.data_ptr())
    done(library().correlate_weights(*places, *x.shape, gradient.shape[1], like.shape[-1], padding))
    return of_weight


Kernel = tuple[int, int, int]
"""Side, stride and padding."""


class Fold(torch.autograd.Function):
    """(B, C, H, W): the sum of the patches (B, h w, C k k) that lie on each pixel, and a bias (C,); `nn.Fold` but for the order."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, bias: Tensor, size: torch.Size, kernel: Kernel) -> Tensor:
        assert patches.dtype == bias.dtype == torch.float32
        ctx.kernel = kernel
        out = bias[:, None, None].expand(size).contiguous()
        _copy_patches(out, patches.contiguous(), kernel, fold=True)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return unfolded(gradient, ctx.kernel), gradient.sum((0, 2, 3)), None, None


class Unfold(torch.autograd.Function):
    """Every patch (B, h w, C k k) of images (B, C, H, W) that a kernel meets; `nn.Unfold` but for the order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Kernel) -> Tensor:
        ctx.kernel, ctx.size = kernel, x.shape
        return unfolded(x, kernel)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        of_x = gradient.new_zeros(ctx.size)
        _copy_patches(of_x, gradient.contiguous(), ctx.kernel, fold=True)
        return of_x, None


def unfolded(images: Tensor, kernel: Kernel) -> Tensor:
    """Every patch (B, h w, C k k) of images (B, C, H, W) that a kernel meets."""
    assert images.dtype == torch.float32
    images, (n, channels) = images.contiguous(), images.shape[:2]
    down, across = patches_of(images, kernel)
    patches = images.new_empty(n, down * across, channels * kernel[0] ** 2)
    _copy_patches(images, patches, kernel, fold=False)
    return patches


def patches_of(images: Tensor, kernel: Kernel) -> tuple[int, int]:
    """How many lie below and beside each other in an image."""
    side, stride, padding = kernel
    down, across = ((size + 2 * padding - side) // stride + 1 for size in images.shape[2:])
    return down, across


def _copy_patches(images: Tensor, patches: Tensor, kernel: Kernel, fold: bool) -> None:
    places = (images.data_ptr(), patches.data_ptr())
    library().unfold(*places, *images.shape, *patches_of(images, kernel), *kernel, fold)


class Pool(torch.autograd.Function):
    """Max pooling, windows of two by two; what is left over at an odd border is dropped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        (n, channels, height, width), x = x.shape, x.contiguous()
        out = x.new_empty(n, channels, height // 2, width // 2)
        library().pool(x.data_ptr(), out.data_ptr(), n * channels, height, width)
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x, out), gradient = ctx.saved_tensors, gradient.contiguous()
        n, channels, height, width = x.shape
        of_x = torch.empty_like(x)
        places = (gradient.data_ptr(), out.data_ptr(), x.data_ptr(), of_x.data_ptr())
        library().pool_back(*places, n * channels, height, width)
        return of_x


class Upsample(torch.autograd.Function):
    """Nearest upsampling to twice the height and width."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        (n, channels, height, width), x = x.shape, x.contiguous()
        out = x.new_empty(n, channels, 2 * height, 2 * width)
        library().upsample(x.data_ptr(), out.data_ptr(), n * channels, height, width)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (n, channels, height, width), gradient = gradient.shape, gradient.contiguous()
        out = gradient.new_empty(n, channels, height // 2, width // 2)
        library().upsample_back(gradient.data_ptr(), out.data_ptr(), n * channels, height // 2, width // 2)
        return out


class Activate(torch.autograd.Function):
    """One of the activations that the loops know, of any shape."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, module: nn.Module) -> Tensor:
        x = dense(x)
        out, ctx.kind = torch.empty_like(x), kind(module)
        library().forward_to(*ctx.kind, x.data_ptr(), out.data_ptr(), out.numel())
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        if gradient.stride() != out.stride():
            gradient = torch.empty_like(out).copy_(gradient)
        of_x = torch.empty_like(out)
        library().backward_to(*ctx.kind, gradient.data_ptr(), out.data_ptr(), of_x.data_ptr(), out.numel())
        return of_x, None


def dense(x: Tensor) -> Tensor:
    """The same without gaps between its numbers, in whatever order they lie."""
    return x if torch.ops.aten.is_non_overlapping_and_dense(x) else x.contiguous()


class Flatten(torch.autograd.Function):
    """(B, C H W), in this order, of images (B, C, H, W) whose channels lie last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.size = x.shape[1:]
        return channels_first(x.contiguous(memory_format=torch.channels_last))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return channels_last(gradient, ctx.size)


class Unflatten(torch.autograd.Function):
    """Images (B, C, H, W) whose channels lie last, of (B, C H W)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: torch.Size) -> Tensor:
        return channels_last(x, size)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return channels_first(gradient.contiguous(memory_format=torch.channels_last)), None


def channels_first(x: Tensor) -> Tensor:
    n, channels, height, width = x.shape
    assert x.dtype == torch.float32
    out = torch.empty(n, channels * height * width)
    library().turn(x.data_ptr(), out.data_ptr(), n, height * width, channels)
    return out


def channels_last(x: Tensor, size: torch.Size) -> Tensor:
    (channels, height, width), x = size, x.contiguous()
    assert x.dtype == torch.float32
    assert x.shape[1:] == (channels * height * width,)
    out = torch.empty((len(x), *size), memory_format=torch.channels_last)
    library().turn(x.data_ptr(), out.data_ptr(), len(x), channels, height * width)
    return out


class Means(torch.autograd.Function):
    """The loss of each image against its target, the mean over its pixels, (B, 1, 1, 1)."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, target: Tensor, loss: str) -> Tensor:
        out, target = out.contiguous(), target.contiguous()
        assert out.dtype == target.dtype == torch.float32
        assert out.shape == target.shape
        slopes, means = torch.empty_like(out), out.new_empty(len(out), *(1 for _ in out.shape[1:]))
        places = (part.data_ptr() for part in (out, target, slopes, means))
        library().losses(LOSSES.index(loss), *places, len(out), math.prod(out.shape[1:]))
        ctx.save_for_backward(slopes)
        return means

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.saved_tensors[0] * gradient, None, None
