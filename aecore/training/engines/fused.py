"""Layers of a model that on the CPU are faster by compiled convolutions and loops than by PyTorch's kernels.

`fuse` changes the class of such a layer; its weights and their names stay as they are. The activation that follows may become its own.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from aecore.models import Autoencoder
from aecore.models.convolutional import TransposedConvolution
from aecore.models.losses import PixelLoss
from aecore.training.engines.affine import Affine, can_be_taken, take
from aecore.training.engines.between import (
    Elu,
    Flattened,
    MeanLoss,
    Pooled,
    Sigmoid,
    Tanh,
    Unflattened,
    Upsampled,
    taken,
)
from aecore.training.engines.convolutions import Correlation, Fold, Kernel, Unfold, patches_of
from aecore.training.engines.loops import kind
from aecore.training.engines.winograd import TILES, Layer, Winograd, faster, known, room

FEW = 4
"""Channels of pictures: a strided convolution from so many, or a transposed one to them, is a product of patches of pixels."""
OVERLAP = 2
"""How many patches may lie on a pixel in each direction: with more, the product is slower."""
WIDE = 512
"""Inputs times outputs beyond which convolutions are faster where channels come last: oneDNN's, and Winograd's."""


def kernel(layer: nn.Conv2d | nn.ConvTranspose2d) -> Kernel:
    """Side, stride and padding of a square one."""
    assert not isinstance(layer.padding, str)
    return layer.kernel_size[0], layer.stride[0], layer.padding[0]


def size_of(layer: TransposedConvolution, x: Tensor) -> tuple[int, int]:
    """Height and width of what it makes of x."""
    side, stride, padding = kernel(layer)
    height, width = (
        (size - 1) * stride - 2 * padding + side + more
        for size, more in zip(x.shape[2:], layer.output_padding, strict=True)
    )
    return height, width


class Narrow(nn.Conv2d):
    """Of stride 1, between few channels."""

    def forward(self, x: Tensor) -> Tensor:
        if not taken(self, x):
            return super().forward(x)
        return Correlation.apply(x, self.weight, self.bias, kernel(self)[2], False)  # type: ignore[no-any-return]


class TransposedNarrow(TransposedConvolution):
    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not taken(self, x):
            return super().forward(x, output_size)
        return Correlation.apply(x, self.weight, self.bias, kernel(self)[2], True)  # type: ignore[no-any-return]


class Folded(TransposedConvolution):
    """Of a larger stride, to the channels of a picture."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not taken(self, x):
            return super().forward(x, output_size)
        patches = x.permute(0, 2, 3, 1).flatten(1, 2) @ self.weight.flatten(1)  # (B, h w, out k k)
        size = torch.Size((len(x), self.out_channels, *size_of(self, x)))
        return Fold.apply(patches, self.bias, size, kernel(self))  # type: ignore[no-any-return]


class Unfolded(nn.Conv2d):
    """Of a larger stride, from the channels of a picture."""

    ending: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not taken(self, x):
            return _ended(self, super().forward(x))
        patches, weight = Unfold.apply(x, kernel(self)).flatten(0, 1), self.weight.flatten(1)  # (B h w, in k k)
        out = Affine.apply(patches, weight, self.bias, kind(self.ending))
        return out.view(len(x), *patches_of(x, kernel(self)), self.out_channels).permute(0, 3, 1, 2)


