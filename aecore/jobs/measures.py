"""What one real step of a configuration took on this machine: its memory, and its time. Kept by configuration and device.

A page asks for it, the supervisor has a process of its own measure it (`prober`, `probe`), and everybody reads it:
`probes/wanted/KEY.json` in the lab is a wish, `probes/KEY.json` the answer. Free of torch.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import NamedTuple

import psutil

from aecore.config import RunConfig
from aecore.jobs import devices
from aecore.jobs.slots import pool_of, slots, wish
from aecore.jobs.wake import wake
from aecore.runs import Lab, files

INDIFFERENT = {
    *("epochs", "learning_rate", "weight_decay", "schedule", "warmup_steps", "early_stopping"),
    *("watch_every", "max_steps", "seed", "shuffle"),
}
"""Fields of `training` that change neither the memory nor the time of a step."""
LONGING = 10.0
"""Seconds after which a wish that nobody repeats is dropped: its viewer has gone on."""
AGAIN = 120.0
"""Seconds for which a failure is believed: there may be more memory then."""
KEPT = 500
"""Answers, the newest."""
EARLY, DENSE, SHARE = 20.0, 3, 0.05
"""Seconds at the start of a run in which it takes a picture a second, if DENSE times the time of one has passed since the last,
and the share of the later time that pictures take at most."""


class Measure(NamedTuple):
    """Of a few steps in a process of their own."""

    memory: int
    """Bytes at the peak, an evaluated batch included."""
    step: float
    """Seconds of a step."""
    watch: float
    """Seconds of an evaluation of all watched images."""
    start: float
    """Seconds until the first step: reading the images, building the model."""
    images: int
    """That are trained on, after subset and classes."""
    device: str
    """In words."""

    def seconds(self, config: RunConfig) -> float:
        """From a run's first moment to its end: its steps, evaluations and pictures. Checkpoints are not counted."""
        training, steps = config.training, config.total_steps(self.images)
        train, epochs = steps * self.step, steps / ceil(self.images / training.batch_size)
        looks = 2 + epochs // training.watch_every  # the untrained model, and the last figures
        early = min(EARLY, train) / max(1.0, DENSE * self.watch)
        late = min(epochs, SHARE * max(0.0, train - EARLY) / max(self.watch, 1e-9))
        return self.start + train + (looks + early + late) * self.watch

    def watching(self, config: RunConfig) -> float:
        """Time of an evaluation over the time of the epochs between two of them."""
        steps = ceil(self.images / config.training.batch_size)
        return self.watch / (config.training.watch_every * steps * self.step)

    def steps_per_second(self, config: RunConfig) -> float:
        """Over the whole run."""
        return config.total_steps(self.images) / max(self.seconds(config), 1e-9)


class Answer(NamedTuple):
    """A measure, or a sentence that says why there is none."""

    measure: Measure | None
    problem: str = ""


class Place(NamedTuple):
    """Where a run would go."""

    name: str
    pool: str
    """'gpu' or 'cpu'."""
    threads: int


class Room(NamedTuple):
    """Bytes of memory."""

    free: int
    total: int


def place(config: RunConfig, lab: Lab) -> Place | None:
    """The device of a run, which decides what a step takes; None where it is not this machine's one device that computes it."""
    if lab.settings.executor != "local" or config.training.processes > 1:
        return None
    cards = devices.gpus()
    pool = pool_of(wish(config), bool(cards))
    mine = [slot for slot in slots(lab, [card.uuid for card in cards]) if slot.pool == pool]
    return Place(cards[0].name if pool == "gpu" else processor(), pool, mine[0].threads)


@cache
def processor() -> str:
    return devices.devices()[-1].name


def room(pool: str) -> Room:
    """Of the GPU that has most of it free, or of the machine."""
    if pool == "gpu" and (cards := devices.gpus()):
        return max(Room(card.memory_total - card.memory_used, card.memory_total) for card in cards)
    memory = psutil.virtual_memory()
    return Room(memory.available, memory.total)


SPEED = 5
"""Counted up when steps become faster or slower, so that nothing is told from older measures."""


def key(config: RunConfig, where: Place) -> str:
    """The name of a measure: the same for configurations whose steps cost the same."""
    content = config.model_dump(mode="json", exclude={"name": True, "training": INDIFFERENT})
    text = json.dumps([content, where.name, where.threads, _torch(), SPEED, Measure._fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def _torch() -> str:
    return version("torch")


def of(lab: Lab, config: RunConfig) -> Measure | None:
    """The measure of a configuration on the device that it would go to; None while there is none."""
    where = place(config, lab)
    answer = where and read(lab, key(config, where))
    return answer.measure if answer else None


def read(lab: Lab, name: str) -> Answer | None:
    """An answer by its key; None where there is none yet, or it was a failure a while ago."""
    content = files.read_json(_folder(lab) / f"{name}.json")
    if content is None or ("problem" in content and time.time() - content["at"] > AGAIN):
        return None
    return Answer(None, content["problem"]) if "problem" in content else Answer(Measure(**content["measure"]))


def ask(lab: Lab, name: str, config: RunConfig, where: Place) -> None:
    """Wish for a measure, or wish again. Raises OSError where that cannot be written."""
    path = wish_path(lab, name)
    with suppress(FileNotFoundError):
        os.utime(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"config": config.model_dump(mode="json"), "data_root": lab.data_root}
    files.write_json(path, content | {"pool": where.pool, "threads": where.threads})
    wake(lab)


def wanted(lab: Lab) -> list[str]:
    """Keys of the measures that somebody waits for, the newest wish first. Wishes that nobody repeats are forgotten."""
    found: list[tuple[float, str]] = []
    for path in wish_path(lab, "").parent.glob("*.json"):
        with suppress(FileNotFoundError):
            wished = path.stat().st_mtime
            if time.time() - wished > LONGING:
                path.unlink()
            else:
                found.append((wished, path.stem))
    return [name for _, name in sorted(found, reverse=True)]


def answer(lab: Lab, name: str, given: Answer) -> None:
    """Keep an answer; the wish is met. Raises OSError where it cannot be written."""
    said = {"measure": given.measure._asdict()} if given.measure else {"problem": given.problem}
    files.write_json(_folder(lab) / f"{name}.json", said | {"at": time.time()})
    wish_path(lab, name).unlink(missing_ok=True)
    every = sorted(_folder(lab).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    for path in every[:-KEPT]:
        path.unlink(missing_ok=True)


def wish_path(lab: Lab, name: str) -> Path:
    return _folder(lab) / "wanted" / f"{name}.json"


def _folder(lab: Lab) -> Path:
    return lab.path / "probes"
