"""A step of a chain of dense layers in a few kernels of a GPU: for each layer one forth and one back, two for all gradients of weights
and what Adam makes of them, one for the losses. To be recorded: everything lies in buffers that stay.

The mathematics is that of `Flat`; `tests/test_tiled.py` holds it to automatic differentiation.
"""

import itertools
from collections.abc import Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from aecore.config import RunConfig
from aecore.models import Progress
from aecore.models.variational import Elbo
from aecore.tasks import corrupt, wanted
from aecore.training.data import Data
from aecore.training.engines import moves, tiles
from aecore.training.engines.chain import chain
from aecore.training.engines.desk import UPDATE, Desk, Room, carved, cut
from aecore.training.engines.eager import Halves
from aecore.training.engines.flat import Beside
from aecore.training.engines.kernels import Kernels
from aecore.training.engines.layers import Layer, laid_out
from aecore.training.engines.loops import Call
from aecore.training.optimiser import EPSILON

if TYPE_CHECKING:
    from aecore.training.state import TrainState

KINDS: dict[type[nn.Module], Any] = {
    nn.ReLU: tiles.RELU,
    nn.LeakyReLU: tiles.LEAKY,
    nn.ELU: tiles.ELU,
    nn.GELU: tiles.GELU,
    nn.SiLU: tiles.SILU,
    nn.Tanh: tiles.TANH,
    nn.Sigmoid: tiles.SIGMOID,
}
LOSSES = {"mse": tiles.MSE, "l1": tiles.L1, "bce": tiles.BCE}
PIXELS, NUMBERS = 1024, 256
"""How many one program gathers, and how many it draws or sums at once."""


