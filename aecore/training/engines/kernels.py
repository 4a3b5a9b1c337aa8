"""What a step of dense layers does beside its products: PyTorch's kernels on any device, compiled loops on the CPU."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.config import RunConfig
from aecore.training.data import Data
from aecore.training.engines import loops
from aecore.training.engines.drawn import Code, CompiledCode
from aecore.training.engines.images import Gathered, Images
from aecore.training.engines.layers import Layer
from aecore.training.engines.loops import Call
from aecore.training.optimiser import EPSILON, MOMENTS, Optimiser

aten = torch.ops.aten
SUM = 2
"""PyTorch's number of this reduction."""


class Share(NamedTuple):
    """What one pixel of one image counts in the loss."""

    number: float
    scalar: Tensor
    """() the same on the device."""


def squared(x_hat: Tensor, target: Tensor, gradient: Tensor, share: Share) -> Tensor:
    aten.mse_loss_backward.grad_input(share.scalar, x_hat, target, SUM, grad_input=gradient)  # 2 share (x_hat - target)
    line = gradient.view(-1)
    return torch.dot(line, line) * (0.25 / share.number)


def absolute(x_hat: Tensor, target: Tensor, gradient: Tensor, share: Share) -> Tensor:
    torch.sub(x_hat, target, out=gradient)
    total = gradient.abs().sum()
    gradient.sign_().mul_(share.number)
    return total * share.number


def cross_entropy(logits: Tensor, target: Tensor, gradient: Tensor, share: Share) -> Tensor:
    torch.sigmoid(logits, out=gradient).sub_(target).mul_(share.number)
    return F.softplus(logits).addcmul_(logits, target, value=-1).sum() * share.number


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Share], Tensor]] = {
    "mse": squared,
    "l1": absolute,
    "bce": cross_entropy,
}
"""loss -> function of output and target (B, pixels), which fills the gradient and returns the loss: the sum over pixels and images,
each by its share."""


class Room(NamedTuple):
    """Where one layer works, for one size of batch."""

    before: Tensor
    """(B, out): what the activation is applied to; the same memory as `after` where nothing needs it later. B counts patches where
    the layer has them."""
    after: Tensor
    shown: Tensor
    """What goes on to the next layer: `after`, or (B, latent_dim) where that is drawn, or the same turned."""
    gradient: Tensor
    """Of `shown`."""
    of_product: Tensor
    """Where the gradient of the layer's product lies in the end, (B, out)."""


class Kernels:
    """PyTorch's, each a call that knows where its numbers lie."""

    def __init__(self, data: Data, config: RunConfig):
        self.config, self.images = config, Images(data, config)

    def product(self, layer: Layer, room: Room) -> Callable[[Tensor], object]:
        """What fills `room.before` from a layer's input, (B, in)."""
        relu = type(layer.module) is nn.ReLU  # one kernel on a GPU
        kernel = torch._addmm_activation if relu else torch.addmm
        return partial(kernel, layer.bias, mat2=layer.transposed, out=room.before)

    def to_weight(self, layer: Layer, room: Room) -> Callable[[Tensor], object]:
        """What fills the gradient of a layer's weights, from the layer's input and the gradient of its product."""
        return partial(torch.mm, room.of_product.t(), out=layer.weight_gradient)

    def to_input(self, layer: Layer, room: Room, out: Tensor) -> Call:
        """And that of its input, `out` (B, in)."""
        return partial(torch.mm, room.of_product, layer.weight, out=out)

    def activation(self, layer: Layer, room: Room) -> list[Call]:
        """What `product` left to be done up to `room.after`."""
        if layer.activation is None or type(layer.module) is nn.ReLU:
            return []
        return [partial(layer.activation.forward, layer.module, room.before, room.after)]

    def code(self, room: Room) -> Code:
        """What is drawn after a layer of means and log-variances."""
        return Code(room.after, room.shown, room.gradient)

    def loss(self, layer: Layer, room: Room, share: Share) -> Callable[[Tensor], Tensor]:
        """What makes the loss of a target (B, pixels) after the last layer, and fills the gradient."""
        function = LOSSES[self.config.model.objective.loss]
        return lambda target: function(room.after, target, room.gradient, share)

    def back(self, layer: Layer, room: Room) -> list[Call]:
        """Through the activation: from the gradient of its output to that of its input."""
        if layer.activation is None:
            return []
        kept = room.before if layer.activation.of_input else room.after
        return [partial(layer.activation.backward, layer.module, room.of_product, kept)]

    def bias(self, layer: Layer, room: Room) -> list[Call]:
        """From the gradient of a product to that of the bias that was added to it. Done before anything else asks for the product's."""
        return [partial(torch.sum, room.of_product, 0, out=layer.bias_gradient)]

    def move(self, optimiser: Optimiser, learning_rate: float) -> None:
        """Change the weights."""
        optimiser.step(learning_rate)


