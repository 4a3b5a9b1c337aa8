"""A step of a chain of dense layers by hand, on the CPU: the mathematics of `Eager`, without a graph and its bookkeeping.

All weights lie in one buffer, all gradients in another, and every matrix product writes where its result belongs.
`tests/test_engines.py` holds it to automatic differentiation for everything that `chain` takes.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.config import RunConfig
from aecore.data import normalise
from aecore.models import Progress
from aecore.models.divergences import kl_to_standard_normal
from aecore.models.noise import normal
from aecore.models.variational import Elbo
from aecore.tasks import corrupt, wanted
from aecore.training.data import Data, augment
from aecore.training.engines.activations import ACTIVATIONS, Activation
from aecore.training.engines.chain import Link, chain
from aecore.training.engines.eager import Halves

if TYPE_CHECKING:
    from aecore.training.state import TrainState


@contextmanager
def without_denormals() -> Iterator[None]:
    """Numbers below 1e-38 are 0 inside. The first moments of units that died shrink towards them and stay there for ever
    (0.9 times the smallest one is rounded to itself), and each costs the processor a hundred times as much as a number."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def squared(x_hat: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
    torch.sub(x_hat, target, out=gradient)
    return torch.dot(gradient.view(-1), gradient.view(-1))


def absolute(x_hat: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
    torch.sub(x_hat, target, out=gradient)
    total = gradient.abs().sum()
    gradient.sign_()
    return total


def cross_entropy(logits: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
    torch.sigmoid(logits, out=gradient).sub_(target)
    return F.softplus(logits).addcmul_(logits, target, value=-1).sum()


LOSSES: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], float]] = {
    "mse": (squared, 2.0),
    "l1": (absolute, 1.0),
    "bce": (cross_entropy, 1.0),
}
"""loss -> function of output and target (B, pixels), which returns the sum over pixels and images and fills the gradient but
for a factor, and that factor."""


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


class Room(NamedTuple):
    """Where one layer works, for one size of batch."""

    before: Tensor
    """(B, out): what the activation is applied to; the same memory as `after` where nothing needs it later."""
    after: Tensor
    gradient: Tensor
    """(B, out): of what goes on to the next layer; (B, latent_dim) where that is drawn."""


class Inline:
    """What is started is done at once."""

    def started(self) -> AbstractContextManager[object]:
        return nullcontext()

    def joined(self) -> None:
        """It is done already."""


