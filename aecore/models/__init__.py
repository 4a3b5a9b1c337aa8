"""Models: a backbone, a bottleneck and an objective each, from three registries. A new one is its module and one line here."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch

from aecore.config import Facts, ModelConfig
from aecore.models.adversarial import Adversarial, AdversarialAutoencoder, Factor
from aecore.models.autoencoder import Autoencoder, Decoder, Encoder
from aecore.models.batch import Batch, Output, Progress, Sums
from aecore.models.bottlenecks import Bottleneck, Code, Ends, feature_map, gaussian, sphere, top_k, vector
from aecore.models.convolutional import convolutional_layers
from aecore.models.dense import dense_layers, tie
from aecore.models.labelled import ConditionalDecoder, SwapDecoder
from aecore.models.layers import ACTIVATIONS, Layers
from aecore.models.objectives import Contractive, Objective, Reconstruction, Regularised, Sparse, Wasserstein
from aecore.models.quantised import fsq, use_of_codes, vq
from aecore.models.recurrent import recurrent_layers
from aecore.models.summary import Layer, Summary, summarise
from aecore.models.transformer import transformer_layers
from aecore.models.variational import Dip, Elbo, ImportanceWeighted, Info, TotalCorrelation, VampPrior

BACKBONES: dict[str, Callable[[Any, Facts], Layers]] = {
    "dense": dense_layers,
    "conv": convolutional_layers,
    "recurrent": recurrent_layers,
    "transformer": transformer_layers,
}
"""kind -> builder(config, facts of the data)."""

BOTTLENECKS: dict[str, Callable[[Any, Ends], Bottleneck]] = {
    "vector": vector,
    "feature_map": feature_map,
    "gaussian": gaussian,
    "sphere": sphere,
    "top_k": top_k,
    "vq": vq,
    "fsq": fsq,
}
"""kind -> builder(config, the features at its two ends)."""

OBJECTIVES: dict[str, Callable[[Any, Facts], Objective]] = {
    "reconstruction": Reconstruction,
    "elbo": Elbo,
    "tc": TotalCorrelation,
    "dip": Dip,
    "info": Info,
    "iwae": ImportanceWeighted,
    "vamp": VampPrior,
    "factor": Factor,
    "wae": Wasserstein,
    "aae": Adversarial,
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
    layers = BACKBONES[config.backbone.kind](config.backbone, facts)
    back = layers if config.decoder.kind == "mirror" else BACKBONES[config.decoder.kind](config.decoder, facts)
    ends = Ends(layers.feature_shape, back.feature_shape, back.feature_activation)
    bottleneck = BOTTLENECKS[config.bottleneck.kind](config.bottleneck, ends)
    if config.backbone.kind == "dense" and config.backbone.tied:
        bottleneck = tie(bottleneck)
    encoder, code_shape = Encoder(layers.down, bottleneck.enter), config.code_shape(facts.shape)
    decoder = _decoder(config, facts, back, bottleneck)
    objective = OBJECTIVES[config.objective.kind](config.objective, facts)
    objective.meet(prod(code_shape))
    kind = Autoencoder if objective.opponent is None else AdversarialAutoencoder
    widest = max(layers.widest, back.widest, bottleneck.enter.scratch)
    return kind(encoder, decoder, objective, code_shape, widest)


def _decoder(config: ModelConfig, facts: Facts, layers: Layers, bottleneck: Bottleneck) -> Decoder:
    """Of the layers that are given; those of further labels are built anew."""
    decoder, labels = (
        Decoder(bottleneck.leave, layers.up, ACTIVATIONS[config.output]()),
        len(facts.class_names),
    )
    if config.labels == "conditional":
        shape = layers.feature_shape
        is_map = len(config.code_shape(facts.shape)) > 1 and len(shape) == 3
        return ConditionalDecoder(decoder, (shape[0], 1, 1) if is_map else shape, labels)
    if config.labels == "swap":
        one = config.model_copy(update={"labels": "none"})
        return SwapDecoder([decoder, *(build(one, facts).decoder for _ in range(labels - 1))])
    return decoder


def unset(config: ModelConfig, facts: Facts) -> Autoencoder:
    """As `build`, on the CPU, for weights that are about to be loaded: none are drawn at random where that can be spared."""
    with torch.device("meta"):
        model = build(config, facts)
    shared = len(list(model.named_parameters(remove_duplicate=False))) > len(list(model.parameters()))
    derived = {name for name, _ in model.named_buffers()} - set(model.state_dict())
    if shared or derived:  # both would be lost: what is in no file, and that two modules have one weight
        return build(config, facts)
    # as model.to_empty(device="cpu"), which imports sympy for it: 0.8 s and 37 MB in each process that loads a model
    return model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))


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
    "Sums",
    "build",
    "summarise",
    "summary",
    "unset",
    "use_of_codes",
]
