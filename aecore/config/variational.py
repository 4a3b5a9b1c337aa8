"""The objectives of variational autoencoders: sums over the pixels, and a distance from the prior."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from aecore.config.backbones import Backbone
from aecore.config.base import Config, ConfigError
from aecore.config.bottlenecks import Bottleneck
from aecore.config.losses import LOSS, Loss, Objective, own_image_only


class Variational(Objective):
    """What all objectives of variational autoencoders have: sums over the pixels, and nats."""

    loss: Loss = Field("bce", **LOSS)
    beta: float = Field(
        1.0, ge=0, le=1000, title="Beta", description="Weight of the KL term; 1 is the variational autoencoder."
    )
    kl_warmup: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title="KL warm-up",
        description="Steps in which the weight of the KL term rises linearly from 0. 0 begins with the whole weight.",
    )

    free_bits: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Free bits",
        description="Nats that each code unit may use at no cost, which keeps units from collapsing; where the KL is known of the whole "
        "code only (TC, IWAE, VampPrior) its units share theirs. Kingma et al. 2016.",
    )

    summed: ClassVar[bool] = True

    @property
    def whole_batch(self) -> str:
        return "model.objective.free_bits compares the batch's mean KL" if self.free_bits else ""

    def misfits(self, backbone: Backbone, bottleneck: Bottleneck) -> dict[str, str]:
        if bottleneck.kind == "gaussian":
            return {}
        return {
            "model.objective.kind": f"model.objective.kind is {self.kind!r}, but the bottleneck {bottleneck.kind!r} has no posterior "
            "to compare with the prior: use 'gaussian', or the objective 'reconstruction'."
        }


KL_TITLE = "KL to the prior as it is minimised (weight, free bits, capacity), nats per image"


class Elbo(Variational):
    """What the objectives have in which the KL is a term of its own."""

    capacity: float = Field(
        0.0,
        ge=0,
        le=10_000,
        title="Capacity",
        description="Nats that the KL is drawn to, instead of to 0, with beta as the force. Burgess et al. 2018.",
    )
    capacity_steps: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title="Capacity steps",
        description="Steps in which the capacity rises linearly from 0. 0 begins with all of it.",
    )

    terms: ClassVar[Mapping[str, str]] = {"kl": KL_TITLE}

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.free_bits and self.capacity:
            sentence = (
                f"model.objective.free_bits is {self.free_bits:g} and model.objective.capacity is {self.capacity:g}: both say "
                "how large the KL should be. Set one of them to 0."
            )
            raise ConfigError({"model.objective.free_bits": sentence})
        return self


class ElboObjective(Elbo):
    """Evidence lower bound: reconstruction summed over the pixels of an image, plus beta times KL to N(0, I), in nats.

    Kingma & Welling 2014; beta: Higgins et al. 2017.
    """

    kind: Literal["elbo"] = "elbo"


ESTIMATED = "weighted, nats; estimated from each batch, off by a constant"
"""Minibatch weighted sampling takes the density of the codes too low: how they change is what these say, not how large they are."""


class TcObjective(Variational):
    """The KL in three parts, so that only the dependence between code units is pressed on. Chen et al. 2018 (beta-TC-VAE)."""

    kind: Literal["tc"] = "tc"
    beta: float = Field(
        6.0,
        ge=0,
        le=1000,
        title="Beta",
        description="Weight of the total correlation: how much code units tell of one another.",
    )
    alpha: float = Field(
        1.0,
        ge=0,
        le=1000,
        title="Alpha",
        description="Weight of the information that a code has about its image.",
    )
    gamma: float = Field(
        1.0, ge=0, le=1000, title="Gamma", description="Weight of each code unit's own distance from the prior."
    )

    terms: ClassVar[Mapping[str, str]] = {
        "mutual_information": f"information between image and code, {ESTIMATED}",
        "total_correlation": f"total correlation of the code, {ESTIMATED}",
        "dimension_kl": f"KL of each code unit, summed, {ESTIMATED}",
    }

    @property
    def whole_batch(self) -> str:
        return "model.objective.kind 'tc' estimates the density of the codes from the whole batch"


class DipObjective(Elbo):
    """ELBO, and a covariance of the codes that is drawn to the identity. Kumar et al. 2018 (DIP-VAE)."""

    kind: Literal["dip"] = "dip"
    variant: Literal["I", "II"] = Field(
        "I",
        title="Variant",
        description="I: the covariance of the posteriors' means; II: with their variances, of the drawn codes.",
    )
    off_diagonal: float = Field(
        10.0,
        ge=0,
        le=10_000,
        title="Weight of covariances",
        description="Force that draws the covariance of two code units to 0.",
    )
    diagonal: float = Field(
        100.0,
        ge=0,
        le=10_000,
        title="Weight of variances",
        description="Force that draws the variance of each code unit to 1.",
    )

    terms: ClassVar[Mapping[str, str]] = {
        "kl": KL_TITLE,
        "covariance": "distance of the codes' covariance from I, weighted",
    }

    @property
    def whole_batch(self) -> str:
        return "model.objective.kind 'dip' needs the covariance of the whole batch"


class Mmd(Config):
    """How two sets of codes are compared."""

    kernel: Literal["imq", "rbf"] = Field(
        "imq",
        title="Kernel",
        description="Inverse multiquadratic at seven scales (Tolstikhin et al. 2018), or one Gaussian.",
    )
    bandwidth: float = Field(
        1.0, gt=0, le=100, title="Bandwidth", description="Width of the kernel, in standard deviations of the prior."
    )


MMD_TITLE = "maximum mean discrepancy to the prior, weighted"


class InfoObjective(Mmd, Elbo):
    """ELBO with maximum mean discrepancy to the prior: Zhao et al. 2019 (InfoVAE), with beta = 1 - alpha.

    With beta 0 it is the MMD-VAE.
    """

    kind: Literal["info"] = "info"
    mmd: float = Field(
        10.0,
        ge=0,
        le=100_000,
        title="Weight of MMD",
        description="Weight of the discrepancy to the prior: alpha + lambda - 1 in the paper.",
    )

    terms: ClassVar[Mapping[str, str]] = {"kl": KL_TITLE, "mmd": MMD_TITLE}

    @property
    def whole_batch(self) -> str:
        return "model.objective.kind 'info' compares the whole batch with the prior"


class IwaeObjective(Variational):
    """A tighter bound, from several codes of each image. Burda et al. 2016 (importance weighted autoencoder)."""

    kind: Literal["iwae"] = "iwae"
    samples: int = Field(
        5, ge=1, le=256, title="Codes per image", description="Codes drawn for each image; 1 gives the ELBO."
    )

    terms: ClassVar[Mapping[str, str]] = {"importance": "bound without the mean reconstruction, nats per image"}


class VampObjective(Variational):
    """ELBO with a prior that is learnt: the posteriors of inputs that are learnt, mixed. Tomczak & Welling 2018 (VampPrior)."""

    kind: Literal["vamp"] = "vamp"
    components: int = Field(
        100, ge=1, le=4096, title="Pseudo-inputs", description="Learnt images whose posteriors, mixed, are the prior."
    )

    terms: ClassVar[Mapping[str, str]] = {"kl": "KL to the learnt prior, from one code of each image, weighted, nats"}

    def misfits(self, backbone: Backbone, bottleneck: Bottleneck) -> dict[str, str]:
        return own_image_only("vamp", backbone) or super().misfits(backbone, bottleneck)
