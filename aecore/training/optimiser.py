"""Adam, AdamW and gradient descent on PyTorch's fused kernels.

The kernels are those of `torch.optim` with fused=True, and a test holds the two to the same numbers. What `torch.optim` adds
around them imports torch._dynamo at the first step: more than a second before the first point of a curve, and 100 MB.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from itertools import accumulate

import torch
from torch import Tensor, nn

from aecore.config import TrainingConfig
from aecore.models import Autoencoder

BETAS, EPSILON = (0.9, 0.999), 1e-8
OPPONENT_BETAS = (0.5, 0.9)
"""What it plays against moves: it must forget sooner. Kim & Mnih 2018, appendix A."""
LINE = 16
"""Numbers in a cache line: in a shared buffer every layer starts at one."""
PIECES = 36
"""Tensors that one call of a GPU's kernel takes."""
MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq"), "sgd": ()}


def optimisers(model: Autoencoder, training: TrainingConfig) -> tuple["Optimiser", ...]:
    """One for the autoencoder, and one for its opponent where it has one: each has its own sum of terms."""
    named, opponent = list(model.named_parameters()), model.opponent
    theirs = set() if opponent is None else {f"objective.opponent.{name}" for name, _ in opponent.named_parameters()}
    own = Optimiser([(name, p) for name, p in named if name not in theirs], training)
    if opponent is None:
        return (own,)
    opposed = [(name, p) for name, p in named if name in theirs]
    return own, Optimiser(opposed, training, OPPONENT_BETAS, opponent.rate, "opponent.")


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
        self.named = dict(parameters)
        self.parameters = list[Tensor](self.named.values())
        self.moments = {
            moment: [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.parameters]
            for moment in MOMENTS[self.kind]
        }
        self.kept = {
            f"{moment}.{name}": tensor
            for moment, tensors in self.moments.items()
            for name, tensor in zip(self.named, tensors, strict=True)
        }
        self.steps = torch.zeros((), device=self.parameters[0].device)
        self.flat = False
        """Whether all lies in one buffer, of which automatic differentiation knows nothing."""

    def flatten(
        self, groups: Sequence[Sequence[nn.Parameter]], turned: Tensor | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """Lay all parameters into one buffer, and gradients and moments into others, so that one call updates them all.

        `groups` hold every parameter once; those of a group lie side by side. The matrix `turned` lies there transposed.
        Returns: numbers and gradients of each group, one-dimensional.
        """
        names = {id(parameter): name for name, parameter in self.named.items()}
        sizes = [sum(parameter.numel() for parameter in group) for group in groups]
        starts = [0, *accumulate(-(-size // LINE) * LINE for size in sizes)]
        values, gradients, *moments = (self.parameters[0].new_zeros(starts[-1]) for _ in range(2 + len(self.moments)))
        for group, at in zip(groups, starts, strict=False):
            for parameter in group:
                turn = parameter is turned
                parameter.data = _view(values[at:], parameter, turn).copy_(parameter.data)
                for moment, buffer in zip(self.moments, moments, strict=True):
                    name = f"{moment}.{names[id(parameter)]}"
                    self.kept[name] = _view(buffer[at:], parameter, turn).copy_(self.kept[name])
                at += parameter.numel()
        values.grad, self.flat = gradients, True
        self.parameters, self.moments = [values], {name: [m] for name, m in zip(self.moments, moments, strict=True)}
        parts = [slice(at, at + size) for at, size in zip(starts, sizes, strict=False)]
        return [(values[part], gradients[part]) for part in parts]

    def cut(self) -> None:
        """Cut everything into like pieces, as many as a GPU's kernel takes: of one tensor it gives 65,536 numbers to each
        multiprocessor, and most would have none. Gradients are there and stay where they lie from here on."""
        most = max(2048, -(-sum(p.numel() for p in self.parameters) // PIECES))
        pieces = lambda tensors: [piece for tensor in tensors for piece in _line(tensor).split(most)]
        gradients = pieces(p.grad for p in self.parameters)
        self.moments = {name: pieces(moments) for name, moments in self.moments.items()}
        self.parameters = pieces(self.parameters)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

    def step(self, learning_rate: float | Tensor, skip: Tensor | None = None) -> None:
        """One update; a learning rate on the device can be another one where the step is recorded. Where `skip` (a scalar on the device) is 1 nothing changes; the host need not know."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        assert len(gradients) == len(self.parameters), "every parameter belongs to the loss"
        with nullcontext() if self.flat else torch.no_grad():
            self.steps += 1
            rate = learning_rate if self.rate == 1 else self.rate * learning_rate
            if self.kind == "sgd":
                self._descend(gradients, rate, skip)
            else:
                self._adam(gradients, rate, skip)
            if skip is not None:
                self.steps -= skip

    def forget(self) -> None:
        """Give the gradients' memory back."""
        for parameter in self.parameters:
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: {'exp_avg.encoder.layers.1.weight': ..., 'steps': ...}."""
        return self.kept | {f"{self.name}steps": self.steps}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Continue from `tensors()` of an earlier optimiser."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])

    def _adam(self, gradients: list[Tensor], learning_rate: float | Tensor, skip: Tensor | None) -> None:
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

    def _descend(self, gradients: list[Tensor], learning_rate: float | Tensor, skip: Tensor | None) -> None:
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


def _line(tensor: Tensor) -> Tensor:
    """All numbers of a tensor without gaps in the order in which they lie."""
    return tensor.detach().as_strided((tensor.numel(),), (1,), tensor.storage_offset())


def _view(buffer: Tensor, parameter: Tensor, turned: bool) -> Tensor:
    """The beginning of a buffer in the shape of a parameter."""
    part = buffer[: parameter.numel()]
    return part.view(parameter.shape[::-1]).t() if turned else part.as_strided(parameter.shape, parameter.stride())
