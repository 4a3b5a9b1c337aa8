"""What kind of code a model has."""

from math import ceil, log2, prod
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from aecore.config.backbones import Activation
from aecore.config.base import Config, ConfigError

UNITS: dict[str, Any] = {
    "ge": 1,
    "le": 65536,
    "title": "Code size",
    "description": "Number of code units.",
    "json_schema_extra": {"basic": True, "role": "code_size"},
}


class Bottleneck(Config):
    """What every bottleneck has."""

    kind: str

    finite: ClassVar[bool] = False
    """Whether the code is one of finitely many."""
    whole_batch: ClassVar[str] = ""
    """What is computed from all images of a batch at once, which several processes cannot; '' where nothing is."""

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the code of one image, from that of its features."""
        raise NotImplementedError

    def bits(self, code_shape: tuple[int, ...]) -> float | None:
        """Bits that tell a code of this shape from all others; None where it is not one of finitely many."""
        return None

    def code_bytes(self, code_shape: tuple[int, ...]) -> int:
        """Bytes of a code: one for each of its numbers, or those that tell it from finitely many others."""
        bits = self.bits(code_shape)
        return prod(code_shape) if bits is None else ceil(bits / 8)


class VectorBottleneck(Bottleneck):
    """A plain vector: one dense layer from the features to the code, and one back."""

    kind: Literal["vector"] = "vector"
    latent_dim: int = Field(16, **UNITS)
    activation: Activation = Field(
        "none", title="Activation of the code", description="Non-linearity on the code itself."
    )

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return (self.latent_dim,)


class FeatureMapBottleneck(Bottleneck):
    """The backbone's feature map is the code: it keeps the layout of the image."""

    kind: Literal["feature_map"] = "feature_map"

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return features


class GaussianBottleneck(Bottleneck):
    """A diagonal Gaussian posterior, sampled in training and its mean otherwise. Kingma & Welling 2014."""

    kind: Literal["gaussian"] = "gaussian"
    latent_dim: int = Field(16, **UNITS)

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return (self.latent_dim,)


class SphereBottleneck(Bottleneck):
    """A code of length 1: a point on a sphere, whose prior is uniform. With one unit only -1 and 1 are left."""

    kind: Literal["sphere"] = "sphere"
    latent_dim: int = Field(16, **{**UNITS, "ge": 2})

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return (self.latent_dim,)


class TopKBottleneck(Bottleneck):
    """A vector of which only the k largest units are kept, the rest is 0. Makhzani & Frey 2014 (k-sparse autoencoders)."""

    kind: Literal["top_k"] = "top_k"
    latent_dim: int = Field(16, **UNITS)
    k: int = Field(
        4, ge=1, le=65536, title="Active units", description="Units of each code that are kept: the largest ones."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.k > self.latent_dim:
            sentence = (
                f"model.bottleneck.k is {self.k}, but the code has {self.latent_dim} units: at most {self.latent_dim}."
            )
            raise ConfigError({"model.bottleneck.k": sentence})
        return self

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return (self.latent_dim,)


class Quantised(Bottleneck):
    """Vectors that are each one of finitely many: one in every place of a feature map, else as many as are asked for."""

    vectors: int = Field(
        16,
        ge=1,
        le=65536,
        title="Vectors per code",
        description="Where the backbone's features are no map; a feature map has one vector in each place.",
    )

    finite: ClassVar[bool] = True

    @property
    def width(self) -> int:
        """Numbers of one vector."""
        raise NotImplementedError

    @property
    def book_size(self) -> int:
        """Vectors that there are."""
        raise NotImplementedError

    def code_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        return (self.width, *features[1:]) if len(features) == 3 else (self.width, self.vectors)

    def bits(self, code_shape: tuple[int, ...]) -> float:
        return prod(code_shape[1:]) * log2(self.book_size)


class VqBottleneck(Quantised):
    """Vectors from a code book that follows the encoder as a moving average. van den Oord et al. 2017 (VQ-VAE)."""

    kind: Literal["vq"] = "vq"
    codes: int = Field(
        512,
        ge=2,
        le=65536,
        title="Code book",
        description="Vectors in the code book.",
        json_schema_extra={"basic": True},
    )
    dimension: int = Field(32, ge=1, le=4096, title="Vector length", description="Numbers of one vector.")
    commitment: float = Field(
        0.25, ge=0, le=1000, title="Commitment", description="Force that draws the encoder's vectors to the code book."
    )
    decay: float = Field(
        0.99, ge=0, lt=1, title="Decay", description="Share of the code book's moving average that a step leaves."
    )
    restart: float = Field(
        0.05,
        ge=0,
        lt=1,
        title="Restart below",
        description="A vector used less than this share of the mean use is dead: it restarts at one of the batch's. 0 never.",
    )

    whole_batch: ClassVar[str] = "model.bottleneck.kind 'vq' moves its code book by the whole batch"

    @property
    def width(self) -> int:
        return self.dimension

    @property
    def book_size(self) -> int:
        return self.codes


MOST_CODES = 65536


class FsqBottleneck(Quantised):
    """Each number rounded to one of a few levels: a code book that needs no learning. Mentzer et al. 2024 (FSQ)."""

    kind: Literal["fsq"] = "fsq"
    levels: tuple[Annotated[int, Field(ge=2, le=256)], ...] = Field(
        (8, 8, 8),
        min_length=1,
        max_length=16,
        title="Levels",
        description="Levels of each number of a vector; their product is the number of codes.",
        json_schema_extra={"basic": True},
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (codes := prod(self.levels)) > MOST_CODES:
            sentence = (
                f"model.bottleneck.levels make {codes} codes: at most {MOST_CODES}, so use fewer or smaller levels."
            )
            raise ConfigError({"model.bottleneck.levels": sentence})
        return self

    @property
    def width(self) -> int:
        return len(self.levels)

    @property
    def book_size(self) -> int:
        return prod(self.levels)


def size(code_shape: tuple[int, ...]) -> int:
    """Numbers in one code."""
    return prod(code_shape)


BottleneckConfig = Annotated[
    VectorBottleneck
    | FeatureMapBottleneck
    | GaussianBottleneck
    | SphereBottleneck
    | TopKBottleneck
    | VqBottleneck
    | FsqBottleneck,
    Field(discriminator="kind"),
]
