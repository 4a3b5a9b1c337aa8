"""What layers a model has. Shape arithmetic lives here, free of torch, so that a form can refuse before anything is built."""

from typing import Annotated

from pydantic import Field

from aecore.config.backbones.base import Activation, Backbone, OutputActivation, Width
from aecore.config.backbones.convolutional import ConvBackbone
from aecore.config.backbones.dense import DenseBackbone
from aecore.config.backbones.mirror import Mirror
from aecore.config.backbones.recurrent import RecurrentBackbone
from aecore.config.backbones.transformer import TransformerBackbone

BackboneConfig = Annotated[
    DenseBackbone | ConvBackbone | RecurrentBackbone | TransformerBackbone, Field(discriminator="kind")
]
DecoderConfig = Annotated[
    Mirror | DenseBackbone | ConvBackbone | RecurrentBackbone | TransformerBackbone, Field(discriminator="kind")
]

__all__ = [
    "Activation",
    "Backbone",
    "BackboneConfig",
    "ConvBackbone",
    "DecoderConfig",
    "DenseBackbone",
    "Mirror",
    "OutputActivation",
    "RecurrentBackbone",
    "TransformerBackbone",
    "Width",
]
