"""The layers of a chain with all their weights in one buffer, and all their gradients in another."""

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from aecore.training.engines.activations import ACTIVATIONS, Activation
from aecore.training.engines.chain import Link

if TYPE_CHECKING:
    from aecore.training.state import TrainState


class Layer(NamedTuple):
    """One product: views of the weights and of their gradients."""

    weight: Tensor
    """(out, in)."""
    transposed: Tensor
    """(in, out): the same numbers."""
    bias: Tensor
    """(out,)."""
    weight_gradient: Tensor
    bias_gradient: Tensor
    module: nn.Module | None
    activation: Activation | None
    draws: bool
    """Whether the output is a mean and a log-variance, of which a code is drawn."""


def laid_out(state: "TrainState", links: list[Link], logits: bool, turned: bool = True) -> list[Layer]:
    """The links with their weights in one buffer; the last without its non-linearity where the loss takes `logits`.

    The first layer's weights lie transposed where they are to be `turned`: its product is then up to 1.7 x as fast on the CPU, and
    no gradient goes further back, for which that would be the slower way.
    """
    groups = [[getattr(layer, kind) for layer in link.layers] for link in links for kind in ("weight", "bias")]
    turn = links[0].layers[0].weight if turned and len(links[0].layers) == 1 else None
    views = iter(state.optimiser.flatten(groups, turn))
    layers: list[Layer] = []
    for link in links:
        (weight, weight_gradient), (bias, bias_gradient) = next(views), next(views)
        width = link.layers[0].in_features
        shaped = [
            part.view(width, -1).t() if link.layers[0].weight is turn else part.view(-1, width)
            for part in (weight, weight_gradient)
        ]
        module = None if logits and link is links[-1] else link.activation
        activation = None if module is None else ACTIVATIONS[type(module)]
        layers.append(
            Layer(shaped[0], shaped[0].t(), bias, shaped[1], bias_gradient, module, activation, len(link.layers) == 2)
        )
    return layers
