"""What a step of dense layers works in on a GPU, and how its products are cut into tiles."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from torch import Tensor, nn

from aecore.training.optimiser import LINE

FULL = 120
"""Programs that occupy a GPU."""
ROOM = 6
"""Numbers for each output of a layer and each image, at most."""


class Cut(NamedTuple):
    """How a result is cut into tiles, and how many terms of its sums are loaded at once."""

    rows: int
    columns: int
    terms: int

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        return -(-rows // self.rows), -(-columns // self.columns)


UPDATE = Cut(16, 64, 32)
"""Of a gradient of weights."""
CUTS = (Cut(64, 64, 32), Cut(32, 32, 32), Cut(16, 16, 64))


def cut(rows: int, columns: int) -> Cut:
    """The largest tiles that occupy the device, else the smallest."""
    return next((each for each in CUTS if prod(each.grid(rows, columns)) >= FULL), CUTS[-1])


class Room(NamedTuple):
    """What one layer works in, for one size of batch; empty where it needs none."""

    x: Tensor
    """(B, in)."""
    before: Tensor
    """(B, out): what the activation is applied to, where its derivative needs that."""
    after: Tensor
    """(B, out)."""
    gradient: Tensor
    """(B, out): of the product."""
    noise: Tensor
    """(B, latent_dim): that a code is drawn with."""
    of_code: Tensor
    """(B, latent_dim): the code's gradient."""


class Desk(NamedTuple):
    """What a step with one size of batch works in."""

    rooms: list[Room]
    parts: Tensor
    """Of the loss, as the last layer's tiles leave them."""
    kl: Tensor
    losses: Tensor
    """(1 + terms,)."""
    tables: tuple[Tensor, Tensor]
    """(tiles, 8) int32: where `moves.update` finds what, for the layers before the middle and from there on."""


def fits(model: nn.Module, images: int) -> bool:
    """Whether 32 bits count the numbers of a step's rooms."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    return images * sum(layer.in_features + ROOM * layer.out_features for layer in layers) < 2**31


def carved(shapes: Sequence[tuple[int, int]], like: Tensor) -> list[Tensor]:
    """Places of these shapes in one new buffer, each at the start of a cache line."""
    lines = [-(-prod(shape) // LINE) * LINE for shape in shapes]
    return [
        part[: prod(shape)].view(shape)
        for part, shape in zip(like.new_zeros(sum(lines)).split(lines), shapes, strict=True)
    ]
