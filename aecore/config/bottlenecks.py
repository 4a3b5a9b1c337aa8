"""What kind of code a model has."""

from math import prod
from typing import Literal

from pydantic import Field, JsonValue

from aecore.config.backbones import Activation
from aecore.config.base import Config

CODE_SIZE: dict[str, JsonValue] = {"basic": True, "role": "code_size"}


class VectorBottleneck(Config):
    """A plain vector: one dense layer from the features to the code, and one back."""

    kind: Literal["vector"] = "vector"
    latent_dim: int = Field(
        16, ge=1, le=65536, title="Code size", description="Number of code units.", json_schema_extra=CODE_SIZE
    )
    activation: Activation = Field(
        "none", title="Activation of the code", description="Non-linearity on the code itself."
    )

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return (self.latent_dim,)


class FeatureMapBottleneck(Config):
    """The backbone's feature map is the code: it keeps the layout of the image."""

    kind: Literal["feature_map"] = "feature_map"

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return features


class GaussianBottleneck(Config):
    """A diagonal Gaussian posterior, sampled in training and its mean otherwise. Kingma & Welling 2014."""

    kind: Literal["gaussian"] = "gaussian"
    latent_dim: int = Field(
        16, ge=1, le=65536, title="Code size", description="Number of code units.", json_schema_extra=CODE_SIZE
    )

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return (self.latent_dim,)


def size(code_shape: tuple[int, ...]) -> int:
    """Numbers in one code."""
    return prod(code_shape)
