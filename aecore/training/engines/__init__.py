"""What makes a training step: PyTorch as it is, or a faster way to the same numbers where one is known.

`choose` says which, once, at step 0; `of` makes it. The loop asks for gradients, notes the losses, and asks for the update.
"""

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from aecore.config import ConfigError, RunConfig
from aecore.models import Autoencoder, Progress
from aecore.training.data import Data
from aecore.training.engines.chain import chain
from aecore.training.engines.eager import Eager
from aecore.training.engines.flat import Flat
from aecore.training.engines.recorded import CudaGraphs, Recorded

if TYPE_CHECKING:
    from aecore.training.state import TrainState


class Step(Protocol):
    """One optimisation step in two halves, so that a loss that is not finite is seen before it spoils the weights."""

    names: tuple[str, ...]
    """'loss' and the terms, in the order of their values; known after the first gradients."""

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        """Forward and backward pass over the training images `chosen` (B,) int64; (1 + terms,): the loss and its terms."""

    def update(self, learning_rate: float) -> None:
        """Move the weights."""


def choose(config: RunConfig, model: Autoencoder, device: torch.device) -> str:
    """Name of the engine for a run that starts: 'flat' for chains of dense layers on the CPU, 'graphs' where it is asked for on
    a GPU, else 'eager'.

    Raises:
        ConfigError: where graphs are asked for, and cannot be had.
    """
    training = config.training
    if training.engine == "graphs":
        _graphs(training.processes, device)
        return "graphs"
    return "flat" if training.engine == "auto" and device.type == "cpu" and _by_hand(config, model) else "eager"


def _by_hand(config: RunConfig, model: Autoencoder) -> bool:
    """Whether `Flat` can take a step of the model."""
    return config.training.processes == 1 and config.training.precision != "bf16" and bool(chain(model))


def _graphs(processes: int, device: torch.device) -> None:
    why = (
        f"the run goes to {'the CPU' if device.type == 'cpu' else device.type}, which has no CUDA graphs"
        if device.type != "cuda"
        else f"training.processes is {processes}: graphs are for one"
    )
    if device.type != "cuda" or processes > 1:
        raise ConfigError({"training.engine": f"training.engine is 'graphs', but {why}. Use 'auto'."})


def of(state: "TrainState", data: Data, config: RunConfig) -> Step:
    """The engine that the run was started with."""
    match state.engine["engine"]:
        case "flat":
            return Flat(state, data, config)
        case "graphs":
            inner = Flat(state, data, config) if _by_hand(config, state.model) else Eager(state, data, config)
            return Recorded(inner, state, CudaGraphs(state.noise))
    return Eager(state, data, config)
