"""Which images, and what is done to them before a model sees them."""

from typing import Literal

from pydantic import Field

from aecore.config.base import Config

ValueRange = Literal["[0,1]", "[-1,1]"]


class DataConfig(Config):
    """A data set and how it is prepared. The name is looked up in `aecore.data.DATASETS`."""

    name: str = Field(
        "glyphs", title="Data set", description="Which images to learn from.", json_schema_extra={"basic": True}
    )
    path: str = Field(
        "",
        title="Folder or zip",
        description="Only for the data set 'folder': a folder or zip of class folders, absolute or inside a data folder.",
    )
    size: int | None = Field(
        None,
        ge=8,
        le=256,
        title="Image side",
        description="Resize to this many pixels a side. Empty keeps the data's own.",
    )
    colour: Literal["own", "grey", "rgb"] = Field(
        "own", title="Colour", description="Convert to grey or RGB, or keep the data's own channels."
    )
    value_range: ValueRange = Field(
        "[0,1]", title="Pixel range", description="The range that pixels are normalised to before the model sees them."
    )
    validation: float = Field(
        0.1,
        ge=0,
        le=0.5,
        title="Validation share",
        description="Share of the training images held out and watched. 0 trains on all and watches the test split.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Data seed", description="Seed of generated images and of the validation split."
    )