class Tiled(Halves):
    """Forward and backward pass and update, for engines that record it."""

    def __init__(self, state: "TrainState", data: Data, config: RunConfig):
        links = chain(state.model)
        assert links, "chosen for chains only"
        self.state, self.data, self.config = state, data, config
        self.objective, self.optimiser = state.model.objective, state.optimiser
        self.kernels = Kernels(data, config)
        self.layers = laid_out(state, links, config.model.objective.loss == "bce", turned=False)
        self.values = self.optimiser.parameters[0]
        """All weights and biases."""
        self.moments = [moments[0] for moments in self.optimiser.moments.values()] or [self.values] * 2
        self.adam = self.optimiser.kind != "sgd" and config.training.clip_norm is None
        """Whether the update is made where the gradients are; else they are written down."""
        self.turned = self.values.clone() if self.adam else self.values
        """All weights a second time, (in, out): each product reads those that lie as it goes. Nobody else may change the first ones."""
        self.matrices = [self._turned(layer) for layer in self.layers]
        """(in, out) each."""
        self.middle = max(1, len(self.layers) // 2)
        self.beside = Beside() if self.values.is_cuda else None
        self.drawn = any(layer.draws for layer in self.layers)
        self.names: tuple[str, ...] = ("loss", "reconstruction", *(["kl"] if self.drawn else []))
        self.exact = tiles.PRODUCTS[state.engine["precision"]]
        self.pace = self.values.new_zeros(4)
        self.weights: dict[float, Tensor] = {}
        self.desks: dict[int, Desk] = {}

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        self.m = len(chosen)
        self.desk = self.desks.get(self.m) or self._furnish()
        rooms, target = self.desk.rooms, self._fill(chosen)
        for number, layer in enumerate(self.layers[:-1]):
            self._forth(layer, self.matrices[number], rooms[number], rooms[number + 1])
        self._end(self.layers[-1], self.matrices[-1], rooms[-1], target)
        self._note(progress)
        for number in reversed(range(1, len(rooms))):
            self._back(self.layers[number], rooms[number], self.layers[number - 1], rooms[number - 1])
            if number == self.middle:  # while the others' gradients are made
                self._aside(partial(self._update, self.desk.tables[1]))
        if not self.adam:
            self._update(self.desk.tables[0])
            self._joined()
            if self.config.training.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.optimiser.parameters, self.config.training.clip_norm)
        return self.desk.losses

    def update(self) -> None:
        if self.adam:
            self._update(self.desk.tables[0])
            self._joined()
        else:
            super().update()

    def _aside(self, call: Call) -> None:
        """Beside what follows, until `_joined`."""
        if self.beside:
            self.beside.start([call])
        else:
            call()

    def _joined(self) -> None:
        if self.beside:
            self.beside.joined()

    def _fill(self, chosen: Tensor) -> Tensor:
        """The images `chosen` (B,) as the first layer's input; the target (B, pixels)."""
        x, images, value_range = self.desk.rooms[0].x, self.data.train_images, self.data.facts.value_range
        plain = images.is_contiguous() and not self.data.streamed
        if plain and self.config.training.augmentation == "none":
            low, high = value_range
            grid = (self.m, -(-x.shape[1] // PIXELS))
            tiles.gather[grid](images, chosen, x, x.shape[1], high - low, low, PIXELS)
            clean = x.view(self.m, *images.shape[1:])
        else:
            clean = self.kernels.images(chosen, self.state.noise)
        given = corrupt(self.config.task, clean, value_range, self.state.noise).x.flatten(1)
        target = wanted(self.config.task, clean, value_range).flatten(1).contiguous()
        if given.data_ptr() != x.data_ptr():
            if target.data_ptr() == x.data_ptr():
                target = target.clone()
            x.copy_(given)
        return target

    def _forth(self, layer: Layer, matrix: Tensor, room: Room, following: Room) -> None:
        k, n = matrix.shape
        by = cut(self.m, n)
        numbers = (room.x, matrix, layer.bias, room.before, room.after, self.m, n, k, *matrix.stride(), slope(layer))
        tiles.forward[by.grid(self.m, n)](*numbers, kind(layer), self.exact, *by)
        if layer.draws:
            room.noise.normal_(generator=self.state.noise)
            grid = (len(self.desk.kl),)
            tiles.draw[grid](room.after, room.noise, following.x, self.desk.kl, self.m, n // 2, NUMBERS)

    def _end(self, layer: Layer, matrix: Tensor, room: Room, target: Tensor) -> None:
        k, n = matrix.shape
        by = cut(self.m, n)
        share = 1 / self.m if self.objective.summed else 1 / (self.m * n)
        places = (room.x, matrix, layer.bias, target, room.gradient, self.desk.parts)
        numbers = (self.m, n, k, *matrix.stride(), slope(layer), share)
        loss = LOSSES[self.config.model.objective.loss]
        tiles.end[by.grid(self.m, n)](*places, *numbers, kind(layer), loss, self.exact, *by)

    def _note(self, progress: Progress) -> None:
        """The losses, and how far the weights may go."""
        desk, of = self.desk, self.optimiser
        self.weight = self._weight(progress) if self.drawn else self.pace
        rate = (
            self.learning_rate if isinstance(self.learning_rate, Tensor) else self.values.new_tensor(self.learning_rate)
        )
        places = (
            desk.parts,
            len(desk.parts),
            desk.kl,
            len(desk.kl),
            self.weight,
            desk.losses,
            of.steps,
            rate,
            self.pace,
        )
        moves.finish[(1,)](*places, self.drawn, self.adam, *of.betas, NUMBERS, num_warps=1)

    def _weight(self, progress: Progress) -> Tensor:
        """Of the KL, on the device."""
        assert isinstance(self.objective, Elbo)
        weight = self.objective.weight(progress)
        if isinstance(weight, Tensor):
            return weight
        if weight not in self.weights:
            self.weights[weight] = self.values.new_tensor(weight)
        return self.weights[weight]

    def _back(self, layer: Layer, room: Room, before: Layer, earlier: Room) -> None:
        """From the gradient of a layer's product to that of the layer `before`."""
        n, k = layer.weight.shape
        by = cut(self.m, k)
        kept = earlier.before if earlier.before.numel() else earlier.after
        places = (room.gradient, layer.weight, kept, earlier.of_code if before.draws else earlier.gradient)
        numbers = (self.m, n, k, *layer.weight.stride(), slope(before))
        tiles.backward[by.grid(self.m, k)](*places, *numbers, kind(before), self.exact, *by)
        if before.draws:
            grid = (len(self.desk.kl),)
            drawn = (earlier.of_code, earlier.noise, self.weight, earlier.after, earlier.gradient)
            tiles.undraw[grid](*drawn, self.m, k, NUMBERS)

    def _update(self, table: Tensor) -> None:
        desk, of, by = self.desk, self.optimiser, UPDATE
        places = (table, desk.rooms[0].x, self.values, self.turned, self.values.grad, *self.moments, self.pace)
        kinds = (self.adam, of.kind == "adamw", *of.betas, EPSILON, self.exact)
        moves.update[(len(table),)](*places, self.m, of.weight_decay, *kinds, by.terms, by.rows, by.columns)

    def _furnish(self) -> Desk:
        """All places of this size of batch, in one buffer."""
        m, pixels = self.m, self.layers[0].weight.shape[1]
        shapes = [(m, pixels)]
        for layer in self.layers:
            n, last = len(layer.bias), layer is self.layers[-1]
            code = n // 2 if layer.draws else 0
            of_input = not last and kind(layer) in tiles.OF_INPUT
            shapes += [(m, n * of_input), (m, 0 if last else n), (m, n), (m, code), (m, code), (m, code)]
        places, rooms = iter(carved(shapes, self.values)), []
        x = next(places)
        for _ in self.layers:
            before, after, gradient, noise, of_code, drawn = itertools.islice(places, 6)
            rooms.append(Room(x, before, after, gradient, noise, of_code))
            x = drawn if drawn.numel() else after
        new = self.values.new_zeros
        codes = sum(room.noise.numel() for room in rooms)
        parts = new(prod(cut(m, pixels).grid(m, pixels)))
        desk = Desk(rooms, parts, new(-(-codes // NUMBERS)), new(len(self.names)), self._tables(rooms))
        self.desks[m] = desk
        return desk

    def _tables(self, rooms: Sequence[Room]) -> tuple[Tensor, Tensor]:
        by = UPDATE
        tables: tuple[list[tuple[int, ...]], list[tuple[int, ...]]] = ([], [])
        for number, (layer, room) in enumerate(zip(self.layers, rooms, strict=True)):
            rows = tables[number >= self.middle]
            n, k = layer.weight.shape
            parts = (room.gradient, room.x, layer.weight, layer.bias)
            known = (*(int(part.storage_offset()) for part in parts), n, k)
            rows += [(*known, n0, k0) for n0 in range(0, n, by.rows) for k0 in range(0, k, by.columns)]
        first, second = (torch.tensor(rows, dtype=torch.int32, device=self.values.device) for rows in tables)
        return first, second

    def _turned(self, layer: Layer) -> Tensor:
        """A layer's weights as (in, out), which `moves.update` keeps alike; or as they are, where it only writes gradients."""
        if not self.adam:
            return layer.weight.t()
        start, size = layer.weight.storage_offset(), layer.weight.numel()
        return self.turned[start : start + size].view(layer.weight.shape[::-1]).copy_(layer.weight.t())


def try_out() -> None:
    """One small kernel. Raises what Triton raises where it cannot be compiled, or not be run."""
    parts, losses = torch.ones(NUMBERS, device="cuda"), torch.zeros(4, device="cuda")
    one = parts[:1]
    moves.finish[(1,)](parts, NUMBERS, one, 0, one, losses, losses[3:], one, parts, False, False, 0.9, 0.99, NUMBERS)
    assert losses[0].item() == NUMBERS


def kind(layer: Layer) -> Any:
    return tiles.NONE if layer.module is None else KINDS[type(layer.module)]


def slope(layer: Layer) -> float:
    """Of what is below 0, for those activations that have one."""
    return float(getattr(layer.module, "negative_slope", getattr(layer.module, "alpha", 0.0)))
