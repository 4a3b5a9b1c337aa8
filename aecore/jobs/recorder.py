"""What is written while a model trains: metrics, pictures, checkpoints, progress. How often is decided here, and nothing else."""

import math
import time
from functools import partial
from typing import Any

import psutil

from aecore import manifest, training
from aecore.analysis.sampling import Sampler
from aecore.jobs import devices, states
from aecore.jobs.measures import DENSE, EARLY, SHARE
from aecore.jobs.work import Shown, Stopped, Work, at_best
from aecore.manifest import Mark
from aecore.runs.folder import TimingRow

LOOK = 0.25
"""Seconds between flushes."""
SAMPLES = 50
WRITING = 100e6
"""Bytes per second that a disk is trusted with, before the first checkpoint tells."""


class Recorder:
    """Takes the rows of one attempt's training loop; `before` is where the folder stood when it began."""

    def __init__(self, work: Work, state: training.TrainState, data: training.Data, before: Mark = Mark()):
        config = work.folder.config()
        self.work, self.folder, self.state, self.facts = work, work.folder, state, data.facts
        self.watched = data.watch_split
        self.sampler = Sampler(data, state.model, config)
        self.total_steps = training.total_steps(config, len(data.train_images))
        self.images = partial(training.images_in, config, len(data.train_images))
        """Images in the first so many steps."""
        self.epoch_steps = math.ceil(len(data.train_images) / config.training.batch_size)
        self.waiting: list[training.Row] = []
        self.latest = {(split, name): value for _, _, split, name, value in self.folder.metrics()[0]}
        self.metrics_bytes = before.metrics_bytes
        self.speed = 0.0
        self.epoch_ended = False
        self.kept = self.folder.sample_steps()
        self.early = set(self.kept)
        self.checkpointed = state.step if before.metrics_bytes and not self._at_an_end else -1
        self.start = time.monotonic() - before.seconds
        self.looked = self.beaten = self.saved = time.monotonic()
        self.sampled, self.sample_cost = 0.0, 0.0
        self.saved_step, self.save_cost = state.step, checkpoint_bytes(state) / WRITING
        self.aside = before.aside  # seconds that went into pictures and checkpoints: not the training's
        self.beaten_at = (state.step, self.beaten, self.aside)

    def row(self, row: training.Row | None) -> None:
        """Take one row, or a step without one; once in a while write, draw, save and tell."""
        if row is not None:
            self._take(row)
        now = time.monotonic()
        if now - self.looked >= LOOK:
            self.looked = now
            self._look(now)
        elif self.state.step - self.saved_step >= self.work.lab.settings.checkpoint_steps:
            self._save_if_due(now)

    def _take(self, row: training.Row) -> None:
        self.waiting.append(row)
        self.latest[row.split, row.name] = row.value
        self.epoch_ended |= row.split != "train"
        if not self.kept:
            self._write(self.flush, self.sample)
        if row.split != "train" and self._is_best:
            self._save_if_due(time.monotonic(), 0.0)

    def _look(self, now: float) -> None:
        self._write(self.flush)
        if self._sample_due(now):
            self._write(self.sample)
        self._save_if_due(now)
        if now - self.beaten >= states.BEAT:
            self.beaten = now
            self._write(self.beat)

    def _save_if_due(self, now: float, seconds: float | None = None) -> None:
        """Checkpoints come after so many seconds or steps, but never take more than a share of the time."""
        settings = self.work.lab.settings
        late = now - self.saved >= (settings.checkpoint_seconds if seconds is None else seconds)
        far = self.state.step - self.saved_step >= settings.checkpoint_steps
        if (late or far) and not self._at_an_end and now - self.saved >= self.save_cost / settings.checkpoint_share:
            self._write(self.checkpoint)

    @property
    def _at_an_end(self) -> bool:
        """Whether the steps of an epoch are done and the epoch is not, with its look at the held-out images: a step is saved once, and
        this one soon stands for more."""
        position = self.state.position
        return position > 0 and (position == self.epoch_steps or self.state.step == self.total_steps)

    def _write(self, *writes: Any) -> None:
        """What it waits meanwhile is no training; who is told to leave meanwhile saves what can be."""
        before = self.work.waited
        try:
            for write in writes:
                self.work.patiently(write, max(0, self.checkpointed))
        except Stopped:
            self._leave_out(self.work.waited - before)
            with at_best():
                self._commit()
            raise Stopped(max(0, self.checkpointed)) from None
        self._leave_out(self.work.waited - before)

    def _leave_out(self, seconds: float) -> None:
        step, beaten, aside = self.beaten_at
        self.start += seconds
        self.beaten_at = (step, beaten + seconds, aside)

    @property
    def _is_best(self) -> bool:
        return self.state.best.step == self.state.step

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
        rest = max(1.0, (DENSE if early else 1 / SHARE) * self.sample_cost)
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
        """Save the state; the last two are kept, and the best."""
        begin = time.monotonic()
        if self._commit():
            self.work.beat(checkpoint_step=self.state.step)
            self.saved = time.monotonic()
            self.save_cost = self.saved - begin
            self.aside += self.save_cost

    def _commit(self) -> bool:
        """Whether there was something to save."""
        self.flush()
        if self.checkpointed == self.state.step:
            return False
        self.folder.sync_metrics()
        mark = Mark(self.metrics_bytes, self.seconds, self.aside, self._is_best)
        training.commit(self.folder.checkpoints, self.state, mark, self.work.attempt, self.facts)
        self.checkpointed = self.saved_step = self.state.step
        manifest.prune(self.folder.checkpoints)
        return True

    def beat(self) -> None:
        """Tell the database and whoever watches how far it is."""
        step, now = self.state.step, time.monotonic()
        last_step, last_time, last_aside = self.beaten_at
        spent = (now - last_time) - (self.aside - last_aside)
        if step > last_step and spent > 0:
            self.speed = (self.images(step) - self.images(last_step)) / spent
        self.beaten_at = (step, now, self.aside)
        shown = Shown(step, self.total_steps, self.state.epoch, self.loss, self.speed)
        self.work.beat(
            step=step,
            epoch=shown.epoch,
            loss=shown.loss,
            images_per_second=self.speed,
            steps_per_second=step / self.seconds if step else None,
            memory=memory(self.state),
            **({"checkpoint_step": self.checkpointed} if self.checkpointed >= 0 else {}),
        )
        load = devices.load(cuda=self.on_cuda)
        self.folder.append_timing(TimingRow(step, shown.epoch, self.seconds, self.speed, memory(self.state), load))
        self.work.show(shown)

    @property
    def on_cuda(self) -> bool:
        return next(self.state.model.parameters()).device.type == "cuda"

    @property
    def mean_speed(self) -> float:
        """Images per second over the whole run, pictures and checkpoints left out."""
        return self.images(self.state.step) / max(self.seconds - self.aside, 1e-9)

    @property
    def loss(self) -> float | None:
        """The newest loss of the watched images: that of a batch says little, and less is not better."""
        return self.latest.get((self.watched, "loss"))

    def finish(self) -> None:
        """The last rows, the last pictures, the last checkpoint."""
        self._write(self.flush, self.beat, self.sample, self.checkpoint)

    def keep(self) -> None:
        """What must not be lost when the process leaves and comes back."""
        self._write(self.flush, self.beat, self.checkpoint)

    def keep_the_curve(self, rows: list[training.Row]) -> None:
        """What is known up to the step that diverged, `rows` the last of it. No checkpoint: the state is not one between two steps."""
        for row in [*self.state.hand_out(), *rows]:
            self.waiting.append(row)
            self.latest[row.split, row.name] = row.value
        for write in (self.flush, self.beat):
            self.work.patiently(write, max(0, self.checkpointed))


def checkpoint_bytes(state: training.TrainState) -> int:
    """About how large a checkpoint is: the weights and two moments of each, in 32 bits."""
    return 12 * sum(parameter.numel() for parameter in state.model.parameters())


def memory(state: Any) -> int:
    """Bytes in use: the most on the GPU since the start, or this process's resident set on the CPU."""
    if state.device.type == "cuda":
        return training.device.peak(state.device)
    return int(psutil.Process().memory_info().rss)