class BiasApart(TransposedConvolution):
    """Between many channels: oneDNN's way back is slow where it has a bias to sum."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not taken(self, x) or self.bias is None:
            return super().forward(x, output_size)
        padding, more = kernel(self)[2], (self.output_padding[0], self.output_padding[1])
        out = nn.functional.conv_transpose2d(x, self.weight, None, self.stride, padding, more)
        return out.add_(self.bias[:, None, None])


class Wide(nn.Conv2d):
    """Between many channels, of few multiplications."""

    ending: nn.ReLU | None = None

    def forward(self, x: Tensor) -> Tensor:
        (side, stride, padding), size = kernel(self), patches_of(x, kernel(self))
        if not taken(self, x) or not faster(TILES[side, stride], len(x), *size):
            return _ended(self, super().forward(x))
        layer = Layer(TILES[side, stride].taps, stride, padding, self.ending is not None, size, transposed=False)
        return Winograd.apply(x, self.weight, self.bias, layer)  # type: ignore[no-any-return]


class TransposedWide(BiasApart):
    ending: nn.ReLU | None = None

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        side, stride, padding = kernel(self)
        if not taken(self, x) or not faster(TILES[side, stride], len(x), *x.shape[2:]):
            return _ended(self, super().forward(x, output_size))
        relu, size = self.ending is not None, size_of(self, x)
        layer = Layer(TILES[side, stride].taps, stride, padding, relu, size, transposed=True)
        return Winograd.apply(x, self.weight, self.bias, layer)  # type: ignore[no-any-return]


class Dense(nn.Linear):
    """With the activation that follows."""

    ending: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not taken(self, x) or x.dim() != 2:
            return _ended(self, super().forward(x))
        return Affine.apply(x, self.weight, self.bias, kind(self.ending))  # type: ignore[no-any-return]


def _ended(layer: Unfolded | Wide | TransposedWide | Dense, out: Tensor) -> Tensor:
    return out if layer.ending is None else layer.ending(out)


ANYWHERE: dict[type[nn.Module], type[nn.Module]] = {nn.Tanh: Tanh, nn.Sigmoid: Sigmoid, PixelLoss: MeanLoss}


def fusible(model: Autoencoder) -> bool:
    """Whether a convolution of the model is faster so."""
    narrow = _narrow(model)
    return any(_convolution(layer, narrow) for layer in model.modules())


@contextmanager
def fused(model: Autoencoder) -> Iterator[None]:
    """The same for a while."""
    before = [(layer, layer.__class__) for layer in model.modules()]
    fuse(model)
    try:
        yield
    finally:
        for layer, kind in before:
            layer.__class__ = kind
            layer.__dict__.pop("ending", None)


def fuse(model: Autoencoder) -> None:
    """Exchange the classes of what is faster so."""
    narrow, times = _narrow(model), Counter(id(layer) for _, layer in model.named_modules(remove_duplicate=False))
    for layer in model.modules():
        if faster := _convolution(layer, narrow) or _between(layer, narrow):
            layer.__class__ = faster
    for layer in model.modules():
        if isinstance(layer, nn.Sequential):
            _give_endings(layer, times)
    for layer in model.modules():
        layer.__class__ = _anywhere(layer) or layer.__class__


def _give_endings(layers: nn.Sequential, times: Counter[int]) -> None:
    """To layers the activation that follows, where they can take it; what stands at several places stays."""
    for layer, after in itertools.pairwise(layers):
        if times[id(layer)] > 1 or times[id(after)] > 1:
            continue
        if type(layer) is nn.Linear and layer.bias is not None and can_be_taken(after):
            layer.__class__ = Dense
        relu_only = isinstance(layer, Wide | TransposedWide)
        if (isinstance(layer, Dense | Unfolded) and can_be_taken(after)) or (relu_only and type(after) is nn.ReLU):
            take(layer, after)


def channels_first(model: nn.Module) -> bool:
    """Whether the model has layers for which the rows of an image should lie one after another."""
    return any(isinstance(layer, Narrow | TransposedNarrow) for layer in model.modules())


def beside(layer: nn.Module, output: tuple[int, ...], images: int) -> int:
    """Bytes that a layer's faster class needs for a batch of images beside what the plain one does, for its output (C, H, W)."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or not usual(layer):
        return 0
    match _convolution(layer, narrow=False):
        case kind if kind is Unfolded:
            return 4 * images * math.prod(output[1:]) * layer.in_channels * math.prod(layer.kernel_size)
        case kind if kind in (Wide, TransposedWide):
            return room(layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
    return 0


def _narrow(model: nn.Module) -> bool:
    """Whether its convolutions of stride 1, of which it has some, and all others are between few channels: a single wide one is
    slower where channels come first, and images that are turned for each are too."""
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    few = all(layer.in_channels * layer.out_channels <= WIDE for layer in convolutions)
    return few and any(layer.stride == (1, 1) for layer in convolutions)


def _convolution(layer: nn.Module, narrow: bool) -> type[nn.Module] | None:
    """The faster class of a convolution; None where there is none."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or not usual(layer):
        return None
    if narrow and layer.stride == (1, 1):
        return {nn.Conv2d: Narrow, TransposedConvolution: TransposedNarrow}.get(type(layer))
    side, stride, _ = kernel(layer)
    if known(layer.in_channels, layer.out_channels, side, stride):
        return {nn.Conv2d: Wide, TransposedConvolution: TransposedWide}.get(type(layer))
    patches = stride > 1 and side <= OVERLAP * stride
    if type(layer) is nn.Conv2d:
        return Unfolded if patches and layer.in_channels <= FEW else None
    if type(layer) is not TransposedConvolution:
        return None
    return Folded if patches and layer.out_channels <= FEW else BiasApart


def usual(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Square, of one group, with fewer zeros around than the kernel is wide."""
    return (
        not isinstance(layer.padding, str)
        and all(len(set(sizes)) == 1 for sizes in (layer.kernel_size, layer.stride, layer.padding))
        and layer.padding[0] < layer.kernel_size[0]
        and layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and (layer.stride != (1, 1) or layer.output_padding == (0, 0))
        and layer.bias is not None
    )


def _anywhere(layer: nn.Module) -> type[nn.Module] | None:
    if type(layer) is nn.ELU:
        return None if layer.inplace or layer.alpha < 0 else Elu
    return ANYWHERE.get(type(layer))


def _between(layer: nn.Module, narrow: bool) -> type[nn.Module] | None:
    """That of what lies between convolutions, for images whose channels come first (`narrow`) or last."""
    if type(layer) is nn.MaxPool2d and narrow:
        plain = (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == (2, 2, 0, 1)
        return Pooled if plain and not (layer.ceil_mode or layer.return_indices) else None
    if type(layer) is nn.Upsample and narrow:
        return Upsampled if layer.mode == "nearest" and isinstance(layer.size, tuple) else None
    if type(layer) is nn.Flatten and not narrow:
        return Flattened if (layer.start_dim, layer.end_dim) == (1, -1) else None
    if type(layer) is nn.Unflatten and not narrow:
        return Unflattened if layer.dim == 1 else None
    return None
