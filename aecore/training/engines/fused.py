"""Layers of a model that on the CPU are faster by compiled convolutions and loops than by PyTorch's kernels.

`fuse` changes the class of such a layer and nothing else: its weights and their names stay as they are.
"""

import torch
from torch import Tensor, nn

from aecore.models import Autoencoder
from aecore.models.convolutional import TransposedConvolution
from aecore.models.jacobian import TWICE
from aecore.training.engines.convolutions import Activate, Correlation, Fold, Kernel, Pool, Upsample

FEW = 4
"""Channels of pictures: a strided transposed convolution to so many is a product, of which each row is a patch of pixels."""
OVERLAP = 2
"""How many patches may lie on a pixel in each direction: with more, the product is slower."""
WIDE = 512
"""Inputs times outputs beyond which oneDNN's convolutions are faster, where channels come last."""


def taken(layer: nn.Module, x: Tensor) -> bool:
    """Whether this is what the compiled operations are for: 32 bits that are differentiated once or not at all."""
    once = layer.training and not TWICE.get()
    wide = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return (once or not torch.is_grad_enabled()) and wide and x.device.type == "cpu"


def kernel(layer: nn.Conv2d | nn.ConvTranspose2d) -> Kernel:
    """Side, stride and padding of a square one."""
    assert not isinstance(layer.padding, str)
    return layer.kernel_size[0], layer.stride[0], layer.padding[0]


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
        side, stride, padding = kernel(self)
        height, width = (
            (size - 1) * stride - 2 * padding + side + more
            for size, more in zip(x.shape[2:], self.output_padding, strict=True)
        )
        patches = x.permute(0, 2, 3, 1).flatten(1, 2) @ self.weight.flatten(1)  # (B, h w, out k k)
        size = torch.Size((len(x), self.out_channels, height, width))
        return Fold.apply(patches, self.bias, size, kernel(self))  # type: ignore[no-any-return]


class BiasApart(TransposedConvolution):
    """Between many channels: oneDNN's way back is slow where it has a bias to sum."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not taken(self, x) or self.bias is None:
            return super().forward(x, output_size)
        padding, more = kernel(self)[2], (self.output_padding[0], self.output_padding[1])
        out = nn.functional.conv_transpose2d(x, self.weight, None, self.stride, padding, more)
        return out.add_(self.bias[:, None, None])


class Pooled(nn.MaxPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return Pool.apply(x) if taken(self, x) else super().forward(x)  # type: ignore[no-any-return]


class Upsampled(nn.Upsample):
    def forward(self, x: Tensor) -> Tensor:
        twice = taken(self, x) and tuple(self.size) == (2 * x.shape[2], 2 * x.shape[3])  # type: ignore[arg-type]
        return Upsample.apply(x) if twice else super().forward(x)  # type: ignore[no-any-return]


class Smooth(nn.Module):
    """An activation that takes powers of e."""

    def forward(self, x: Tensor) -> Tensor:
        return Activate.apply(x, self) if taken(self, x) else super().forward(x)  # type: ignore[no-any-return,misc]


class Elu(Smooth, nn.ELU):
    pass


class Tanh(Smooth, nn.Tanh):
    pass


class Sigmoid(Smooth, nn.Sigmoid):
    pass


SMOOTH: dict[type[nn.Module], type[nn.Module]] = {nn.ELU: Elu, nn.Tanh: Tanh, nn.Sigmoid: Sigmoid}


def fusible(model: Autoencoder) -> bool:
    """Whether a convolution of the model is faster so."""
    narrow = _narrow(model)
    return any(_convolution(layer, narrow) for layer in model.modules())


def fuse(model: Autoencoder) -> None:
    """Exchange the classes of what is faster so."""
    narrow = _narrow(model)
    for layer in model.modules():
        if faster := _convolution(layer, narrow) or _smooth(layer) or (_between(layer) if narrow else None):
            layer.__class__ = faster


def channels_first(model: nn.Module) -> bool:
    """Whether the model has layers for which the rows of an image should lie one after another."""
    return any(isinstance(layer, Narrow | TransposedNarrow) for layer in model.modules())


def _narrow(model: nn.Module) -> bool:
    """Whether all its convolutions are between few channels: a single wide one is slower where channels come first, and
    images that are turned for each are too."""
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    return all(layer.in_channels * layer.out_channels <= WIDE for layer in convolutions)


def _convolution(layer: nn.Module, narrow: bool) -> type[nn.Module] | None:
    """The faster class of a convolution; None where there is none."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or not _usual(layer):
        return None
    if narrow and layer.stride == (1, 1):
        return {nn.Conv2d: Narrow, TransposedConvolution: TransposedNarrow}.get(type(layer))
    if type(layer) is not TransposedConvolution:
        return None
    side, stride, _ = kernel(layer)
    return Folded if layer.out_channels <= FEW and stride > 1 and side <= OVERLAP * stride else BiasApart


def _usual(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
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


def _smooth(layer: nn.Module) -> type[nn.Module] | None:
    if type(layer) is nn.ELU and (layer.inplace or layer.alpha < 0):
        return None
    return SMOOTH.get(type(layer))


def _between(layer: nn.Module) -> type[nn.Module] | None:
    """That of what has a class for images whose channels come first."""
    if type(layer) is nn.MaxPool2d:
        plain = (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == (2, 2, 0, 1)
        return Pooled if plain and not (layer.ceil_mode or layer.return_indices) else None
    if type(layer) is nn.Upsample:
        return Upsampled if layer.mode == "nearest" and isinstance(layer.size, tuple) else None
    return None
