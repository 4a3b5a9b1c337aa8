"""What is written while a model trains: metrics, pictures, checkpoints, progress. How often is decided here, and nothing else."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from aecore import training
from aecore.analysis.sampling import Sampler
from aecore.jobs.work import Shown, Work

LOOK, BEAT, CHECKPOINT = 0.25, 1.0, 60.0
"""Seconds between flushes, between words to the database, and between checkpoints of a small model."""
EARLY = 20.0
"""Seconds at the start in which a picture a second is taken."""
SAMPLES = 50
SHARE = 0.05
"""Share of the time that checkpoints may take."""
WRITING = 100e6
"""Bytes per second that a disk is trusted with, before the first checkpoint tells."""


class Recorder:
    """Takes the rows of one run's training loop."""

    def __init__(self, work: Work, state: training.TrainState, data: training.Data):
        config = work.folder.config()
        self.work, self.folder, self.state, self.facts = work, work.folder, state, data.facts
        self.sampler = Sampler(data, state.model)
        self.total_steps = training.total_steps(config, len(data.train_images))
        self.batch_size = min(config.training.batch_size, len(data.train_images))
        self.waiting: list[training.Row] = []
        self.latest: dict[tuple[str, str], float] = {}
        self.metrics_bytes = 0
        self.speed = 0.0
        self.epoch_ended = False
        self.early: set[int] = set()
        self.kept: list[int] = []
        self.checkpointed = -1
        self.start = self.looked = self.beaten = self.saved = time.monotonic()
        self.sampled, self.sample_cost = 0.0, 0.0
        self.checkpoint_every = max(CHECKPOINT, checkpoint_bytes(state) / WRITING / SHARE)
        self.aside = 0.0  # seconds that went into pictures and checkpoints: not the training's
        self.beaten_at = (0, self.start, 0.0)

    def row(self, row: training.Row) -> None:
        """Take one row; once in a while write, draw, save and tell."""
        first = not self.latest
        self.waiting.append(row)
        self.latest[row.split, row.name] = row.value
        self.epoch_ended |= row.split != "train"
        if first:
            self.flush()
            self.sample()
        now = time.monotonic()
        if now - self.looked >= LOOK:
            self.looked = now
            self._look(now)

    def _look(self, now: float) -> None:
        self.flush()
        if self._sample_due(now):
            self.sample()
        if now - self.saved >= self.checkpoint_every:
            self.checkpoint()
        if now - self.beaten >= BEAT:
            self.beaten = now
            self.beat()

    def flush(self) -> None:
        """Everything that was taken is on its way to the disk afterwards."""
        self.metrics_bytes = self.folder.append_metrics(self.waiting)
        self.waiting.clear()

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return time.monotonic() - self.start

    def _sample_due(self, now: float) -> bool:
        early = now - self.start < EARLY
        rest = max(1.0, (3 if early else 10) * self.sample_cost)  # so that pictures never take most of the time
        return (early or self.epoch_ended) and now - self.sampled >= rest

    def sample(self) -> None:
        """Keep what the model makes of the watched images now."""
        begin = time.monotonic()
        if not self.kept:
            self.folder.write_inputs(self.sampler.inputs)
        step = self.state.step
        if step not in self.kept:
            self.folder.write_sample(self.sampler.take(self.state.model), step, self.state.epoch, self.seconds)
            self.kept.append(step)
            if self.seconds < EARLY:
                self.early.add(step)
            self._thin()
        self.epoch_ended = False
        self.sampled = time.monotonic()
        self.sample_cost = self.sampled - begin
        self.aside += self.sample_cost

    def _thin(self) -> None:
        """Drop the later sample that says least: the one whose neighbours are nearest to each other."""
        inner = [i for i in range(1, len(self.kept) - 1) if self.kept[i] not in self.early]
        if len(self.kept) > SAMPLES and inner:
            least = min(inner, key=lambda i: self.kept[i + 1] - self.kept[i - 1])
            self.folder.drop_sample(self.kept.pop(least))

    def checkpoint(self) -> None:
        """Save the state; the last two are kept."""
        self.flush()
        if self.checkpointed == self.state.step:
            return
        begin = time.monotonic()
        training.commit(self.folder.checkpoints, self.state, self.metrics_bytes, self.work.attempt, self.facts)
        self.checkpointed = self.state.step
        prune(self.folder.checkpoints, keep=2)
        self.work.beat(checkpoint_step=self.state.step)
        self.saved = time.monotonic()
        self.checkpoint_every = max(CHECKPOINT, (self.saved - begin) / SHARE)
        self.aside += self.saved - begin

    def beat(self) -> None:
        """Tell the database and whoever watches how far it is."""
        step, now = self.state.step, time.monotonic()
        last_step, last_time, last_aside = self.beaten_at
        spent = (now - last_time) - (self.aside - last_aside)
        if step > last_step and spent > 0:
            self.speed = (step - last_step) * self.batch_size / spent
        self.beaten_at = (step, now, self.aside)
        shown = Shown(step, self.total_steps, self.state.epoch, self.loss, self.speed)
        self.work.beat(
            step=step,
            epoch=shown.epoch,
            loss=shown.loss,
            images_per_second=self.speed,
            steps_per_second=step / self.seconds if step else None,
        )
        self.folder.append_timing(step, shown.epoch, self.seconds, self.speed, memory(self.state))
        self.work.show(shown)

    @property
    def mean_speed(self) -> float:
        """Images per second over the whole run, pictures and checkpoints left out."""
        return self.state.step * self.batch_size / max(self.seconds - self.aside, 1e-9)

    @property
    def loss(self) -> float | None:
        """The newest training loss."""
        return self.latest.get(("train", "loss"))

    def finish(self) -> None:
        """The last rows, the last pictures, the last checkpoint."""
        self.flush()
        self.beat()
        self.sample()
        self.checkpoint()


def prune(folder: Path, keep: int) -> None:
    """Remove all checkpoints but the newest ones."""
    made: Sequence[Path] = sorted(path for path in folder.iterdir() if path.name[:1].isdigit())
    for path in made[:-keep]:
        shutil.rmtree(path, ignore_errors=True)


def checkpoint_bytes(state: training.TrainState) -> int:
    """About how large a checkpoint is: the weights and two moments of each, in 32 bits."""
    return 12 * sum(parameter.numel() for parameter in state.model.parameters())


def memory(state: Any) -> int:
    """Bytes in use: the most on the GPU since the start, or this process's resident set on the CPU."""
    if next(state.model.parameters()).device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)
