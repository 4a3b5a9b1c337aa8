"""What every objective has: a reconstruction loss, the codes it goes with, and what its terms are called on an axis."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from aecore.config.backbones import Backbone, ConvBackbone
from aecore.config.base import Config
from aecore.config.bottlenecks import Bottleneck

Loss = Literal["mse", "l1", "huber", "gaussian", "bce", "ssim", "ms_ssim"]
LOSS: dict[str, Any] = {
    "title": "Loss",
    "description": "Squared error, absolute error, Huber (squared up to an error of 1 in model units, then absolute), Gaussian "
    "with a learnt noise level, binary cross-entropy (for pixels in [0,1] only), or 1 - SSIM at one scale or at several.",
    "json_schema_extra": {"basic": True},
}


class Objective(Config):
    """What every objective has."""

    kind: str
    loss: Loss = Field("mse", **LOSS)

    summed: ClassVar[bool] = False
    """Whether the reconstruction loss is the sum over the pixels of an image; else it is their mean."""
    terms: ClassVar[Mapping[str, str]] = {}
    """{name of a term beside 'reconstruction': title of its axis}."""

    @property
    def whole_batch(self) -> str:
        """What is computed from all images of a batch at once, which several processes cannot; '' where nothing is."""
        return ""

    def misfits(self, backbone: Backbone, bottleneck: Bottleneck) -> dict[str, str]:
        """{path: sentence} of what does not go together."""
        if bottleneck.finite:
            return {
                "model.objective.kind": f"model.objective.kind is {self.kind!r}, but the bottleneck {bottleneck.kind!r} picks its code "
                "from a finite set, where there is nothing to shrink or to shift: use the objective 'reconstruction'."
            }
        return {}


def own_image_only(kind: str, backbone: Backbone) -> dict[str, str]:
    """{path: sentence} where the objective `kind` needs the code of an image to depend on no other, and the backbone has it otherwise."""
    if not isinstance(backbone, ConvBackbone) or backbone.norm != "batch":
        return {}
    return {
        "model.backbone.norm": f"model.backbone.norm is 'batch', but the objective {kind!r} needs a code that depends "
        "on its own image only: use the norm 'none'."
    }
