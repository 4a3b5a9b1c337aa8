"""Models: a backbone, a bottleneck and an objective each, from three registries. A new one is its module and one line here."""

from collections.abc import Callable
from typing import Any

import torch

from aecore.config import Facts, ModelConfig
from aecore.models.autoencoder import Autoencoder, Decoder, Encoder
from aecore.models.batch import Batch, Output, Progress
from aecore.models.bottlenecks import Bottleneck, Code, feature_map, gaussian, sphere, top_k, vector
from aecore.models.convolutional import convolutional_layers
from aecore.models.dense import dense_layers
from aecore.models.layers import ACTIVATIONS, Layers
from aecore.models.objectives import Contractive, Objective, Reconstruction, Regularised, Sparse, Wasserstein
from aecore.models.quantised import fsq, use_of_codes, vq
from aecore.models.summary import Layer, Summary, summarise
from aecore.models.variational import Dip, Elbo, ImportanceWeighted, Info, TotalCorrelation

BACKBONES: dict[str, Callable[[Any, Any], Layers]] = {"dense": dense_layers, "conv": convolutional_layers}
"""kind -> builder(config, shape of an image)."""

BOTTLENECKS: dict[str, Callable[[Any, Any, str], Bottleneck]] = {
    "vector": vector,
    "feature_map": feature_map,
    "gaussian": gaussian,
    "sphere": sphere,
    "top_k": top_k,
    "vq": vq,
    "fsq": fsq,
}
"""kind -> builder(config, shape of the features, activation of features made from a code)."""

OBJECTIVES: dict[str, Callable[[Any, Facts], Objective]] = {
    "reconstruction": Reconstruction,
    "elbo": Elbo,
    "tc": TotalCorrelation,
    "dip": Dip,
    "info": Info,
    "iwae": ImportanceWeighted,
    "wae": Wasserstein,
    "sparse": Sparse,
    "contractive": Contractive,
    "rae": Regularised,
}
"""kind -> builder(config, facts of the data)."""


def build(config: ModelConfig, facts: Facts) -> Autoencoder:
    """The model for images of `facts.shape`, with fresh weights from PyTorch's global generator, on the default device.

    Raises:
        ConfigError: where the layers do not fit the image.
    """
    layers = BACKBONES[config.backbone.kind](config.backbone, facts.shape)
    bottleneck = BOTTLENECKS[config.bottleneck.kind](config.bottleneck, layers.feature_shape, layers.feature_activation)
    return Autoencoder(
        Encoder(layers.down, bottleneck.enter),
        Decoder(bottleneck.leave, layers.up, ACTIVATIONS[config.backbone.output]()),
        OBJECTIVES[config.objective.kind](config.objective, facts),
        config.code_shape(facts.shape),
        max(layers.widest, bottleneck.enter.scratch),
    )


def summary(config: ModelConfig, facts: Facts) -> Summary:
    """Layers, parameters and code of a model, on the meta device: no weights are made, whatever their number.

    Raises:
        ConfigError: where the layers do not fit the image.
    """
    with torch.device("meta"):
        return summarise(build(config, facts), facts)


__all__ = [
    "ACTIVATIONS",
    "BACKBONES",
    "BOTTLENECKS",
    "OBJECTIVES",
    "Autoencoder",
    "Batch",
    "Bottleneck",
    "Code",
    "Decoder",
    "Encoder",
    "Layer",
    "Layers",
    "Objective",
    "Output",
    "Progress",
    "Summary",
    "build",
    "summarise",
    "summary",
    "use_of_codes",
]
