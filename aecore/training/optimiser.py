"""Adam, AdamW and gradient descent on PyTorch's fused kernels.

The kernels are those of `torch.optim` with fused=True, and a test holds the two to the same numbers. What `torch.optim` adds
around them imports torch._dynamo at the first step: more than a second before the first point of a curve, and 100 MB.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from aecore.config import TrainingConfig
from aecore.models import Autoencoder

BETAS, EPSILON = (0.9, 0.999), 1e-8
OPPONENT_BETAS = (0.5, 0.9)
"""What it plays against moves: it must forget sooner. Kim & Mnih 2018, appendix A."""
MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq"), "sgd": ()}


def optimisers(model: Autoencoder, training: TrainingConfig) -> tuple["Optimiser", ...]:
    """One for the autoencoder, and one for its opponent where it has one: each has its own sum of terms."""
    theirs = (
        {f"objective.opponent.{name}" for name, _ in model.opponent.named_parameters()} if model.opponent else set()
    )
    named = list(model.named_parameters())
    own = Optimiser([(name, p) for name, p in named if name not in theirs], training)
    if model.opponent is None:
        return (own,)
    opposed = [(name, p) for name, p in named if name in theirs]
    return own, Optimiser(opposed, training, OPPONENT_BETAS, model.opponent.rate, "opponent.")


class Optimiser:
    """Updates named parameters in place from their gradients. Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter 2019."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        training: TrainingConfig,
        betas: tuple[float, float] = BETAS,
        rate: float = 1.0,
        name: str = "",
    ):
        """`rate` multiplies every learning rate; `name` tells its count of steps from another optimiser's."""
        self.kind, self.weight_decay = training.optimiser, training.weight_decay
        self.betas, self.rate, self.name = betas, rate, name
        named = dict(parameters)
        self.names, self.parameters = list(named), list[Tensor](named.values())
        self.moments = {
            moment: [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.parameters]
            for moment in MOMENTS[self.kind]
        }
        self.steps = torch.zeros((), device=self.parameters[0].device)

    def step(self, learning_rate: float, skip: Tensor | None = None) -> None:
        """One update. Where `skip` (a scalar on the device) is 1 nothing changes; the host need not know."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        assert len(gradients) == len(self.parameters), "every parameter belongs to the loss"
        with torch.no_grad():
            self.steps += 1
            if self.kind == "sgd":
                self._descend(gradients, self.rate * learning_rate, skip)
            else:
                self._adam(gradients, self.rate * learning_rate, skip)
            if skip is not None:
                self.steps -= skip

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: {'exp_avg.encoder.layers.1.weight': ..., 'steps': ...}."""
        kept = {
            f"{moment}.{name}": tensor
            for moment, tensors in self.moments.items()
            for name, tensor in zip(self.names, tensors, strict=True)
        }
        return kept | {f"{self.name}steps": self.steps}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Continue from `tensors()` of an earlier optimiser."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])

    def _adam(self, gradients: list[Tensor], learning_rate: float, skip: Tensor | None) -> None:
        kernel = torch._fused_adamw_ if self.kind == "adamw" else torch._fused_adam_
        kernel(
            self.parameters,
            gradients,
            self.moments["exp_avg"],
            self.moments["exp_avg_sq"],
            [],
            [self.steps] * len(self.parameters),
            lr=learning_rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
            found_inf=skip,
        )

    def _descend(self, gradients: list[Tensor], learning_rate: float, skip: Tensor | None) -> None:
        torch._fused_sgd_(
            self.parameters,
            gradients,
            [],
            weight_decay=self.weight_decay,
            momentum=0.0,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
            found_inf=skip,
        )
