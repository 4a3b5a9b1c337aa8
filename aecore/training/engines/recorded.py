"""Steps that are recorded once and played again, for a GPU on which a small network's kernels wait for their launches.

Everything that a step reads and writes lies in buffers that stay: the chosen places, the number of the step, the learning
rate, the gradients. `CudaGraphs` records a step as a CUDA graph (`tests/test_gpu.py`); the other tests record it otherwise, so
that they need no GPU.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from aecore.config import ConfigError
from aecore.models import Progress
from aecore.training.engines.eager import Halves, Made
from aecore.training.rows import UNREAD

if TYPE_CHECKING:
    from aecore.training.state import TrainState

Call = Callable[[], None]
MOST_TERMS = 32
"""Losses of a step, and their sum."""
WARM = 3
"""Steps of each size of batch that are taken as they are, before one is recorded: libraries choose their kernels in them."""


class Recorder(Protocol):
    """Turns calls into recordings. What a recorded call reads and writes must lie where it lay."""

    def warm(self, call: Call) -> None:
        """Do a call as it is."""

    def record(self, call: Call, *generators: torch.Generator) -> Call:
        """A recording, which does when it is played what the call would do now, with what the generators would give now; nothing is done
        yet."""


class CudaGraphs:
    """Recordings are CUDA graphs that share their memory."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()

    def warm(self, call: Call) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            call()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, call: Call, *generators: torch.Generator) -> Call:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator.graphsafe_get_state())  # the same state, under torch's own class
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                call()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            why = str(error).splitlines()[0]
            sentence = f"What this model does cannot be recorded: {why} Set training.engine to 'eager'."
            raise ConfigError({"training.engine": sentence}) from None
        # what recording itself wrote into the generator's place must not come after what playing writes there
        torch.cuda.current_stream().wait_stream(self.stream)
        return graph.replay


class Place:
    """The buffers and the recording of one size of batch."""

    def __init__(self, chosen: Tensor):
        self.chosen = chosen.clone()
        self.taken = 0
        self.played: Call | None = None


class Sight:
    """A look at the watched images and its recording, the same each time."""

    def __init__(self, call: Callable[[torch.Generator], Any], noise: torch.Generator, recorder: Recorder):
        self.call, self.noise, self.seed = call, noise, noise.initial_seed()
        self.played = recorder.record(self._take, noise)

    def _take(self) -> None:
        self.made = self.call(self.noise)

    def again(self) -> Any:
        self.noise.manual_seed(self.seed)
        self.played()
        return self.made


class Recorded:
    """The steps of another engine, recorded: one recording for each size of batch, the last, smaller one among them.

    A recording finds its images and notes its losses by itself: each word between host and device costs as much as playing it.
    """

    names: tuple[str, ...] = ()

    def __init__(self, inner: Halves, state: "TrainState", recorder: Recorder, n_train: int):
        self.inner, self.state, self.recorder = inner, state, recorder
        device = state.device
        self.clock = torch.tensor([state.step, 0], device=device)
        self.step, self.position = self.clock.unbind()
        """Steps done, and images of the epoch's order."""
        # CUDA's kernels read a learning rate of 32 bits; the CPU's take one of 64, as Python has it
        self.rate = torch.zeros((), device=device, dtype=torch.float64 if device.type == "cpu" else torch.float32)
        self.order = torch.zeros(n_train, dtype=torch.int64, device=device)
        self.source = self.order.untyped_storage()
        """What the order was copied from: kept, so that nothing else comes to lie there."""
        self.told = (state.step, 0.0, 0)
        """What the host knows of the device: step, learning rate, position."""
        self.noted: Tensor | None = None
        """(UNREAD, 1 + terms): the losses of the last steps."""
        self.rows: list[Tensor] = []
        self.kept: list[Tensor] = []  # gradients that automatic differentiation adds to
        for optimiser in state.optimisers:
            for parameter in optimiser.parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                    self.kept.append(parameter.grad)
            optimiser.cut()
        self.places: dict[int, Place] = {}
        self.looks = 0
        self.sight: Sight | None = None

    def begin(self, chosen: Tensor, progress: Progress, learning_rate: float) -> Tensor:
        place = self.places.get(len(chosen)) or self.places.setdefault(len(chosen), Place(chosen))
        step = int(progress.step)
        self._tell(chosen, step, learning_rate)
        if place.played:
            place.played()
        elif place.taken < WARM:
            place.taken += 1
            self.recorder.warm(lambda: self._step(place, progress.total))
        else:
            place.played = self.recorder.record(lambda: self._step(place, progress.total), self.state.noise)
            place.played()
        return self.rows[step % UNREAD]

    def look(self, call: Callable[[torch.Generator], Made], noise: torch.Generator) -> Made:
        self.looks += 1
        if self.looks == 1:  # libraries choose their kernels in it
            return call(noise)
        if self.sight is None:
            self.sight = Sight(call, noise, self.recorder)
        return self.sight.again()  # type: ignore[no-any-return]

    def finish(self) -> None:
        """It was done with the rest: a step whose loss is not finite moved nothing."""

    def _tell(self, chosen: Tensor, step: int, learning_rate: float) -> None:
        """The device what it does not know. Batches follow each other in an epoch's order, of which `chosen` is a part."""
        source, position = chosen.untyped_storage(), int(chosen.storage_offset())
        known_step, known_rate, known_position = self.told
        if step != known_step:
            self.step.fill_(step)
        if learning_rate != known_rate:
            self.rate.fill_(learning_rate)
        if source.data_ptr() != self.source.data_ptr() or position != known_position:
            order = self.order.new_empty(0).set_(source)
            self.order[: len(order)].copy_(order)
            self.position.fill_(position)
            self.source = source
        self.told = (step + 1, learning_rate, position + len(chosen))

    def _step(self, place: Place, total: int) -> None:
        self._take(place)
        if self.kept:
            torch._foreach_zero_(self.kept)
        losses = self.inner.begin(place.chosen, Progress(self.step, total), self.rate)
        self.names = self.inner.names
        self.inner.update()
        if self.noted is None:
            self.noted = losses.new_zeros(UNREAD, len(losses))
            self.rows = list(self.noted)
        assert len(losses) <= MOST_TERMS
        self._note(place, losses, self.noted)

    def _take(self, place: Place) -> None:
        """The next places of the order."""
        at = torch.arange(len(place.chosen), device=self.order.device) + self.position
        torch.index_select(self.order, 0, at, out=place.chosen)

    def _note(self, place: Place, losses: Tensor, noted: Tensor) -> None:
        """Losses (1 + terms,), and the time."""
        noted.index_copy_(0, (self.step % UNREAD).view(1), losses.view(1, -1))
        self.step += 1
        self.position += len(place.chosen)
