"""The recurrent backbone: rows or columns of an image, or steps of a sequence, one after the other. Srivastava et al. 2015, section 2.1."""

from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from aecore.config import Facts
from aecore.config.backbones import RecurrentBackbone
from aecore.models.jacobian import TWICE
from aecore.models.layers import Layers
from aecore.models.noise import Dropout


def recurrent_layers(config: RecurrentBackbone, facts: Facts) -> Layers:
    """The backbone for images (1, H, W): H steps of W numbers, or W of H. The decoder sees the features in every step.

    Raises:
        ConfigError: for images of several channels.
    """
    features = config.feature_shape(facts.shape)
    columns = config.over == "columns"
    steps, numbers = facts.shape[:0:-1] if columns else facts.shape[1:]
    cell, dropout = CELLS[config.cell], [Dropout(config.dropout)] if config.dropout else []
    down: list[nn.Module] = []
    for before, units in pairwise((numbers, *config.widths)):
        inputs = before * (config.directions if down else 1)
        down += [cell(inputs, units, batch_first=True, bidirectional=config.bidirectional), *dropout]
    up: list[nn.Module] = []
    for before, units in pairwise((*features, *config.widths[::-1])):
        up += [cell(before, units, batch_first=True), *dropout]
    return Layers(
        nn.Sequential(Steps(columns), *down, LastState(config.directions)),
        nn.Sequential(Repeated(steps), *up, nn.Linear(config.widths[0], numbers), Lines(columns, config.reverse)),
        features,
        "tanh",  # the range of a state
        widest=steps * 4 * max(*features, *config.widths),
    )


class Steps(nn.Module):
    """(B, 1, T, F) -> (B, T, F); (B, 1, F, T) where the columns are the steps."""

    def __init__(self, columns: bool):
        super().__init__()
        self.columns = columns

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0].mT if self.columns else x[:, 0]


class Lines(Steps):
    """The inverse of `Steps`; of steps that were written from the last to the first, where they are `reversed`."""

    def __init__(self, columns: bool, reversed: bool):
        super().__init__(columns)
        self.reversed = reversed

    def forward(self, x: Tensor) -> Tensor:
        x = x.flip(1) if self.reversed else x
        return x[:, None].mT if self.columns else x[:, None]


class Repeated(nn.Module):
    """(B, features) -> (B, T, features): the same in every step."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return x[:, None].expand(-1, self.steps, -1)


class LastState(nn.Module):
    """(B, T, directions * units) -> the same of one step: the last one read; of the second direction that is the first row."""

    def __init__(self, directions: int):
        super().__init__()
        self.directions = directions

    def forward(self, x: Tensor) -> Tensor:
        if self.directions == 1 or x.is_meta:
            return x[:, -1]
        forward, backward = x.chunk(2, dim=2)
        return torch.cat([forward[:, -1], backward[:, 0]], dim=1)


class Lstm(nn.LSTM):
    """(B, T, F) -> the states after each step (B, T, directions * units). Hochreiter & Schmidhuber 1997.

    Begins with its forget gates open (Jozefowicz et al. 2015), so that the first row is still known after the last.
    """

    def reset_parameters(self) -> None:
        _begin(self, gates=4)
        for name, bias in self.named_parameters():
            if name.startswith("bias_ih"):
                nn.init.ones_(bias[self.hidden_size : 2 * self.hidden_size])

    def forward(self, x: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        if x.is_meta:
            return _states(self, x)
        with _kernels():
            return super().forward(x, hx)[0]


class Gru(nn.GRU):
    """(B, T, F) -> the states after each step (B, T, directions * units). Cho et al. 2014."""

    def reset_parameters(self) -> None:
        _begin(self, gates=3)

    def forward(self, x: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        if x.is_meta:
            return _states(self, x)
        with _kernels():
            return super().forward(x, hx)[0]


@torch.no_grad()
def _begin(layer: nn.RNNBase, gates: int) -> None:
    """Orthogonal from state to state (Saxe et al. 2014), Xavier from input to state, each gate by itself, and no bias.

    With PyTorch's own start the autoencoder stays at the mean image for many hundred steps (docs/LOG.md).
    """
    for name, parameter in layer.named_parameters():
        if parameter.is_meta:
            continue  # only shapes are asked for
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            continue
        draw = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
        for gate in parameter.chunk(gates):
            draw(gate)


def _kernels() -> AbstractContextManager[None]:
    """cuDNN's recurrent layers can be differentiated once only."""
    return torch.backends.cudnn.flags(enabled=False) if TWICE.get() else nullcontext()


def _states(layer: nn.RNNBase, x: Tensor) -> Tensor:
    """The shape is all that is asked for, and PyTorch would import torch._dynamo for it."""
    return torch.empty(*x.shape[:2], layer.hidden_size * (2 if layer.bidirectional else 1), device=x.device)


CELLS: dict[str, type[Lstm] | type[Gru]] = {"lstm": Lstm, "gru": Gru}
