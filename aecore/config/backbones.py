"""What layers a model has. Shape arithmetic lives here, free of torch, so that a form can refuse before anything is built."""

from math import prod
from typing import Annotated, Literal

from pydantic import Field

from aecore.config.base import Config, ConfigError
from aecore.config.facts import Shape

Activation = Literal["none", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]
OutputActivation = Literal["none", "relu", "sigmoid", "tanh"]
Width = Annotated[int, Field(ge=1, le=65536)]


class Backbone(Config):
    """Fields that every backbone has."""

    activation: Activation = Field("relu", title="Activation", description="Non-linearity after each hidden layer.")
    output: OutputActivation = Field(
        "sigmoid",
        title="Output range",
        description="Last layer of the decoder: sigmoid gives [0,1], tanh gives [-1,1], relu gives 0 and above, none any value.",
    )

    def feature_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of what the encoder's layers hand to the bottleneck, for images of `shape` (C, H, W).

        Raises:
            ConfigError: where the layers do not fit the image.
        """
        raise NotImplementedError


class DenseBackbone(Backbone):
    """Fully connected layers; the decoder mirrors the encoder. Hinton & Salakhutdinov 2006."""

    kind: Literal["dense"] = "dense"
    widths: tuple[Width, ...] = Field(
        (128, 64),
        max_length=16,
        title="Nodes per layer",
        description="Units of each hidden layer between the image and the code; the decoder mirrors them.",
        json_schema_extra={"basic": True},
    )

    def feature_shape(self, shape: Shape) -> tuple[int, ...]:
        return (self.widths[-1] if self.widths else prod(shape),)


class ConvBackbone(Backbone):
    """Convolutions, then dense layers; the decoder mirrors them with transposed convolutions. Masci et al. 2011."""

    kind: Literal["conv"] = "conv"
    channels: tuple[Width, ...] = Field(
        (16, 32),
        min_length=1,
        max_length=12,
        title="Channels per layer",
        description="Output channels of each convolution; the decoder mirrors them.",
        json_schema_extra={"basic": True},
    )
    kernel: int = Field(3, ge=1, le=31, title="Kernel", description="Side of each convolution kernel, in pixels.")
    stride: int = Field(2, ge=1, le=8, title="Stride", description="Step of each convolution: 2 halves the side.")
    padding: int = Field(1, ge=0, le=15, title="Padding", description="Pixels of zeros around each layer's input.")
    pool: Literal["none", "max"] = Field(
        "none", title="Pooling", description="2x2 max pooling after each convolution; the decoder upsamples instead."
    )
    norm: Literal["none", "batch"] = Field(
        "none",
        title="Normalisation",
        description="After each convolution but the last of the encoder and of the decoder.",
    )
    norm_after_activation: bool = Field(
        False, title="Normalise after activation", description="Convolution, activation, normalisation, in this order."
    )
    hidden: tuple[Width, ...] = Field(
        (),
        max_length=4,
        title="Dense layers",
        description="Units of dense layers between the feature map and the code.",
    )
    hidden_activation: Activation = Field(
        "relu", title="Activation of dense layers", description="Non-linearity after each of these dense layers."
    )

    def map_shapes(self, shape: Shape) -> list[Shape]:
        """(C, H, W) after each convolution and its pooling, first layer first.

        Raises:
            ConfigError: where a kernel or a pooling window is larger than what it is applied to.
        """
        shapes, (_, height, width) = [], shape
        for layer, channels in enumerate(self.channels, start=1):
            if min(height, width) + 2 * self.padding < self.kernel:
                raise ConfigError({"model.backbone.kernel": self._too_large(layer, height, width)})
            height, width = (self._after_convolution(side) for side in (height, width))
            if self.pool == "max":
                if min(height, width) < 2:
                    raise ConfigError({"model.backbone.pool": self._cannot_pool(layer, height, width)})
                height, width = height // 2, width // 2
            shapes.append((channels, height, width))
        return shapes

    def feature_shape(self, shape: Shape) -> tuple[int, ...]:
        last = self.map_shapes(shape)[-1]
        return (self.hidden[-1],) if self.hidden else last

    def _after_convolution(self, side: int) -> int:
        return (side + 2 * self.padding - self.kernel) // self.stride + 1

    def _too_large(self, layer: int, height: int, width: int) -> str:
        return (
            f"model.backbone.kernel is {self.kernel}, but the input of convolution {layer} is only {height}x{width} pixels "
            f"(with padding {height + 2 * self.padding}x{width + 2 * self.padding}): use a smaller kernel or fewer layers."
        )

    def _cannot_pool(self, layer: int, height: int, width: int) -> str:
        return (
            f"model.backbone.pool is 'max', but after convolution {layer} only {height}x{width} pixels are left: "
            f"{len(self.channels)} layers with pooling are too many for this image."
        )
