"""What is minimised."""

from typing import Literal

from pydantic import Field

from aecore.config.base import Config

Loss = Literal["mse", "l1", "bce"]


class ReconstructionObjective(Config):
    """Reconstruction loss alone: the mean over the pixels of an image, then over the batch."""

    kind: Literal["reconstruction"] = "reconstruction"
    loss: Loss = Field(
        "mse",
        title="Loss",
        description="Squared error, absolute error, or binary cross-entropy (for pixels in [0,1] only).",
        json_schema_extra={"basic": True},
    )


class ElboObjective(Config):
    """Evidence lower bound: reconstruction summed over the pixels of an image, plus beta times KL to N(0, I), in nats.

    Kingma & Welling 2014; beta: Higgins et al. 2017.
    """

    kind: Literal["elbo"] = "elbo"
    loss: Loss = Field(
        "bce",
        title="Loss",
        description="Squared error, absolute error, or binary cross-entropy (for pixels in [0,1] only).",
        json_schema_extra={"basic": True},
    )
    beta: float = Field(
        1.0, ge=0, le=1000, title="Beta", description="Weight of the KL term; 1 is the variational autoencoder."
    )
