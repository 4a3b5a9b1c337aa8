"""Steps that are recorded once and played again, for a GPU on which a small network's kernels wait for their launches.

Everything that a step reads and writes lies in buffers that stay: the chosen places, the number of the step, the learning
rate, the gradients. `CudaGraphs` records a step as a CUDA graph (`tests/test_gpu.py`); the other tests record it otherwise, so
that they need no GPU.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from aecore.config import ConfigError
from aecore.models import Progress
from aecore.training.engines.eager import Eager, not_finite
from aecore.training.engines.flat import Flat

if TYPE_CHECKING:
    from aecore.training.state import TrainState

Call = Callable[[], None]
WARM = 3
"""Steps of each size of batch that are taken as they are, before one is recorded: libraries choose their kernels in them."""


class Recorder(Protocol):
    """Turns calls into recordings. What a recorded call reads and writes must lie where it lay."""

    def warm(self, call: Call) -> None:
        """Do a call as it is."""

    def record(self, call: Call) -> Call:
        """A recording, which does when it is played what the call would do now; nothing is done yet."""


class CudaGraphs:
    """Recordings are CUDA graphs that share their memory."""

    def __init__(self, *generators: torch.Generator):
        self.generators = generators
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()

    def warm(self, call: Call) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            call()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, call: Call) -> Call:
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator.graphsafe_get_state())  # the same state, under torch's own class
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                call()
        except RuntimeError as error:
            why = str(error).splitlines()[0]
            sentence = f"A step of this model cannot be recorded: {why} Set training.engine to 'eager'."
            raise ConfigError({"training.engine": sentence}) from None
        # what recording itself wrote into the generator's place must not come after what playing writes there
        torch.cuda.current_stream().wait_stream(self.stream)
        return graph.replay


class Place:
    """The buffers and the recording of one size of batch."""

    def __init__(self, chosen: Tensor):
        self.chosen = chosen.clone()
        self.taken = 0
        self.losses = torch.empty(0)
        self.played: Call | None = None


class Recorded:
    """The steps of another engine, recorded: one recording for each size of batch, the last, smaller one among them."""

    names: tuple[str, ...] = ()

    def __init__(self, inner: Eager | Flat, state: "TrainState", recorder: Recorder):
        self.inner, self.state, self.recorder = inner, state, recorder
        device = state.device
        self.step = torch.full((), float(state.step), device=device)
        # CUDA's kernels read a learning rate of 32 bits; the CPU's take one of 64, as Python has it
        self.rate = torch.zeros((), device=device, dtype=torch.float64 if device.type == "cpu" else torch.float32)
        self.told = (
            state.step,
            0.0,
        )  # what the host knows of these two: each word to the device costs as much as a recording
        self.kept: list[Tensor] = []  # gradients that automatic differentiation adds to
        for optimiser in state.optimisers:
            for parameter in optimiser.parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                    self.kept.append(parameter.grad)
            optimiser.cut()
        self.places: dict[int, Place] = {}

    def begin(self, chosen: Tensor, progress: Progress, learning_rate: float) -> Tensor:
        place = self.places.setdefault(len(chosen), Place(chosen))
        place.chosen.copy_(chosen)
        self._tell(int(progress.step), learning_rate)
        call = lambda: self._step(place, progress.total)
        if place.taken < WARM:
            self.recorder.warm(call)
        else:
            place.played = place.played or self.recorder.record(call)
            place.played()
        place.taken += 1
        return place.losses.clone()  # the next step writes its own into the same place

    def finish(self) -> None:
        """It was done with the rest: a step whose loss is not finite moved nothing."""

    def _tell(self, step: int, learning_rate: float) -> None:
        if step != self.told[0]:
            self.step.fill_(step)
        if learning_rate != self.told[1]:
            self.rate.fill_(learning_rate)
        self.told = (step + 1, learning_rate)

    def _step(self, place: Place, total: int) -> None:
        if self.kept:
            torch._foreach_zero_(self.kept)
        place.losses = self.inner.gradients(place.chosen, Progress(self.step, total))
        self.names = self.inner.names
        for optimiser in self.state.optimisers:
            optimiser.step(self.rate, skip=not_finite(place.losses))
        self.step += 1
