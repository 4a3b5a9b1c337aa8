"""Steps that are recorded once and played again, for a GPU on which a small network's kernels wait for their launches.

Everything that a step reads and writes lies in buffers that stay: the chosen places, the number of the step, the learning
rate, the gradients. `CudaGraphs` records a step as two CUDA graphs, one for each half; the tests record it otherwise, for no
test machine has a GPU (README, "What never ran on a GPU").
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
    """Recordings are CUDA graphs that share their memory. Never ran: there was no GPU."""

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
            sentence = f"training.engine is 'graphs', but a step of this model cannot be recorded: {why} Use 'auto'."
            raise ConfigError({"training.engine": sentence}) from None
        return graph.replay


class Place:
    """The buffers and recordings of one size of batch."""

    def __init__(self, chosen: Tensor):
        self.chosen = chosen.clone()
        self.taken = 0
        self.losses = torch.empty(0)
        self.gradients: Call | None = None
        self.update: Call | None = None


class Recorded:
    """The steps of another engine, recorded: one recording for each size of batch, the last, smaller one among them."""

    names: tuple[str, ...] = ()

    def __init__(self, inner: Eager | Flat, state: "TrainState", recorder: Recorder):
        self.inner, self.state, self.recorder = inner, state, recorder
        device = state.device
        self.step = torch.zeros((), device=device)
        # CUDA's kernels read a learning rate of 32 bits; the CPU's take one of 64, as Python has it
        self.rate = torch.zeros((), device=device, dtype=torch.float64 if device.type == "cpu" else torch.float32)
        self.kept: list[Tensor] = []  # gradients, which automatic differentiation adds to
        for parameter in (parameter for optimiser in state.optimisers for parameter in optimiser.parameters):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            self.kept.append(parameter.grad)
        self.places: dict[int, Place] = {}
        self.place = Place(torch.empty(0))

    def gradients(self, chosen: Tensor, progress: Progress) -> Tensor:
        place = self.place = self.places.setdefault(len(chosen), Place(chosen))
        place.chosen.copy_(chosen)
        self.step.fill_(progress.step)
        call = lambda: self._gradients(place, Progress(self.step, progress.total))
        if place.taken < WARM:
            self.recorder.warm(call)
        else:
            place.gradients = place.gradients or self.recorder.record(call)
            place.gradients()
        return place.losses.clone()  # the next step writes its own into the same place

    def update(self, learning_rate: float) -> None:
        place = self.place
        self.rate.fill_(learning_rate)
        call = lambda: self._update(place)
        if place.taken < WARM:
            self.recorder.warm(call)
        else:
            place.update = place.update or self.recorder.record(call)
            place.update()
        place.taken += 1

    def _gradients(self, place: Place, progress: Progress) -> None:
        torch._foreach_zero_(self.kept)
        place.losses = self.inner.gradients(place.chosen, progress)
        self.names = self.inner.names

    def _update(self, place: Place) -> None:
        for optimiser in self.state.optimisers:
            optimiser.step(self.rate, skip=not_finite(place.losses))
