"""A step of a chain of products by hand, on the CPU: the mathematics of `Eager`, without a graph and its bookkeeping.

All weights lie in one buffer, all gradients in another, and every matrix product writes where its result belongs.
`tests/test_engines.py` holds it to automatic differentiation for everything that `chain` takes.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from aecore.config import RunConfig
from aecore.models import Progress
from aecore.models.autoencoder import SMALLEST_BATCH
from aecore.models.heap import SMALL
from aecore.models.variational import Elbo
from aecore.tasks import corrupt, wanted
from aecore.training.data import Data
from aecore.training.engines import loops
from aecore.training.engines.chain import chain
from aecore.training.engines.convolutions import unfolded
from aecore.training.engines.drawn import Code
from aecore.training.engines.eager import Halves, Made
from aecore.training.engines.fused import fused
from aecore.training.engines.kernels import Compiled, Kernels, Room, Share
from aecore.training.engines.layers import Layer, laid_out
from aecore.training.engines.loops import Call
from aecore.training.engines.rounded import Rounded

if TYPE_CHECKING:
    from aecore.training.state import TrainState


HEAPED = SMALL // 4
"""Numbers that lie on the heap while a model is evaluated: steps by hand leave none there, and a mapping costs a page fault every 4 kB."""


class WithoutDenormals:
    """Numbers below 1e-38 are 0 inside. The first moments of units that died shrink towards them and stay there for ever
    (0.9 times the smallest one is rounded to itself), and each costs the processor a hundred times as much as a number."""

    def __enter__(self) -> None:
        torch.set_flush_denormal(True)

    def __exit__(self, *_: object) -> None:
        torch.set_flush_denormal(False)


WITHOUT_DENORMALS = WithoutDenormals()


class Pass(NamedTuple):
    """What is done with one size of batch, call by call: each knows where its numbers lie. What the first layer is given lies
    elsewhere each time."""

    enter: Callable[[Tensor], object]
    """The first product, of x (B, pixels)."""
    forward: list[Call]
    loss: Callable[[Tensor], Tensor]
    """Of the target (B, pixels)."""
    backward: list[Call]
    """From the gradient of the last layer's output to those of all weights but the first ones."""
    leave: Callable[[Tensor], object]
    """The gradient of the first weights, from x."""
    code: Code | None


def inline(calls: list[Call]) -> list[Call]:
    """Done where they stand."""
    return calls


