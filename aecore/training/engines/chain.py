"""Which models are a plain chain of dense layers, on pixels or on patches of pixels, so that their forward and backward pass can be
written down by hand.

Driven by what a model consists of: anything that is not known here, down to the exact class, is not taken.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from aecore.models import Autoencoder, Decoder, Encoder, Reconstruction
from aecore.models.bottlenecks import EnterGaussian, EnterVector
from aecore.models.convolutional import TransposedConvolution
from aecore.models.variational import Elbo
from aecore.training.engines.activations import ACTIVATIONS
from aecore.training.engines.loops import known

LOSSES = ("mse", "l1", "bce")
SHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)
"""Modules that change no number."""


Product = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
PRODUCTS = (nn.Linear, nn.Conv2d, TransposedConvolution)


class Link(NamedTuple):
    """A product and what follows it: a dense layer, or a convolution whose patches lie side by side, which is one for each patch.
    Two layers side by side make a mean and a log-variance."""

    layers: tuple[Product, ...]
    activation: nn.Module | None

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers that go in and come out, of an image or of a patch."""
        layer = self.layers[0]
        if isinstance(layer, nn.Linear):
            return layer.in_features, layer.out_features
        pixels = layer.kernel_size[0] ** 2
        if isinstance(layer, nn.ConvTranspose2d):
            return layer.in_channels, layer.out_channels * pixels
        return layer.in_channels * pixels, layer.out_channels

    @property
    def side(self) -> int:
        """Pixels along a patch; 0 for a dense layer."""
        layer = self.layers[0]
        return 0 if isinstance(layer, nn.Linear) else layer.kernel_size[0]


def chain(model: Autoencoder, patches: bool = False) -> list[Link] | None:
    """The layers from image to reconstruction, or None where the model is anything else. The first and the last may go from `patches` of
    an image and to them; all between are dense."""
    if not _known(model):
        return None
    links: list[Link] = []
    for module in _modules(model):
        if isinstance(module, tuple):
            links.append(Link(module, None))
        elif type(module) is nn.Linear or (patches and _side_by_side(module)):
            links.append(Link((module,), None))  # type: ignore[arg-type]
        elif type(module) in ACTIVATIONS and links and links[-1].activation is None and len(links[-1].layers) == 1:
            links[-1] = links[-1]._replace(activation=module)
        elif type(module) not in SHAPES:
            return None
    return links if _fit(links, model) and _meet(links) else None


def patches_of(links: list[Link]) -> int:
    """How many an image is cut into; 1 where it is not."""
    return links[1].sizes[0] // links[0].sizes[1] if links[0].side else 1


def operations(links: list[Link]) -> int:
    """Multiplications and additions of a step for one image: forth, back, and to the gradients of the weights."""
    times = [patches_of(links) if link.side else 1 for link in links]
    weights = [sum(layer.weight.numel() for layer in link.layers) for link in links]
    return 6 * sum(count * size for count, size in zip(times, weights, strict=True))


def _side_by_side(module: nn.Module) -> bool:
    """Whether a convolution goes from square patches that touch each other, or to them; of single pixels it is faster as it is."""
    return (
        isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        and type(module) in PRODUCTS
        and module.kernel_size == module.stride == 2 * module.kernel_size[:1]
        and module.kernel_size[0] > 1
        and module.padding == getattr(module, "output_padding", (0, 0)) == (0, 0)
        and module.dilation == (1, 1)
        and module.groups == 1
    )


def _meet(links: list[Link]) -> bool:
    """Whether the image that the first layer cuts into patches is put together by the last from the same ones; or there are none."""
    first, *between, last = links
    if not any(link.side for link in links):
        return True
    (size, features), (inputs, given) = first.sizes, last.sizes
    return (
        type(first.layers[0]) is nn.Conv2d
        and type(last.layers[0]) is TransposedConvolution
        and not any(link.side for link in between)
        and (first.side, size) == (last.side, given)
        and len(between) > 1
        and len(between[-1].layers) == 1
        and known(last.activation)
        and between[0].sizes[0] * inputs == between[-1].sizes[1] * features  # the same grid of patches
    )


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
    yield from _leaves(model.encoder.layers)
    enter = model.encoder.bottleneck
    if isinstance(enter, EnterGaussian):
        yield enter.mu, enter.log_var
    else:
        yield from enter.children()
    for part in (model.decoder.bottleneck, model.decoder.layers, model.decoder.output):
        yield from _leaves(part)


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    for part in module if type(module) is nn.Sequential else ():
        yield from _leaves(part)
    if type(module) is not nn.Sequential:
        yield module


def _fit(links: list[Link], model: Autoencoder) -> bool:
    """Whether the layers hang together, and hold every number of the model, each once, in 32 bits."""
    layers = [layer for link in links for layer in link.layers]
    held = [parameter for layer in layers for parameter in layer.parameters()]
    same = {id(parameter) for parameter in held} == {id(parameter) for parameter in model.parameters()}
    return (
        same
        and len({id(parameter) for parameter in held}) == len(held) == 2 * len(layers)
        and not list(model.buffers())
        and all(type(layer) in PRODUCTS for layer in layers)
        and all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in held)
        and all(a.side or b.side or a.sizes[1] == b.sizes[0] for a, b in pairwise(links))
    )
