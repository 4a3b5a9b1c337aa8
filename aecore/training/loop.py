"""The training loop: one screen, top to bottom in the order in which things happen. It knows no file and no page."""

import math
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from aecore.config import RunConfig
from aecore.data import normalise
from aecore.models import Autoencoder, Batch, Output, Progress
from aecore.tasks import corrupt, wanted
from aecore.training import device as devices
from aecore.training import engines
from aecore.training.codes import Codes
from aecore.training.data import Data, order
from aecore.training.rows import Diverged, Row
from aecore.training.schedule import learning_rate, total_steps
from aecore.training.seeds import seeded
from aecore.training.state import Best, TrainState


def train(state: TrainState, data: Data, config: RunConfig, step: engines.Step | None = None) -> Iterator[Row | None]:
    """Train from where `state` stands, row by row, by the engine that the run was started with (`step`, where it is there already); None
    after a step without a row. In between the state can be checkpointed, and closing the generator stops.

    Raises:
        Diverged: for a loss that is not finite, with the weights as they were before that step.
    """
    training = config.training
    step = step or engines.of(state, data, config)
    total = total_steps(config, len(data.train_images))
    yield from state.hand_out()
    if state.watched < 0:
        yield from state.hand_out(watch(state, data, config, step))

    while (state.step < total or state.position > 0) and not patience_is_over(state, config):
        for chosen in order(data, training, state.epoch, state.position):
            if state.step == total:
                break
            losses = step.begin(chosen, Progress(state.step, total), learning_rate(training, state.step, total))
            rows = state.losses.add(state.step + 1, state.epoch + 1, step.names, losses)  # raises Diverged
            step.finish()
            state.step, state.position = state.step + 1, state.position + 1
            yield from state.hand_out(rows)
            if not rows and state.step < total:
                yield None

        rows = state.losses.close(state.step, state.epoch + 1) if state.step == total else state.losses.flush()
        rate = learning_rate(training, state.step - 1, total)
        rows.append(Row(state.step, state.epoch + 1, "train", "learning_rate", rate))
        state.epoch, state.position = state.epoch + 1, 0
        due = state.epoch % training.watch_every == 0
        state.rows.extend(rows)  # known also where the held-out loss is not finite
        yield from state.hand_out(watch(state, data, config, step) if due else [])
    if state.watched < state.step:
        yield from state.hand_out(watch(state, data, config, step))


def patience_is_over(state: TrainState, config: RunConfig) -> bool:
    """Whether the watched loss was found, just now, not to have become better for `training.early_stopping` epochs."""
    patience = config.training.early_stopping
    return patience > 0 and state.watched == state.step and state.epoch - state.best.epoch >= patience


def watch(state: TrainState, data: Data, config: RunConfig, step: engines.Step | None = None) -> list[Row]:
    """Evaluate the watched split, as quickly as the engine of `step` can, and remember the best loss. Raises Diverged where it is not
    finite."""
    total = total_steps(config, len(data.train_images))
    end = Progress(
        total, total
    )  # weights that change along the way stand where they end, so that losses can be compared
    values = state.world.told(lambda: evaluate(state.model, data, config, end, step))
    if not math.isfinite(values["loss"]):
        raise Diverged(state.step, values["loss"], "held-out loss")
    if values["loss"] < state.best.loss:
        state.best = Best(values["loss"], state.epoch, state.step)
    state.watched = state.step
    return [Row(state.step, state.epoch, data.watch_split, name, value) for name, value in values.items()]


class Seen(NamedTuple):
    """What a look at the watched images leaves on the device."""

    names: tuple[str, ...]
    sizes: list[int]
    """Images of each batch."""
    means: list[Tensor]
    """(1 + terms + 1,) of each batch."""
    codes: Codes

    def values(self) -> dict[str, float]:
        weights = torch.tensor(self.sizes, dtype=torch.float64) / sum(self.sizes)
        values = (weights @ torch.stack(self.means).cpu().double()).tolist()
        return dict(zip(self.names, values, strict=True)) | self.codes.figures()


def evaluate(
    model: Autoencoder, data: Data, config: RunConfig, progress: Progress, step: engines.Step | None = None
) -> dict[str, float]:
    """{'loss', every term, 'mse'}: means over the watched images, in evaluation mode and 32 bits; and what `Codes`
    tells of all of them.

    'mse' is per pixel in [0,1] units, of x_hat clipped to the value range, as a picture shows it. Noise comes from a
    generator of its own, the same each time, so that neither training nor the curve feels it.
    """
    noise = seeded(config.training.seed, "watch", device=data.watch_images.device)
    look = partial(_look, model, data, config, progress)
    return (step.look(look, noise) if step else look(noise)).values()


def _look(model: Autoencoder, data: Data, config: RunConfig, progress: Progress, noise: torch.Generator) -> Seen:
    seen = Seen((), [], [], Codes(model.objective.standard_prior))
    with model.evaluating():
        size = devices.at_once(model, data.watch_images.device)
        for part in zip(data.watch_images.split(size), data.watch_labels.split(size), strict=True):
            terms, mse, output = _evaluate_batch(model, part, data, config, progress, noise)
            seen.codes.add(output)
            seen.means.append(torch.stack([sum(terms.values(), torch.zeros_like(mse)), *terms.values(), mse]))
            seen.sizes.append(len(output.z))
    return seen._replace(names=("loss", *terms, "mse"))


def _evaluate_batch(
    model: Autoencoder,
    part: tuple[Tensor, Tensor],
    data: Data,
    config: RunConfig,
    progress: Progress,
    noise: torch.Generator,
) -> tuple[dict[str, Tensor], Tensor, Output]:
    low, high = data.facts.value_range
    images, label = part
    clean = normalise(images, data.facts.value_range)  # (B, C, H, W)
    x, mask = corrupt(config.task, clean, data.facts.value_range, noise)
    target = wanted(config.task, clean, data.facts.value_range)
    batch = Batch(x, target, label, mask)
    output = model(batch)
    mse = ((output.x_hat.clamp(low, high) - target) / (high - low)).square().mean()
    return model.loss_terms(batch, output, progress, noise), mse, output