class Beside:
    """A stream of a GPU beside the current one: small products of weights' gradients go on while the next layer is gone through."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    def __call__(self, calls: list[Call]) -> list[Call]:
        return [partial(self.start, calls)]

    def start(self, calls: list[Call]) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for call in calls:
                call()

    def joined(self) -> None:
        torch.cuda.current_stream().wait_stream(self.stream)


class Flat(Halves):
    """Forward and backward pass, buffer by buffer."""

    def __init__(self, state: "TrainState", data: Data, config: RunConfig):
        compiled = state.engine["engine"] == "fused" and loops.library() is not None
        links = chain(state.model, patches=compiled)
        assert links, "chosen for chains only"
        self.side = links[0].side
        self.state, self.data, self.config = state, data, config
        self.objective = state.model.objective
        self.layers = laid_out(state, links, logits=config.model.objective.loss == "bce")
        drawn = any(layer.draws for layer in self.layers)
        self.names: tuple[str, ...] = ("loss", "reconstruction", *(["kl"] if drawn else []))
        self.kernels = self._kernels(compiled)
        self.passes: dict[int, Pass] = {}
        self.most, self.largest = 0, list[Room]()
        self.beside = Beside() if state.device.type == "cuda" else None
        if self.beside is None:
            model, widest = state.model, max(len(layer.weight) * max(1, layer.patches) for layer in self.layers)
            model.evaluation_batch = min(model.evaluation_batch, max(SMALLEST_BATCH, HEAPED // widest))

    def _kernels(self, compiled: bool) -> Kernels:
        if not compiled:
            return Kernels(self.data, self.config)
        kind = Rounded if self.state.engine["precision"] == "bf16" else Compiled
        return kind(self.data, self.config, self.layers[-1])

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        with WITHOUT_DENORMALS:
            return self._gradients(chosen, progress)

    def look(self, call: Callable[[torch.Generator], Made], noise: torch.Generator) -> Made:
        if not self.side:
            return call(noise)
        with fused(self.state.model):
            return call(noise)

    def finish(self) -> None:
        with WITHOUT_DENORMALS:
            self.kernels.move(self.state.optimiser, float(self.learning_rate))

    def _gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        x, target = self._batch(chosen)
        here = self.passes.get(len(chosen)) or self._furnish(len(chosen), target.numel())
        here.enter(x)
        for call in here.forward:
            call()
        terms = [here.loss(target)]
        if (code := here.code) is not None:
            assert isinstance(self.objective, Elbo)
            code.weight = self.objective.weight(progress)
            terms.append(code.weight * code.kl())
        for call in here.backward:
            call()
        here.leave(x)
        if self.config.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.state.optimiser.parameters, self.config.training.clip_norm)
        return torch.stack([terms[0] if len(terms) == 1 else terms[0] + terms[1], *terms])

    def _batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer takes, and the target, (B, pixels)."""
        noise, value_range = self.state.noise, self.data.facts.value_range
        clean = self.kernels.images(chosen, noise)  # (B, C, H, W)
        x, target = corrupt(self.config.task, clean, value_range, noise).x, wanted(self.config.task, clean, value_range)
        rows = self._rows(x)
        return rows.flatten(0, -2), (rows if target is x else self._rows(target)).flatten(1)

    def _rows(self, images: Tensor) -> Tensor:
        """(B, pixels), or (B, patches, their pixels)."""
        return unfolded(images, (self.side, self.side, 0)) if self.side else images.flatten(1)

    def _furnish(self, n: int, numbers: int) -> Pass:
        """All calls for batches of n images with so many numbers."""
        rooms = self._rooms(n)
        counts = 1 / n if self.objective.summed else 1 / numbers
        share = Share(counts, rooms[-1].after.new_tensor(counts))
        loss = self.kernels.loss(self.layers[-1], rooms[-1], share)
        drawn = [self.kernels.code(room) for layer, room in zip(self.layers, rooms, strict=True) if layer.draws]
        enter, forward = self._forward(rooms, drawn)
        backward, leave = self._backward(rooms, drawn)
        self.passes[n] = Pass(enter, forward, loss, backward, leave, drawn[0] if drawn else None)
        return self.passes[n]

    def _rooms(self, n: int) -> list[Room]:
        """For n images: the beginning of those of the largest batch."""
        if n > self.most:
            self.most, self.largest = n, [self._room(layer, n) for layer in self.layers]
        part = lambda tensor: tensor[: len(tensor) // self.most * n]
        return [Room(*map(part, room)) for room in self.largest]

    def _room(self, layer: Layer, n: int) -> Room:
        size = len(layer.weight)
        before = layer.bias.new_empty(n * max(1, layer.patches), size)
        after = torch.empty_like(before) if layer.activation and layer.activation.of_input else before
        if layer.draws:
            shown = before.new_empty(n, size // 2)
            return Room(before, after, shown, torch.empty_like(shown), of_product=after)
        if layer.across:
            rows, columns = layer.across
            shown = before.new_empty(n, columns * rows) if layer.patches else before.new_empty(n * columns, rows)
            return Room(before, after, shown, torch.empty_like(shown), of_product=torch.empty_like(after))
        gradient = torch.empty_like(after)
        return Room(before, after, after, gradient, of_product=gradient)

    def _forward(self, rooms: list[Room], drawn: list[Code]) -> tuple[Callable[[Tensor], object], list[Call]]:
        """The first product, and what follows it up to the last layer's output."""
        products: list[Callable[[Tensor], object]] = []
        calls: list[Call] = []
        for layer, room in zip(self.layers, rooms, strict=True):
            products.append(self.kernels.product(layer, room))
            if len(products) > 1:
                calls.append(partial(products[-1], rooms[len(products) - 2].shown))
            calls += self.kernels.activation(layer, room)
            if layer.draws:
                calls.append(partial(drawn[0].draw, self.state.noise))
            if layer.across:
                calls.append(loops.turn(room.after, room.shown, *self._turned(layer, room)))
        return products[0], calls

    def _backward(self, rooms: list[Room], drawn: list[Code]) -> tuple[list[Call], Callable[[Tensor], object]]:
        """What fills the gradients of all weights, from that of the last layer's output; that of the first ones needs x."""
        calls: list[Call] = []
        aside = self.beside or inline
        for number in reversed(range(len(self.layers))):
            layer, room = self.layers[number], rooms[number]
            if layer.across:
                n, rows, columns = self._turned(layer, room)
                calls.append(loops.turn(room.gradient, room.of_product, n, columns, rows))
            calls += [drawn[0].back] if layer.draws else self.kernels.back(layer, room)
            bias, weight = self.kernels.bias(layer, room), self.kernels.to_weight(layer, room)
            calls += aside(bias if number == 0 else [*bias, partial(weight, rooms[number - 1].shown)])
            if number > 0:
                calls.append(self.kernels.to_input(layer, room, rooms[number - 1].gradient))
        return calls + ([self.beside.joined] if self.beside else []), weight

    def _turned(self, layer: Layer, room: Room) -> tuple[int, int, int]:
        """Images, rows and columns."""
        assert layer.across
        return room.after.numel() // (layer.across[0] * layer.across[1]), *layer.across
