"""Convolutions, and their way back."""

from typing import Literal, Self

from pydantic import Field, model_validator

from aecore.config.backbones.base import Activated, Activation, Width
from aecore.config.base import ConfigError
from aecore.config.facts import Shape


class ConvBackbone(Activated):
    """Convolutions, then dense layers; the decoder mirrors them. Masci et al. 2011."""

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
    upsampling: Literal["transposed", "nearest"] = Field(
        "transposed",
        title="Upsampling",
        description="How the decoder grows: by transposed convolutions, or by repeating pixels before a convolution, which "
        "leaves no checkerboard (Odena et al. 2016).",
    )
    norm: Literal["none", "batch", "group", "layer"] = Field(
        "none",
        title="Normalisation",
        description="After each convolution but the last of the encoder and of the decoder, and in residual blocks: over the "
        "batch, over groups of an image's channels (Wu & He 2018), or over all of an image.",
    )
    groups: int = Field(4, ge=1, le=1024, title="Groups", description="Groups of channels of the norm 'group'.")
    norm_after_activation: bool = Field(
        False, title="Normalise after activation", description="Convolution, activation, normalisation, in this order."
    )
    residual: int = Field(
        0,
        ge=0,
        le=16,
        title="Residual blocks",
        description="Blocks after each convolution that add two 3x3 convolutions to what they are given. He et al. 2016.",
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

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.norm == "group":
            for channels in self.channels if self.residual else self.channels[:-1]:
                if channels % self.groups:
                    sentence = (
                        f"model.backbone.groups is {self.groups}, but a layer has {channels} channels, which cannot be divided "
                        f"into {self.groups} equal groups: use a number that divides {', '.join(map(str, self.channels))}."
                    )
                    raise ConfigError({"model.backbone.groups": sentence})
        return self

    @property
    def batch_norm(self) -> bool:
        return self.norm == "batch"

    @property
    def keeps_map(self) -> bool:
        return not self.hidden

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
