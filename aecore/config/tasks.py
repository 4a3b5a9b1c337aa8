"""What is done to the input while the target stays clean."""

from typing import Literal

from pydantic import Field

from aecore.config.base import Config


class IdentityTask(Config):
    """The encoder sees the image itself."""

    kind: Literal["identity"] = "identity"


class DenoiseTask(Config):
    """The encoder sees the image with Gaussian noise, clipped to the pixel range. Vincent et al. 2008."""

    kind: Literal["denoise"] = "denoise"
    sigma: float = Field(
        0.5, gt=0, le=2, title="Noise", description="Standard deviation of the noise, in units of a [0,1] pixel."
    )
