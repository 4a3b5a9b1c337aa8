"""A transformer over the patches of an image."""

from typing import Literal, Self

from pydantic import Field, model_validator

from aecore.config.backbones.base import Activated, Activation
from aecore.config.base import ConfigError
from aecore.config.facts import Shape


class TransformerBackbone(Activated):
    """Square patches as tokens with a place each, and blocks of self-attention. Dosovitskiy et al. 2021, He et al. 2022.

    Patches that the task has hidden are not attended to; in their places the map has one learnt token.
    """

    kind: Literal["transformer"] = "transformer"
    depth: int = Field(
        4,
        ge=1,
        le=48,
        title="Blocks",
        description="Blocks of attention and two dense layers, in the encoder and again in the decoder.",
        json_schema_extra={"basic": True},
    )
    width: int = Field(
        64, ge=4, le=4096, title="Width", description="Numbers of each token.", json_schema_extra={"basic": True}
    )
    patch: int = Field(
        4, ge=1, le=64, title="Patch", description="Side of a patch in pixels.", json_schema_extra={"basic": True}
    )
    heads: int = Field(
        4, ge=1, le=64, title="Heads", description="Attention heads of each block; they share the width."
    )
    expansion: int = Field(
        4,
        ge=1,
        le=16,
        title="Expansion",
        description="The first of a block's two dense layers is this many times wider.",
    )
    activation: Activation = Field(
        "gelu", title="Activation", description="Non-linearity between the two dense layers of each block."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads:
            sentence = f"model.backbone.width is {self.width}, but {self.heads} heads share it: use a multiple of {self.heads}."
            raise ConfigError({"model.backbone.width": sentence})
        if self.width % 4:
            sentence = (
                f"model.backbone.width is {self.width}, but a place is told by sine and cosine of row and column: "
                "use a multiple of 4."
            )
            raise ConfigError({"model.backbone.width": sentence})
        return self

    @property
    def keeps_map(self) -> bool:
        return True

    def grid(self, shape: Shape) -> tuple[int, int]:
        """Patches down and across an image of `shape` (C, H, W); at the right and lower edge they may stand over."""
        return -(-shape[1] // self.patch), -(-shape[2] // self.patch)

    def feature_shape(self, shape: Shape) -> tuple[int, ...]:
        down, across = self.grid(shape)
        if down * across < 2:
            sentence = (
                f"model.backbone.patch is {self.patch}, but these images are {shape[1]}x{shape[2]} pixels: one patch would be "
                f"all of it. Use at most {max(shape[1:]) - 1}."
            )
            raise ConfigError({"model.backbone.patch": sentence})
        return self.width, down, across
