"""Fully connected layers."""

from math import prod
from typing import Literal

from pydantic import Field

from aecore.config.backbones.base import Activated, Width
from aecore.config.facts import Shape


class DenseBackbone(Activated):
    """Fully connected layers; the decoder mirrors the encoder. Hinton & Salakhutdinov 2006."""

    kind: Literal["dense"] = "dense"
    widths: tuple[Width, ...] = Field(
        (128, 64),
        max_length=16,
        title="Nodes per layer",
        description="Units of each hidden layer between the image and the code; the decoder mirrors them.",
        json_schema_extra={"basic": True},
    )
    tied: bool = Field(
        False,
        title="Tied weights",
        description="The decoder's layers have the encoder's weights, transposed, and biases of their own. Vincent et al. 2010.",
    )

    def feature_shape(self, shape: Shape) -> tuple[int, ...]:
        return (self.widths[-1] if self.widths else prod(shape),)
