"""What makes a training step: PyTorch as it is, or a faster way to the same numbers where one is known.

`choose` says which, once, at step 0; `of` makes it. The loop begins a step, notes the losses, and lets it finish.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from aecore.config import ConfigError, RunConfig
from aecore.models import Autoencoder, Progress
from aecore.training.data import Data
from aecore.training.engines import loops
from aecore.training.engines.chain import Link, chain, operations
from aecore.training.engines.eager import Eager, Made
from aecore.training.engines.flat import Flat
from aecore.training.engines.fused import channels_first, fuse, fusible
from aecore.training.engines.images import Gathered
from aecore.training.engines.recorded import CudaGraphs, Recorded

if TYPE_CHECKING:
    from aecore.training.state import TrainState

log = logging.getLogger(__name__)
RECORDED = ("graphs", "triton")
"""Engines whose steps are CUDA graphs."""
WORTH_SHARING = 3e9
"""Operations of a dense step from which several threads, which must wake each other for each product, are faster than one."""


class Step(Protocol):
    """One optimisation step in two halves, so that a loss that is not finite is seen before it spoils the weights."""

    names: tuple[str, ...]
    """'loss' and the terms, in the order of their values; known after the first gradients."""

    def begin(self, chosen: Tensor, progress: Progress, learning_rate: float) -> Tensor:
        """Forward and backward pass over the training images `chosen` (B,) int64, a part of an order of all of them; (1 + terms,): the
        loss and its terms, until `UNREAD` steps later."""

    def finish(self) -> None:
        """Move the weights, unless `begin` has done so on the device already."""

    def look(self, call: Callable[[torch.Generator], Made], noise: torch.Generator) -> Made:
        """What a call that changes nothing, the same one each time, makes with `noise`: done, or played again where it was recorded.
        Its tensors stay as they are until the next step."""


def choose(config: RunConfig, model: Autoencoder, device: torch.device) -> str:
    """Name of the engine for a run that starts: on a GPU 'triton', or 'graphs' where it is asked for or Triton cannot be had; on the
    CPU 'fused' for chains of dense layers and for models with a convolution that `fused` knows, or where no compiler was there at the
    installation 'flat' for chains; else 'eager'.

    Raises:
        ConfigError: where graphs are asked for, and cannot be had.
    """
    why_not = _no_graphs(config.training.processes, model, device)
    match config.training.engine:
        case "eager":
            return "eager"
        case "graphs" if why_not:
            raise ConfigError({"training.engine": f"training.engine is 'graphs', but {why_not}. Use 'auto'."})
        case _ if not why_not:
            return "triton" if config.training.engine == "auto" and _triton() else "graphs"
    if device.type != "cpu":
        return "eager"
    if _links(config, model) or (loops.library() and config.training.precision != "bf16" and fusible(model)):
        return "fused" if loops.library() else "flat"
    return "eager"


def settle(config: RunConfig, model: Autoencoder, device: torch.device, n_train: int, most: int) -> tuple[str, int]:
    """Engine, and how many of a slot's threads it uses: all, or one where the products of a step by hand are too small to share.

    What is compiled is for one thread; where there are several, PyTorch's kernels share their work too. Raises as `choose`.
    """
    name = choose(config, model, device)
    if name not in ("flat", "fused"):
        return name, most
    links = _links(config, model)
    if links is None:
        return (name if most == 1 else "eager"), most
    if most == 1 or min(config.training.batch_size, n_train) * operations(links) < WORTH_SHARING:
        return name, 1
    if config.training.precision == "bf16":
        return name, most
    return ("eager" if links[0].side else "flat"), most


def _by_hand(config: RunConfig, model: Autoencoder, bf16: bool = False) -> bool:
    """Whether `Flat` can take a step of the model with PyTorch's kernels, or what knows `bf16` too."""
    known = bf16 or config.training.precision != "bf16"
    return config.training.processes == 1 and known and bool(chain(model))


def _links(config: RunConfig, model: Autoencoder) -> list[Link] | None:
    """What `Flat` does on the CPU. The compiled loops know bf16 of dense layers, and patches of 32 bits."""
    compiled, bf16 = bool(loops.library()), config.training.precision == "bf16"
    if config.training.processes > 1 or (bf16 and not compiled):
        return None
    return chain(model, patches=compiled)


@cache
def _triton() -> bool:
    """Whether Triton's kernels can be had. It is imported for that: a second, on a GPU only."""
    try:
        from aecore.training.engines.tiled import try_out

        try_out()
    # not installed, no compiler, a GPU that it does not know: each in a class of its own
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        log.warning("Steps go without Triton's kernels here: %s: %s", type(error).__name__, first)
        return False
    return True


def _no_graphs(processes: int, model: Autoencoder, device: torch.device) -> str:
    """Why a step cannot be recorded as a CUDA graph; '' where it can."""
    if device.type != "cuda":
        return f"the run goes to {'the CPU' if device.type == 'cpu' else device.type}, which has no CUDA graphs"
    if processes > 1:
        return f"training.processes is {processes}: graphs are for one"
    return "" if model.decoder.recordable else "this model's decoder makes the processor wait for the GPU in each step"


def prepare(model: Autoencoder, config: RunConfig, name: str) -> torch.memory_format:
    """Make a new model ready for an engine. Returns how its images should lie in memory: channels last is up to 1.9 x faster, but for
    compiled convolutions, and for those of grey images alone, where it is 1.2 x slower."""
    if name == "fused" and loops.library():
        if _links(config, model):
            return torch.contiguous_format
        fuse(model)
    if name == "triton":
        _exchange(model, config.training.precision)
    convolutions = (layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)))
    several = any(min(layer.in_channels, layer.out_channels) > 1 for layer in convolutions)
    first = channels_first(model) or (name == "triton" and config.training.precision == "fp32" and _strided(model))
    return torch.channels_last if several and not first else torch.contiguous_format


def _exchange(model: Autoencoder, precision: str) -> None:
    """Convolutions for those of `convolved`; autocast knows PyTorch's only. Raises ConfigError where Triton is missing."""
    try:
        from aecore.training.engines import convolved
    except ImportError:
        why = "This run was begun with Triton's kernels, and Triton is not installed here: it comes with PyTorch on Linux."
        raise ConfigError({"training.engine": why}) from None
    if precision != "bf16":
        convolved.exchange(model, precision)


def _strided(model: Autoencoder) -> bool:
    """Whether no convolution keeps the size of an image: cuDNN's products of 32 bits are then faster where channels come first, and
    there is no pooling, which is not."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    return all(layer.stride != (1, 1) for layer in layers)


def of(state: "TrainState", data: Data, config: RunConfig) -> Step:
    """The engine that the run was started with."""
    match state.engine["engine"]:
        case "flat" | "fused" if _links(config, state.model):
            return Flat(state, data, config)
        case "fused" if loops.library():
            return Eager(state, data, config, Gathered)
        case "graphs":
            by_hand = _by_hand(config, state.model)
            plain = Flat(state, data, config) if by_hand else Eager(state, data, config)
            return Recorded(plain, state, CudaGraphs(), len(data.train_images))
        case "triton":
            from aecore.training.engines.paced import Played, within

            inner = within(state, data, config, _by_hand(config, state.model, bf16=True))
            return Played(inner, state, CudaGraphs(), len(data.train_images))
    return Eager(state, data, config)
