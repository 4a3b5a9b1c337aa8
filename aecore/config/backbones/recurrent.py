"""Recurrent layers over the rows or columns of an image, or over the steps of a sequence, which is an image of one channel."""

from typing import Literal

from pydantic import Field

from aecore.config.backbones.base import Backbone, Width
from aecore.config.base import ConfigError
from aecore.config.facts import Shape


class RecurrentBackbone(Backbone):
    """Reads an image line by line, or a sequence step by step, and writes it again. Srivastava et al. 2015."""

    kind: Literal["recurrent"] = "recurrent"
    widths: tuple[Width, ...] = Field(
        (128,),
        min_length=1,
        max_length=8,
        title="Nodes per layer",
        description="Units of each recurrent layer; the decoder mirrors them. The features are the last layer's last state.",
        json_schema_extra={"basic": True},
    )
    cell: Literal["lstm", "gru"] = Field(
        "lstm", title="Cell", description="LSTM (Hochreiter & Schmidhuber 1997), or GRU (Cho et al. 2014), a gate less."
    )
    over: Literal["rows", "columns"] = Field(
        "rows",
        title="Reads by",
        description="What a step is: a row, from the top down, or a column, from left to right, as time runs in a sequence.",
    )
    bidirectional: bool = Field(
        False, title="Both directions", description="The encoder also reads from the last step to the first."
    )
    reverse: bool = Field(
        False,
        title="Writes backwards",
        description="The decoder writes the last step first: it begins with what the encoder read last, and knows best. "
        "Srivastava et al. 2015, section 2.1.",
    )

    def feature_shape(self, shape: Shape) -> tuple[int, ...]:
        if shape[0] != 1:
            sentence = (
                f"model.backbone.kind is 'recurrent', which reads one line of numbers after the other, but these images have "
                f"{shape[0]} channels: set data.colour to 'grey', or use 'conv'."
            )
            raise ConfigError({"model.backbone.kind": sentence})
        return (self.directions * self.widths[-1],)

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1