class Beside(Inline):
    """A stream of a GPU beside the current one: small products of weights' gradients go on while the next layer is gone through."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    def started(self) -> AbstractContextManager[object]:
        self.stream.wait_stream(torch.cuda.current_stream())
        return torch.cuda.stream(self.stream)

    def joined(self) -> None:
        torch.cuda.current_stream().wait_stream(self.stream)


class Flat(Halves):
    """Forward and backward pass, buffer by buffer."""

    def __init__(self, state: "TrainState", data: Data, config: RunConfig):
        links = chain(state.model)
        assert links, "chosen for chains only"
        self.state, self.data, self.config = state, data, config
        self.objective = state.model.objective
        self.loss, self.factor = LOSSES[config.model.objective.loss]
        self.layers = laid_out(state, links, logits=config.model.objective.loss == "bce")
        drawn = any(layer.draws for layer in self.layers)
        self.names: tuple[str, ...] = ("loss", "reconstruction", *(["kl"] if drawn else []))
        self.rooms: dict[int, list[Room]] = {}
        self.beside = Beside() if state.device.type == "cuda" else Inline()

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        with torch.no_grad(), without_denormals():
            return self._gradients(chosen, progress)

    def finish(self) -> None:
        with without_denormals():
            self.state.optimiser.step(self.learning_rate)

    def _gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        n = len(chosen)
        x, target = self._batch(chosen)  # (B, pixels)
        rooms = self.rooms.setdefault(n, []) or self._furnish(n)
        inputs, code = self._forward(x, rooms)
        last = rooms[-1]
        scale = 1 / n if self.objective.summed else 1 / target.numel()
        terms = [self.loss(last.after, target, last.gradient) * scale]
        last.gradient.mul_(self.factor * scale)
        if code is not None:
            assert isinstance(self.objective, Elbo)
            code = code._replace(weight=self.objective.weight(progress))
            terms.append(code.weight * kl_to_standard_normal(code.mu, code.log_var).mean())
        self._backward(inputs, rooms, code)
        if self.config.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.state.optimiser.parameters, self.config.training.clip_norm)
        return torch.stack([terms[0] if len(terms) == 1 else terms[0] + terms[1], *terms])

    def _batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        noise, value_range = self.state.noise, self.data.facts.value_range
        images = self.data.train_images.index_select(0, chosen)
        clean = normalise(augment(images, self.config.training, noise), value_range)  # (B, C, H, W)
        x = corrupt(self.config.task, clean, value_range, noise).x
        return x.flatten(1), wanted(self.config.task, clean, value_range).flatten(1)

    def _furnish(self, n: int) -> list[Room]:
        for layer in self.layers:
            size = len(layer.bias)
            before = layer.bias.new_empty(n, size)
            after = torch.empty_like(before) if layer.activation and layer.activation.of_input else before
            self.rooms[n].append(Room(before, after, before.new_empty(n, size // 2 if layer.draws else size)))
        return self.rooms[n]

    def _forward(self, x: Tensor, rooms: list[Room]) -> tuple[list[Tensor], "Drawn | None"]:
        """The input of each layer, and the code that was drawn."""
        inputs, code = [x], None
        for layer, room in zip(self.layers, rooms, strict=True):
            if type(layer.module) is nn.ReLU:  # one kernel on a GPU
                torch._addmm_activation(layer.bias, inputs[-1], layer.transposed, out=room.before)
            else:
                torch.addmm(layer.bias, inputs[-1], layer.transposed, out=room.before)
                if layer.activation is not None:
                    layer.activation.forward(layer.module, room.before, room.after)
            if layer.draws:
                code = draw(room.after, self.state.noise)
            inputs.append(code.z if layer.draws and code else room.after)
        return inputs, code

    def _backward(self, inputs: list[Tensor], rooms: list[Room], code: "Drawn | None") -> None:
        """Fill the gradients of all weights, from that of the last layer's output."""
        used = []  # until the other stream is done with it: what is let go of sooner could be written over
        for number in reversed(range(len(self.layers))):
            layer, room = self.layers[number], rooms[number]
            gradient = room.gradient
            if layer.activation is not None:
                kept = room.before if layer.activation.of_input else room.after
                layer.activation.backward(layer.module, gradient, kept)
            elif layer.draws and code is not None:
                gradient = code.gradient(gradient)
            used.append(gradient)
            with self.beside.started():
                torch.mm(gradient.t(), inputs[number], out=layer.weight_gradient)
                torch.sum(gradient, 0, out=layer.bias_gradient)
            if number > 0:
                torch.mm(gradient, layer.weight, out=rooms[number - 1].gradient)
        self.beside.joined()


class Drawn(NamedTuple):
    """A code z = mu + exp(log_var / 2) noise, (B, latent_dim) each."""

    z: Tensor
    mu: Tensor
    log_var: Tensor
    deviation: Tensor
    noise: Tensor
    weight: float | Tensor = 1.0
    """Of the KL, in the loss."""

    def gradient(self, of_z: Tensor) -> Tensor:
        """(B, 2 latent_dim): of mu and of log_var, from that of z and of the weighted KL, the mean over the batch."""
        share = self.weight / len(self.z)
        of_mu = of_z + share * self.mu
        of_log_var = 0.5 * (of_z * self.noise * self.deviation + share * (self.log_var.exp() - 1))
        return torch.cat([of_mu, of_log_var], 1)


def draw(both: Tensor, generator: torch.Generator) -> Drawn:
    """A code from means and log-variances (B, 2 latent_dim)."""
    mu, log_var = both.chunk(2, 1)
    deviation, noise = (0.5 * log_var).exp(), normal(mu, generator)
    return Drawn(mu + deviation * noise, mu, log_var, deviation, noise)


def laid_out(state: "TrainState", links: list[Link], logits: bool) -> list[Layer]:
    """The links with their weights in one buffer; the last without its non-linearity where the loss takes `logits`.

    The first layer's weights lie transposed: its product is then up to 1.7 x as fast, and no gradient goes further back,
    for which that would be the slower way.
    """
    groups = [[getattr(layer, kind) for layer in link.layers] for link in links for kind in ("weight", "bias")]
    turned = links[0].layers[0].weight if len(links[0].layers) == 1 else None
    views = iter(state.optimiser.flatten(groups, turned))
    layers: list[Layer] = []
    for link in links:
        (weight, weight_gradient), (bias, bias_gradient) = next(views), next(views)
        width = link.layers[0].in_features
        shaped = [
            part.view(width, -1).t() if link.layers[0].weight is turned else part.view(-1, width)
            for part in (weight, weight_gradient)
        ]
        module = None if logits and link is links[-1] else link.activation
        activation = None if module is None else ACTIVATIONS[type(module)]
        layers.append(
            Layer(shaped[0], shaped[0].t(), bias, shaped[1], bias_gradient, module, activation, len(link.layers) == 2)
        )
    return layers
