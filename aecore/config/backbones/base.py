"""What every backbone has."""

from typing import Annotated, Literal

from pydantic import Field

from aecore.config.base import Config
from aecore.config.facts import Shape

Activation = Literal["none", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]
OutputActivation = Literal["none", "relu", "sigmoid", "tanh"]
Width = Annotated[int, Field(ge=1, le=65536)]


class Backbone(Config):
    """Fields that every backbone has."""

    kind: str
    output: OutputActivation = Field(
        "sigmoid",
        title="Output range",
        description="Last layer of the decoder: sigmoid gives [0,1], tanh gives [-1,1], relu gives 0 and above, none any value.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        le=0.95,
        title="Dropout",
        description="Share of each hidden layer's numbers that are set to 0 in training, at random. Srivastava et al. 2014.",
    )

    @property
    def batch_norm(self) -> bool:
        """Whether an image's features depend, in training, on the other images of its batch."""
        return False

    @property
    def keeps_map(self) -> bool:
        """Whether the features are a map, with a place for each part of the image."""
        return False

    def feature_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of what the encoder's layers hand to the bottleneck, for images of `shape` (C, H, W); (C, H, W) where it is a map.

        Raises:
            ConfigError: where the layers do not fit the image. The path is that of `model.backbone`.
        """
        raise NotImplementedError


class Activated(Backbone):
    """A backbone whose layers are followed by a non-linearity of one's choice."""

    activation: Activation = Field("relu", title="Activation", description="Non-linearity after each hidden layer.")
