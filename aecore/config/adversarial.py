"""Objectives with a discriminator: a network of its own that is trained against the autoencoder."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from aecore.config.backbones import Width
from aecore.config.base import Config
from aecore.config.losses import Objective
from aecore.config.variational import KL_TITLE, Elbo

OPPONENT_TITLE = "cross-entropy of the discriminator, nats per code: 0.69 where it cannot tell"


class Opposed(Config):
    """The discriminator: dense layers with leaky ReLU on the code, and an optimiser of its own."""

    discriminator: tuple[Width, ...] = Field(
        (256, 256),
        min_length=1,
        max_length=8,
        title="Discriminator nodes per layer",
        description="Units of each hidden layer of the network that is trained against the autoencoder.",
    )
    discriminator_rate: float = Field(
        1.0,
        gt=0,
        le=100,
        title="Rate of the discriminator",
        description="Its learning rate, as a multiple of the autoencoder's.",
    )


class AaeObjective(Opposed, Objective):
    """Reconstruction, summed over pixels, and codes that a discriminator cannot tell from the prior. Makhzani et al. 2016 (AAE)."""

    kind: Literal["aae"] = "aae"
    weight: float = Field(
        10.0,
        ge=0,
        le=100_000,
        title="Weight",
        description="Weight of the autoencoder's reward for codes that the discriminator takes for the prior's.",
    )

    summed: ClassVar[bool] = True
    terms: ClassVar[Mapping[str, str]] = {
        "adversarial": "surprise of the discriminator at the codes, weighted, nats",
        "discriminator": OPPONENT_TITLE,
    }


class FactorObjective(Opposed, Elbo):
    """ELBO, and a total correlation that a discriminator estimates: codes against codes whose units were exchanged.

    Kim & Mnih 2018 (FactorVAE).
    """

    kind: Literal["factor"] = "factor"
    gamma: float = Field(
        10.0,
        ge=0,
        le=1000,
        title="Gamma",
        description="Weight of the total correlation: how much code units tell of one another.",
    )

    terms: ClassVar[Mapping[str, str]] = {
        "kl": KL_TITLE,
        "total_correlation": "total correlation of the code, weighted, nats",
        "discriminator": OPPONENT_TITLE,
    }

    @property
    def whole_batch(self) -> str:
        return "model.objective.kind 'factor' exchanges code units among the images of the whole batch"
