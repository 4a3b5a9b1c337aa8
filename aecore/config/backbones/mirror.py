"""A decoder that is given by its encoder."""

from typing import Literal

from aecore.config.base import Config


class Mirror(Config):
    """The encoder's layers in reverse order."""

    kind: Literal["mirror"] = "mirror"
