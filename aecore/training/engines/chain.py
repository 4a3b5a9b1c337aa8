"""Which models are a plain chain of dense layers, so that their forward and backward pass can be written down by hand.

Driven by what a model consists of: anything that is not known here, down to the exact class, is not taken.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from aecore.models import Autoencoder, Decoder, Encoder, Reconstruction
from aecore.models.bottlenecks import EnterGaussian, EnterVector
from aecore.models.variational import Elbo
from aecore.training.engines.activations import ACTIVATIONS

LOSSES = ("mse", "l1", "bce")
SHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)
"""Modules that change no number."""


class Link(NamedTuple):
    """A dense layer and what follows it. Two layers side by side make a mean and a log-variance."""

    layers: tuple[nn.Linear, ...]
    activation: nn.Module | None


def chain(model: Autoencoder) -> list[Link] | None:
    """The layers from image to reconstruction, or None where the model is anything else."""
    if not _known(model):
        return None
    links: list[Link] = []
    for module in _modules(model):
        if isinstance(module, tuple):
            links.append(Link(module, None))
        elif type(module) is nn.Linear:
            links.append(Link((module,), None))
        elif type(module) in ACTIVATIONS and links and links[-1].activation is None and len(links[-1].layers) == 1:
            links[-1] = links[-1]._replace(activation=module)
        elif type(module) not in SHAPES:
            return None
    return links if _fit(links, model) else None


def _known(model: Autoencoder) -> bool:
    """Whether model, halves, bottleneck and objective are of exactly the classes that are computed here, undecorated."""
    objective, enter = model.objective, type(model.encoder.bottleneck)
    classes = (type(model), type(model.encoder), type(model.decoder))
    gaussian = enter is EnterGaussian and type(objective) is Elbo and not (objective.free_bits or objective.capacity)
    plain = enter is EnterVector and type(objective) is Reconstruction
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    return (
        classes == (Autoencoder, Encoder, Decoder)
        and (gaussian or plain)
        and objective.losses.loss in LOSSES
        and (objective.losses.loss != "bce" or type(model.decoder.output) is nn.Sigmoid)
        and not hooked
    )


def _modules(model: Autoencoder) -> Iterator[nn.Module | tuple[nn.Linear, nn.Linear]]:
    """Everything that an image goes through, in order; a Gaussian's two layers as one."""
    yield from _flat(model.encoder.layers)
    enter = model.encoder.bottleneck
    if isinstance(enter, EnterGaussian):
        yield enter.mu, enter.log_var
    else:
        yield from enter.children()
    for part in (model.decoder.bottleneck, model.decoder.layers, model.decoder.output):
        yield from _flat(part)


def _flat(module: nn.Module) -> Sequence[nn.Module]:
    return list(module) if type(module) is nn.Sequential else [module]


def _fit(links: list[Link], model: Autoencoder) -> bool:
    """Whether the layers hang together, and hold every number of the model, each once, in 32 bits."""
    layers = [layer for link in links for layer in link.layers]
    held = [parameter for layer in layers for parameter in layer.parameters()]
    same = {id(parameter) for parameter in held} == {id(parameter) for parameter in model.parameters()}
    return (
        same
        and len({id(parameter) for parameter in held}) == len(held) == 2 * len(layers)
        and not list(model.buffers())
        and all(type(layer) is nn.Linear for layer in layers)
        and all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in held)
        and all(a.layers[0].out_features == b.layers[0].in_features for a, b in pairwise(links))
    )
