"""What is done to the input while the target stays clean; of two tasks, what is done to the target."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from aecore.config.base import Config, ConfigError
from aecore.config.facts import Shape

BASIC: dict[str, Any] = {"basic": True}
"""The control of a task that a newcomer sets."""


class Task(Config):
    """What all tasks share."""

    @property
    def target(self) -> str:
        """What the decoder should give, in words; '' where that is the image itself."""
        return ""

    def refusal(self, shape: Shape) -> str:
        """Why images of `shape` (C, H, W) cannot have this task, in a sentence; '' where they can."""
        return ""


class IdentityTask(Task):
    """The encoder sees the image itself."""

    kind: Literal["identity"] = "identity"


class DenoiseTask(Task):
    """The encoder sees the image with Gaussian noise, clipped to the pixel range. Vincent et al. 2008."""

    kind: Literal["denoise"] = "denoise"
    sigma: float = Field(
        0.5,
        gt=0,
        le=2,
        title="Noise",
        description="Standard deviation of the noise, in units of a [0,1] pixel.",
        json_schema_extra=BASIC,
    )
    sigma_to: float | None = Field(
        None,
        gt=0,
        le=2,
        title="Noise up to",
        description="Each image has noise of its own, drawn evenly between the two. Empty: all have the same.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _in_order("sigma", self.sigma, self.sigma_to)
        return self


class PixelNoise(Task):
    """What the noises share that hit single pixels."""

    share: float = Field(0.2, gt=0, lt=1, title="Share of pixels", description="Share of the pixels that are hit.")
    share_to: float | None = Field(
        None,
        gt=0,
        lt=1,
        title="Share up to",
        description="Each image has a share of its own, drawn evenly between the two. Empty: all have the same.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _in_order("share", self.share, self.share_to)
        return self


class SaltAndPepperTask(PixelNoise):
    """Some pixels that the encoder sees are black or white. Vincent et al. 2010."""

    kind: Literal["salt_and_pepper"] = "salt_and_pepper"
    share: float = Field(
        0.2,
        gt=0,
        lt=1,
        title="Share of pixels",
        description="Share of the pixels that are lost, half of them white.",
        json_schema_extra=BASIC,
    )


class MaskingTask(PixelNoise):
    """Some pixels that the encoder sees are black. Masking noise of Vincent et al. 2008."""

    kind: Literal["masking"] = "masking"
    share: float = Field(
        0.25,
        gt=0,
        lt=1,
        title="Share of pixels",
        description="Share of the pixels that are black.",
        json_schema_extra=BASIC,
    )


class InpaintTask(Task):
    """A hole in the image, filled with mid-grey, has to be painted again. Pathak et al. 2016."""

    kind: Literal["inpaint"] = "inpaint"
    hole: Literal["box", "half", "pixels"] = Field(
        "box",
        title="Hole",
        description="A box at a random place, one of the four halves of the image, or single pixels.",
        json_schema_extra=BASIC,
    )
    share: float = Field(
        0.25,
        gt=0,
        lt=1,
        title="Share of the image",
        description="How much is missing: the area of the box, or the chance of each pixel. A half is a half.",
    )


class ColouriseTask(Task):
    """The encoder sees the image in grey, on as many channels, and the colours have to be found. Zhang et al. 2016."""

    kind: Literal["colourise"] = "colourise"

    def refusal(self, shape: Shape) -> str:
        if shape[0] == 3:
            return ""
        return f"task.kind is 'colourise', but these images have {shape[0]} channel: there is no colour to find."


class GreyTask(Task):
    """The encoder sees the colours, and the decoder should give the image in grey, on as many channels. ITU-R BT.601."""

    kind: Literal["grey"] = "grey"

    @property
    def target(self) -> str:
        return "the image in grey"

    def refusal(self, shape: Shape) -> str:
        if shape[0] == 3:
            return ""
        return f"task.kind is 'grey', but these images have {shape[0]} channel: they are grey already."


class Resampling(Task):
    """What the tasks share in which the image is made small and large again."""

    kind: str
    factor: Literal[2, 4] = Field(
        2,
        title="Factor",
        description="How many times smaller each side becomes, by the mean of the pixels.",
        json_schema_extra=BASIC,
    )

    def refusal(self, shape: Shape) -> str:
        _, height, width = shape
        if height % self.factor == 0 and width % self.factor == 0:
            return ""
        return (
            f"task.kind is '{self.kind}' with factor {self.factor}, but these images are {height}x{width} pixels: "
            f"both sides must be multiples of {self.factor}."
        )


class SuperResolveTask(Resampling):
    """The encoder sees the image made small and large again, and the detail has to be found. Dong et al. 2014."""

    kind: Literal["super_resolve"] = "super_resolve"
    enlarge: Literal["nearest", "bilinear", "bicubic"] = Field(
        "bicubic", title="Enlarged by", description="How the small image is made large again: this is the line to beat."
    )


class DownSampleTask(Resampling):
    """The encoder sees all of the image, and the decoder should give it made small, at the size that it had."""

    kind: Literal["down_sample"] = "down_sample"
    enlarge: Literal["nearest", "bilinear", "bicubic"] = Field(
        "nearest", title="Enlarged by", description="How the small image is made as large again as the decoder's are."
    )

    @property
    def target(self) -> str:
        return f"the image made {self.factor} times smaller"


class DeblurTask(Task):
    """The encoder sees the image through a Gaussian blur."""

    kind: Literal["deblur"] = "deblur"
    sigma: float = Field(
        1.5,
        gt=0,
        le=16,
        title="Blur",
        description="Standard deviation of the Gaussian filter, in pixels.",
        json_schema_extra=BASIC,
    )


class MaskedPatchesTask(Task):
    """A share of the image's square patches is mid-grey, exactly as many in every image. He et al. 2022."""

    kind: Literal["masked_patches"] = "masked_patches"
    patch: int = Field(4, ge=1, le=64, title="Patch", description="Side of a patch in pixels.")
    share: float = Field(
        0.75,
        gt=0,
        lt=1,
        title="Share of patches",
        description="Share of the patches that are grey.",
        json_schema_extra=BASIC,
    )

    def refusal(self, shape: Shape) -> str:
        _, height, width = shape
        if self.patch < max(height, width):
            return ""
        return (
            f"task.patch is {self.patch}, but these images are {height}x{width} pixels: one patch would be all of it."
        )


AnyTask = (
    IdentityTask
    | DenoiseTask
    | SaltAndPepperTask
    | MaskingTask
    | InpaintTask
    | ColouriseTask
    | GreyTask
    | SuperResolveTask
    | DownSampleTask
    | DeblurTask
    | MaskedPatchesTask
)


def _in_order(name: str, low: float, high: float | None) -> None:
    """Raises ConfigError where a range ends below its begin."""
    if high is not None and high < low:
        raise ConfigError({f"task.{name}_to": f"task.{name}_to is {high}, but must be at least task.{name}, {low}."})
