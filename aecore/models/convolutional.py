"""The convolutional backbone: the decoder undoes the encoder layer by layer, to the exact size. Masci et al. 2011."""

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from aecore.config import Shape
from aecore.config.backbones import ConvBackbone
from aecore.models.dense import stack
from aecore.models.layers import ACTIVATIONS, Layers

Named = tuple[str, nn.Module]


def convolutional_layers(config: ConvBackbone, shape: Shape) -> Layers:
    """The backbone for images of `shape` (C, H, W), of any size, odd and non-square ones too.

    Raises:
        ConfigError: where a kernel or a pooling window is larger than what it is applied to.
    """
    maps = [shape, *config.map_shapes(shape)]
    last = len(config.channels)
    down = [_down(config, maps[i - 1], maps[i], norm=i < last) for i in range(1, last + 1)]
    up = [_up(config, maps[i], maps[i - 1], final=i == 1) for i in range(last, 0, -1)]
    dense_down, dense_up = _dense(config, maps[-1])
    return Layers(
        nn.Sequential(*down, *dense_down),
        nn.Sequential(*dense_up, *up),
        config.feature_shape(shape),
        config.hidden_activation,
        widest=max(config.channels[i] * prod(_convolved(config, maps[i])) for i in range(last)),
    )


def _convolved(config: ConvBackbone, shape: Shape) -> tuple[int, int]:
    """Height and width that one convolution, before any pooling, leaves of `shape` (C, H, W)."""
    height, width = ((side + 2 * config.padding - config.kernel) // config.stride + 1 for side in shape[1:])
    return height, width


def _down(config: ConvBackbone, inputs: Shape, outputs: Shape, norm: bool) -> nn.Module:
    """(B, *inputs) -> (B, *outputs): convolution, norm and activation in the configured order, pooling."""
    conv = nn.Conv2d(inputs[0], outputs[0], config.kernel, config.stride, config.padding)
    stage: list[Named] = [("conv", conv), *_norm_and_activation(config, outputs[0], norm)]
    if config.pool == "max":
        stage.append(("pool", nn.MaxPool2d(2)))
    return nn.Sequential(OrderedDict(stage))


def _up(config: ConvBackbone, inputs: Shape, outputs: Shape, final: bool) -> nn.Module:
    """(B, *inputs) -> (B, *outputs), the way back through one `_down`; the final one is left bare."""
    kernel, stride, padding = config.kernel, config.stride, config.padding
    height, width = _convolved(config, outputs)
    # what the floor in the convolution's size dropped: always less than the stride
    dropped = tuple(
        side - ((small - 1) * stride - 2 * padding + kernel)
        for side, small in zip(outputs[1:], (height, width), strict=True)
    )
    conv = TransposedConvolution(
        inputs[0], outputs[0], kernel, stride, padding, output_padding=(dropped[0], dropped[1])
    )
    stage: list[Named] = [("conv", conv)]
    if config.pool == "max":
        stage.insert(0, ("upsample", nn.Upsample(size=(height, width))))
    if not final:
        stage += _norm_and_activation(config, outputs[0], norm=True)
    return nn.Sequential(OrderedDict(stage))


class TransposedConvolution(nn.ConvTranspose2d):
    """nn.ConvTranspose2d, six times faster on the CPU where a decoder ends in squares of pixels that do not overlap."""

    @property
    def tiles(self) -> bool:
        """Whether every output pixel comes from one input pixel, and oneDNN has no good kernel: it wants many channels."""
        return (
            self.kernel_size == self.stride
            and self.padding == self.output_padding == (0, 0)
            and self.out_channels <= 4
            and self.weight.device.type == "cpu"
        )

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in_channels, h, w) -> (B, out_channels, H, W)."""
        if not self.tiles or self.bias is None:
            return super().forward(x, output_size)
        n, _, height, width = x.shape
        side = self.stride[0]
        squares = x.permute(0, 2, 3, 1).flatten(0, 2) @ self.weight.flatten(1)  # (B h w, out_channels side side)
        squares = squares.view(n, height, width, self.out_channels, side, side).permute(0, 3, 1, 4, 2, 5)
        return squares.reshape(n, self.out_channels, height * side, width * side) + self.bias[:, None, None]


def _norm_and_activation(config: ConvBackbone, channels: int, norm: bool) -> list[Named]:
    parts: list[Named] = [("activation", ACTIVATIONS[config.activation]())]
    if norm and config.norm == "batch":
        parts.insert(1 if config.norm_after_activation else 0, ("norm", nn.BatchNorm2d(channels)))
    return parts


def _dense(config: ConvBackbone, last_map: Shape) -> tuple[list[nn.Module], list[nn.Module]]:
    """The dense layers between the last feature map and the features, there and back; none where there are none."""
    if not config.hidden:
        return [], []
    sizes, activation = (prod(last_map), *config.hidden), config.hidden_activation
    return (
        [nn.Flatten(), *stack(sizes, activation, last=activation)],
        [*stack(sizes[::-1], activation, last=activation), nn.Unflatten(1, last_map)],
    )