class Compiled(Kernels):
    """Compiled ones where they know the activation: one pass for what takes PyTorch several."""

    def __init__(self, data: Data, config: RunConfig, last: Layer):
        super().__init__(data, config)
        self.last = last if loops.known(last.module) else None
        """The last layer, where activation, loss and the way back are one pass."""
        self.images = Gathered(data, config)
        self.moves: Callable[[float, float, bool], None] | None = None

    def product(self, layer: Layer, room: Room) -> Callable[[Tensor], object]:
        if not loops.known(layer.module):
            return super().product(layer, room)
        return partial(torch.mm, mat2=layer.transposed, out=room.before)

    def activation(self, layer: Layer, room: Room) -> list[Call]:
        if layer is self.last:
            return []
        if not loops.known(layer.module):
            return super().activation(layer, room)
        return [loops.forward(layer.module, layer.bias, room.after)]

    def code(self, room: Room) -> Code:
        return CompiledCode(room.after, room.shown, room.gradient)

    def loss(self, layer: Layer, room: Room, share: Share) -> Callable[[Tensor], Tensor]:
        if layer is not self.last:
            return super().loss(layer, room, share)
        if layer.patches:
            return self._loss_of_patches(layer, room, share)
        places = (layer.bias, room.after, room.gradient, share.number, layer.bias_gradient)
        end = loops.end(layer.module, self.config.model.objective.loss, *places)
        return lambda target: torch.tensor(end(target.contiguous()))

    def _loss_of_patches(self, layer: Layer, room: Room, share: Share) -> Callable[[Tensor], Tensor]:
        """Of a target (B, all numbers of its patches); each channel has one bias for all its pixels."""
        channels, width = len(layer.bias), room.after.shape[1]
        bias, of_bias = layer.bias.new_empty(2, layer.patches, channels, width // channels)
        out, gradient = (part.view(-1, bias.numel()) for part in (room.after, room.gradient))
        loss, ends = self.config.model.objective.loss, (bias.view(-1), of_bias.view(-1))
        end = loops.end(layer.module, loss, ends[0], out, gradient, share.number, ends[1])

        def call(target: Tensor) -> Tensor:
            bias.copy_(layer.bias[:, None])
            value = torch.tensor(end(target))
            torch.sum(of_bias, (0, 2), out=layer.bias_gradient)
            return value

        return call

    def back(self, layer: Layer, room: Room) -> list[Call]:
        return [] if loops.known(layer.module) else super().back(layer, room)

    def bias(self, layer: Layer, room: Room) -> list[Call]:
        if layer is self.last:
            return []
        module = layer.module if loops.known(layer.module) else None  # `back` has gone through what is not known
        return [loops.backward(module, room.of_product, room.after, layer.bias_gradient)]

    def move(self, optimiser: Optimiser, learning_rate: float) -> None:
        if optimiser.kind == "sgd":
            return super().move(optimiser, learning_rate)
        if self.moves is None:
            (values,), moments = optimiser.parameters, [optimiser.moments[name][0] for name in MOMENTS[optimiser.kind]]
            self.moves = loops.adam(values, (moments[0], moments[1]), optimiser.steps, optimiser.betas, EPSILON)
        self.moves(optimiser.rate * learning_rate, optimiser.weight_decay, optimiser.kind == "adamw")
