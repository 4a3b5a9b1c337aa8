"""Products of bfloat16 on the CPU, for processors that have it. What is multiplied is rounded, and so is the product, as autocast does it;
sums within a product, and everything else, have 32 bits."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from aecore.config import RunConfig
from aecore.training.data import Data
from aecore.training.engines import loops
from aecore.training.engines.kernels import Compiled, Room
from aecore.training.engines.layers import Layer
from aecore.training.engines.loops import Call

WORTH_ROUNDING = 2e6
"""Multiplications of a product from which it is faster with what rounding takes: 1.4 x as long with 0.8 million, 0.85 with 3.2."""


class Twin:
    """What one layer multiplies, rounded, for one size of batch: once a step each, though most is multiplied twice."""

    def __init__(self, layer: Layer, room: Room):
        self.layer, self.room = layer, room
        like = partial(torch.empty_like, dtype=torch.bfloat16)
        self.weight, self.of_weight = like(layer.weight), like(layer.weight_gradient)  # as they lie: turned or not
        self.out, self.of_out = like(room.before), like(room.of_product)
        self.x = self.out.new_empty(len(self.out), self.weight.shape[1])
        self.of_x = torch.empty_like(self.x)

    def forward(self, x: Tensor) -> None:
        """Of x (B, in)."""
        self.x.copy_(x)
        self.weight.copy_(self.layer.weight)
        torch.mm(self.x, self.weight.t(), out=self.out)
        self.room.before.copy_(self.out)

    def turn_back(self) -> None:
        """When the gradient of the product is known."""
        self.of_out.copy_(self.room.of_product)

    def to_weight(self, _: Tensor) -> None:
        torch.mm(self.of_out.t(), self.x, out=self.of_weight)
        self.layer.weight_gradient.copy_(self.of_weight)

    def to_input(self, out: Tensor) -> None:
        torch.mm(self.of_out, self.weight, out=self.of_x)
        out.copy_(self.of_x)


class Rounded(Compiled):
    """Compiled loops around them, and around products of 32 bits where those are faster."""

    def __init__(self, data: Data, config: RunConfig, last: Layer):
        super().__init__(data, config, last)
        self.twins: dict[tuple[int, int], Twin | None] = {}

    def product(self, layer: Layer, room: Room) -> Callable[[Tensor], object]:
        twin = self._twin(layer, room)
        return twin.forward if twin else super().product(layer, room)

    def activation(self, layer: Layer, room: Room) -> list[Call]:
        calls = super().activation(layer, room)
        if loops.known(layer.module) or not self._twin(layer, room):
            return calls
        return [partial(room.before.add_, layer.bias), *calls]

    def bias(self, layer: Layer, room: Room) -> list[Call]:
        calls, twin = super().bias(layer, room), self._twin(layer, room)
        return [*calls, twin.turn_back] if twin else calls

    def to_weight(self, layer: Layer, room: Room) -> Callable[[Tensor], object]:
        twin = self._twin(layer, room)
        return twin.to_weight if twin else super().to_weight(layer, room)

    def to_input(self, layer: Layer, room: Room, out: Tensor) -> Call:
        twin = self._twin(layer, room)
        return partial(twin.to_input, out) if twin else super().to_input(layer, room, out)

    def _twin(self, layer: Layer, room: Room) -> Twin | None:
        rows = len(room.before)
        place = (layer.weight.data_ptr(), rows)
        if place not in self.twins:
            self.twins[place] = Twin(layer, room) if rows * layer.weight.numel() >= WORTH_ROUNDING else None
        return self.twins[place]
