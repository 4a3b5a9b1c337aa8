"""What is minimised. Each objective says here which codes it goes with, and what its terms are called on an axis."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from aecore.config.adversarial import AaeObjective, FactorObjective
from aecore.config.backbones import Backbone
from aecore.config.bottlenecks import Bottleneck, VectorBottleneck
from aecore.config.losses import Objective, own_image_only
from aecore.config.variational import (
    MMD_TITLE,
    DipObjective,
    ElboObjective,
    InfoObjective,
    IwaeObjective,
    Mmd,
    TcObjective,
    VampObjective,
)


class ReconstructionObjective(Objective):
    """Reconstruction loss alone: the mean over the pixels of an image, then over the batch."""

    kind: Literal["reconstruction"] = "reconstruction"

    def misfits(self, backbone: Backbone, bottleneck: Bottleneck) -> dict[str, str]:
        return {}


class WaeObjective(Mmd, Objective):
    """Reconstruction, summed over pixels, and codes that are distributed like the prior. Tolstikhin et al. 2018 (WAE-MMD)."""

    kind: Literal["wae"] = "wae"
    weight: float = Field(
        10.0, ge=0, le=100_000, title="Weight of MMD", description="Weight of the discrepancy to the prior."
    )

    summed: ClassVar[bool] = True
    terms: ClassVar[Mapping[str, str]] = {"mmd": MMD_TITLE}

    @property
    def whole_batch(self) -> str:
        return "model.objective.kind 'wae' compares the whole batch with the prior"


class SparseObjective(Objective):
    """Reconstruction, and few active code units: L1, or KL to a target activity. Ng 2011."""

    kind: Literal["sparse"] = "sparse"
    penalty: Literal["l1", "kl"] = Field(
        "l1",
        title="Penalty",
        description="Sum of absolute values of the code, or KL of each unit's mean activity from the target.",
    )
    weight: float = Field(1e-3, ge=0, le=1000, title="Weight", description="Weight of the penalty.")
    activity: float = Field(
        0.05, gt=0, lt=1, title="Target activity", description="Mean activity that each unit is drawn to, for KL."
    )

    terms: ClassVar[Mapping[str, str]] = {"sparsity": "penalty on active code units, weighted"}

    @property
    def whole_batch(self) -> str:
        return (
            "model.objective.penalty 'kl' needs the mean activity over the whole batch" if self.penalty == "kl" else ""
        )

    def misfits(self, backbone: Backbone, bottleneck: Bottleneck) -> dict[str, str]:
        sigmoid = isinstance(bottleneck, VectorBottleneck) and bottleneck.activation == "sigmoid"
        if self.penalty == "kl" and not sigmoid and not bottleneck.finite:
            return {
                "model.objective.penalty": "model.objective.penalty is 'kl', but an activity must lie in (0,1): use a vector "
                "bottleneck with the activation 'sigmoid', or the penalty 'l1'."
            }
        return super().misfits(backbone, bottleneck)


class ContractiveObjective(Objective):
    """Reconstruction, and a code that changes little with the image. Rifai et al. 2011."""

    kind: Literal["contractive"] = "contractive"
    weight: float = Field(
        1e-4, ge=0, le=1000, title="Weight", description="Weight of the squared norm of the encoder's Jacobian."
    )
    probes: int = Field(
        1,
        ge=0,
        le=1024,
        title="Random directions",
        description="Directions that estimate the norm, without bias. 0 takes every code unit: exact, and slow for long codes.",
    )

    terms: ClassVar[Mapping[str, str]] = {"contraction": "squared norm of the encoder's Jacobian, weighted"}

    def misfits(self, backbone: Backbone, bottleneck: Bottleneck) -> dict[str, str]:
        return own_image_only("contractive", backbone) or super().misfits(backbone, bottleneck)


class RaeObjective(Objective):
    """Reconstruction, summed over pixels, small codes and a smooth decoder, without noise. Ghosh et al. 2020 (RAE)."""

    kind: Literal["rae"] = "rae"
    code: float = Field(
        0.01, ge=0, le=1000, title="Weight of the code", description="Weight of half the squared length of the code."
    )
    smooth: Literal["l2", "gradient", "none"] = Field(
        "l2",
        title="Decoder",
        description="Penalty on the decoder's squared weights, on its squared Jacobian (one random direction), or none.",
    )
    decoder: float = Field(1e-4, ge=0, le=1000, title="Weight of the decoder", description="Weight of that penalty.")

    summed: ClassVar[bool] = True
    terms: ClassVar[Mapping[str, str]] = {
        "code": "half the squared length of the code, weighted",
        "decoder": "penalty on the decoder, weighted",
    }


ObjectiveConfig = Annotated[
    ReconstructionObjective
    | ElboObjective
    | TcObjective
    | DipObjective
    | InfoObjective
    | IwaeObjective
    | VampObjective
    | FactorObjective
    | WaeObjective
    | AaeObjective
    | SparseObjective
    | ContractiveObjective
    | RaeObjective,
    Field(discriminator="kind"),
]
