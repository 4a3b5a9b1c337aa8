"""A step in PyTorch as it is: any model, any objective, any device, several processes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from aecore.config import RunConfig
from aecore.models import Batch, Progress, Sums
from aecore.tasks import corrupt, wanted
from aecore.training.data import Data
from aecore.training.engines.images import Images

if TYPE_CHECKING:
    from aecore.training.state import TrainState


Made = TypeVar("Made")


class Halves:
    """A step whose update comes after the host has had its losses."""

    state: "TrainState"
    learning_rate: float | Tensor
    names: tuple[str, ...] = ()

    def begin(self, chosen: Tensor, progress: Progress, learning_rate: float | Tensor) -> Tensor:
        self.learning_rate = learning_rate
        self.losses = self.gradients(chosen, progress)
        return self.losses

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        """Forward and backward pass; the losses as of `Step.begin`."""
        raise NotImplementedError

    def look(self, call: Callable[[torch.Generator], Made], noise: torch.Generator) -> Made:
        return call(noise)

    def update(self) -> None:
        """Move the weights, unless a loss is not finite; the host need not know."""
        for optimiser in self.state.optimisers:
            optimiser.step(self.learning_rate, skip=not_finite(self.losses))


class Eager(Halves):
    """Every operation on its own, and gradients by automatic differentiation."""

    def __init__(self, state: "TrainState", data: Data, config: RunConfig, images: type[Images] = Images):
        self.state, self.data, self.config = state, data, config
        self.images = images(data, config)

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        state, training, value_range = self.state, self.config.training, self.data.facts.value_range
        clean, label = self.images(chosen, state.noise), self.data.labels(chosen)
        x, mask = corrupt(self.config.task, clean, value_range, state.noise)
        target = wanted(self.config.task, clean, value_range)

        batch, share = state.world.share(Batch(x, target, label, mask), state.noise)
        with state.autocast():
            sums = state.model.training_step(batch, progress, state.noise)
        total_of(sums, share).backward()  # of each sum to its own optimiser's parameters, and to no others
        if state.world.size > 1:
            sums = state.world.reduce(state.model.parameters(), sums, share)
        if training.clip_norm is not None:
            for optimiser in state.optimisers:
                nn.utils.clip_grad_norm_(optimiser.parameters, training.clip_norm)
        terms = {name: term for terms in sums for name, term in terms.items()}
        self.names = ("loss", *terms)
        return torch.stack([total_of(sums[:1]), *terms.values()]).detach()

    def finish(self) -> None:
        self.update()
        for optimiser in self.state.optimisers:
            optimiser.forget()  # here, so that the next forward pass has their memory


def total_of(sums: Sums, share: float = 1.0) -> Tensor:
    """All terms together; only their share where a process has a part of the batch."""
    loss = torch.stack([term for terms in sums for term in terms.values()]).sum()
    return loss if share == 1.0 else share * loss


def not_finite(losses: Tensor) -> Tensor | None:
    """1 on the device where one of `losses` (1 + terms,) is not finite: the optimiser skips the step and no host waits. None on
    the CPU, where they have been looked at already."""
    if losses.device.type == "cpu":
        return None
    return (0 * losses.sum() != 0).float()  # 0 times what is not finite is not a number
