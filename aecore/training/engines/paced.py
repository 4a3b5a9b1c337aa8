"""Recorded steps with kernels of Triton's around them: what finds the images and notes the losses, and Adam."""

import torch
from torch import Tensor, nn

from aecore.config import RunConfig
from aecore.models import Progress
from aecore.training.data import Data
from aecore.training.engines import moves
from aecore.training.engines.desk import fits
from aecore.training.engines.eager import Eager, Halves
from aecore.training.engines.recorded import MOST_TERMS, Place, Recorded
from aecore.training.engines.tiled import Tiled
from aecore.training.optimiser import EPSILON, Optimiser
from aecore.training.rows import UNREAD
from aecore.training.state import TrainState

NUMBERS = 1024
"""That one program moves."""


class Move:
    """An optimiser's update of all its parameters, which lie in one buffer."""

    def __init__(self, optimiser: Optimiser):
        named = list(optimiser.named.values())
        for parameter, (_, gradient) in zip(named, optimiser.flatten([[each] for each in named]), strict=True):
            parameter.grad = gradient.as_strided(parameter.shape, parameter.stride())
        (self.values,), moments = optimiser.parameters, optimiser.moments.values()
        assert self.values.grad is not None
        self.gradients = self.values.grad
        self.moments = [moment for (moment,) in moments]
        self.optimiser, self.pace = optimiser, self.values.new_zeros(4)

    def __call__(self, losses: Tensor, rate: float | Tensor) -> None:
        of, terms, n = self.optimiser, len(losses), len(self.values)
        rate = rate if isinstance(rate, Tensor) else self.pace.new_tensor(rate)
        known = (losses, terms, of.steps, rate, of.rate, self.pace, *of.betas)
        moves.paced[(1,)](*known, P=MOST_TERMS, num_warps=1)
        places = (self.values, self.gradients, *self.moments, self.pace, n, of.weight_decay)
        moves.adam[(-(-n // NUMBERS),)](*places, of.kind == "adamw", *of.betas, EPSILON, NUMBERS)


class Paced(Eager):
    """Automatic differentiation, with all weights in one buffer and all gradients in another."""

    def __init__(self, state: TrainState, data: Data, config: RunConfig):
        super().__init__(state, data, config)
        self.moves = [Move(optimiser) for optimiser in state.optimisers]

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        torch._foreach_zero_([move.gradients for move in self.moves])
        return super().gradients(chosen, progress)

    def update(self) -> None:
        if self.config.training.optimiser == "sgd":
            return super().update()
        for move in self.moves:
            move(self.losses, self.learning_rate)


def within(state: TrainState, data: Data, config: RunConfig, by_hand: bool) -> Halves:
    """What makes the steps that are recorded. Weights of recurrent layers stay where cuDNN wants them to lie."""
    if by_hand and fits(state.model, config.training.batch_size):
        return Tiled(state, data, config)
    recurrent = any(isinstance(layer, nn.RNNBase) for layer in state.model.modules())
    return Eager(state, data, config) if recurrent else Paced(state, data, config)


class Played(Recorded):
    """A recording whose own part is two kernels."""

    def _take(self, place: Place) -> None:
        moves.take[(1,)](self.order, self.clock, place.chosen, len(place.chosen), 1024, num_warps=1)

    def _note(self, place: Place, losses: Tensor, noted: Tensor) -> None:
        moves.keep[(1,)](losses, noted, self.clock, len(place.chosen), len(losses), UNREAD, MOST_TERMS, num_warps=1)
