"""The convolutional backbone: the decoder undoes the encoder layer by layer, to the exact size. Masci et al. 2011."""

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from aecore.config import Facts, Shape
from aecore.config.backbones import ConvBackbone
from aecore.models.dense import stack
from aecore.models.layers import ACTIVATIONS, Layers
from aecore.models.noise import Dropout

Named = tuple[str, nn.Module]


def convolutional_layers(config: ConvBackbone, facts: Facts) -> Layers:
    """The backbone for images of `facts.shape` (C, H, W), of any size, odd and non-square ones too.

    Raises:
        ConfigError: where a kernel or a pooling window is larger than what it is applied to.
    """
    maps = [facts.shape, *config.map_shapes(facts.shape)]
    last = len(config.channels)
    down = [_down(config, maps[i - 1], maps[i], norm=i < last) for i in range(1, last + 1)]
    up = [_up(config, maps[i], maps[i - 1], final=i == 1) for i in range(last, 0, -1)]
    dense_down, dense_up = _dense(config, maps[-1])
    return Layers(
        nn.Sequential(*down, *dense_down),
        nn.Sequential(*dense_up, *up),
        config.feature_shape(facts.shape),
        config.hidden_activation,
        widest=max(config.channels[i] * prod(_convolved(config, maps[i])) for i in range(last)),
    )


def _convolved(config: ConvBackbone, shape: Shape) -> tuple[int, int]:
    """Height and width that one convolution, before any pooling, leaves of `shape` (C, H, W)."""
    height, width = ((side + 2 * config.padding - config.kernel) // config.stride + 1 for side in shape[1:])
    return height, width


def _down(config: ConvBackbone, inputs: Shape, outputs: Shape, norm: bool) -> nn.Module:
    """(B, *inputs) -> (B, *outputs): convolution, norm and activation in the configured order, residual blocks, pooling."""
    conv = nn.Conv2d(inputs[0], outputs[0], config.kernel, config.stride, config.padding)
    stage: list[Named] = [("conv", conv), *_norm_and_activation(config, outputs[0], norm), *_blocks(config, outputs[0])]
    if config.pool == "max":
        stage.append(("pool", nn.MaxPool2d(2)))
    return nn.Sequential(OrderedDict(stage))


def _up(config: ConvBackbone, inputs: Shape, outputs: Shape, final: bool) -> nn.Module:
    """(B, *inputs) -> (B, *outputs), the way back through one `_down`; the final one is left bare."""
    stage: list[Named] = []
    if config.pool == "max":
        stage.append(("unpool", nn.Upsample(size=_convolved(config, outputs))))
    stage += _blocks(config, inputs[0])
    if config.upsampling == "nearest":
        stage += [("upsample", nn.Upsample(size=outputs[1:])), ("conv", _same(inputs[0], outputs[0], config.kernel))]
    else:
        stage.append(("conv", _transposed(config, inputs[0], outputs)))
    if not final:
        stage += _norm_and_activation(config, outputs[0], norm=True)
    return nn.Sequential(OrderedDict(stage))


def _transposed(config: ConvBackbone, channels: int, outputs: Shape) -> nn.Module:
    """(B, channels, *what a convolution leaves of `outputs`) -> (B, *outputs)."""
    kernel, stride, padding = config.kernel, config.stride, config.padding
    # what the floor in the convolution's size dropped: always less than the stride
    dropped = tuple(
        side - ((small - 1) * stride - 2 * padding + kernel)
        for side, small in zip(outputs[1:], _convolved(config, outputs), strict=True)
    )
    return TransposedConvolution(channels, outputs[0], kernel, stride, padding, output_padding=(dropped[0], dropped[1]))


def _same(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """(B, inputs, H, W) -> (B, outputs, H, W); an even kernel has its longer half to the right and below."""
    before, after = (kernel - 1) // 2, kernel // 2
    if before == after:
        return nn.Conv2d(inputs, outputs, kernel, padding=before)
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), nn.Conv2d(inputs, outputs, kernel))


class Residual(nn.Module):
    """(B, C, H, W): what it is given, plus two 3x3 convolutions of it with norm and activation before each. He et al. 2016,
    "Identity mappings", figure 4e."""

    title = "Residual block, two convolutions 3x3"

    def __init__(self, config: ConvBackbone, channels: int):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [*_norm(config, channels), ACTIVATIONS[config.activation]()]
            layers.append(nn.Conv2d(channels, channels, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        change = self.layers(x)
        return x + change


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
    if norm:
        parts[config.norm_after_activation : config.norm_after_activation] = [
            ("norm", layer) for layer in _norm(config, channels)
        ]
    return parts + ([("dropout", Dropout(config.dropout))] if config.dropout else [])


def _norm(config: ConvBackbone, channels: int) -> list[nn.Module]:
    """The norm, if there is one. That of layers is over channels and places of an image, with a weight for each channel."""
    match config.norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "group":
            return [nn.GroupNorm(config.groups, channels)]
        case "layer":
            return [nn.GroupNorm(1, channels)]
        case _:
            return []


def _blocks(config: ConvBackbone, channels: int) -> list[Named]:
    return [(f"residual{number}", Residual(config, channels)) for number in range(1, config.residual + 1)]


def _dense(config: ConvBackbone, last_map: Shape) -> tuple[list[nn.Module], list[nn.Module]]:
    """The dense layers between the last feature map and the features, there and back; none where there are none."""
    if not config.hidden:
        return [], []
    sizes, activation = (prod(last_map), *config.hidden), config.hidden_activation
    return (
        [nn.Flatten(), *stack(sizes, activation, activation, config.dropout)],
        [*stack(sizes[::-1], activation, activation, config.dropout), nn.Unflatten(1, last_map)],
    )
