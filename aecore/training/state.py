"""Where a run stands: everything that a checkpoint must keep for the run to go on as if nothing had happened."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

import torch

from aecore.config import Facts, RunConfig
from aecore.models import Autoencoder, build
from aecore.training import device as devices
from aecore.training import engines
from aecore.training.optimiser import Optimiser, optimisers
from aecore.training.parallel import ALONE, World, current
from aecore.training.rows import Losses, Row
from aecore.training.schedule import total_steps, window
from aecore.training.seeds import seeded, state_of


class Engine(TypedDict):
    """What computes; fixed at step 0, so that a run that is resumed gives the same numbers."""

    device: str
    threads: int
    precision: str
    engine: str
    """What makes a step: a name in `aecore.training.engines`."""


class Best(NamedTuple):
    """The lowest watched loss so far."""

    loss: float = math.inf
    epoch: int = 0
    step: int = 0


@dataclass
class TrainState:
    """A run between two rows. The loop changes it; a checkpoint keeps it."""

    model: Autoencoder
    optimisers: tuple[Optimiser, ...]
    """The autoencoder's, and its opponent's where it has one."""
    noise: torch.Generator
    """On the device: augmentation, corruption and Gaussian codes draw from it, in this order."""
    losses: Losses
    engine: Engine
    step: int = 0
    """Optimisation steps done."""
    epoch: int = 0
    """Epochs done."""
    position: int = 0
    """Batches done of the epoch that is running."""
    best: Best = field(default_factory=Best)
    watched: int = -1
    """The step at which the watched split was evaluated last; -1 before the untrained model was."""
    rows: deque[Row] = field(default_factory=deque)
    """Rows that are known and not handed out yet."""
    world: World = ALONE
    """The processes that train it together."""

    @property
    def optimiser(self) -> Optimiser:
        """The autoencoder's."""
        return self.optimisers[0]

    @property
    def device(self) -> torch.device:
        return torch.device(self.engine["device"])

    def hand_out(self, rows: Iterable[Row] = ()) -> Iterator[Row]:
        """Hand out rows one by one. Between any two the state is complete: what is not handed out is still in it."""
        self.rows.extend(rows)
        while self.rows:
            yield self.rows.popleft()

    def autocast(self) -> AbstractContextManager[object]:
        """bfloat16 where the engine says so."""
        if self.engine["precision"] != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def start(config: RunConfig, facts: Facts, threads: int | None = None) -> TrainState:
    """A run before its first step. The weights are made on the CPU, so that every device starts from the same ones.

    Raises:
        ConfigError: where the layers or the task do not fit the images, or for a device that is not there.
    """
    config.suits(facts)
    training = config.training
    device = devices.choose(training.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state_of(training.seed, "weights"))
        model = build(config.model, facts)
    name, shared = engines.settle(config, model, device, facts.n_train, threads or torch.get_num_threads())
    engine = Engine(
        device=str(device),
        threads=shared,
        precision=training.precision,
        engine=name,
    )
    return assemble(model, config, facts, engine)


def assemble(model: Autoencoder, config: RunConfig, facts: Facts, engine: Engine) -> TrainState:
    """The state of a run at step 0 around a model, on the engine."""
    torch.set_num_threads(engine["threads"])
    device = torch.device(engine["device"])
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = config.training.exact
        devices.set_products("tf32" if engine["precision"] == "tf32" else "ieee")
    model.to(device).to(memory_format=engines.prepare(model, config, engine["engine"])).train()
    return TrainState(
        model,
        optimisers(model, config.training),
        seeded(config.training.seed, "noise", device=device),
        Losses(window(total_steps(config, facts.n_train))),
        engine,
        world=current(),
    )
