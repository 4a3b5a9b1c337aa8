"""How long, and how fast: steps and learning rates, pure functions of the configuration."""

import math

from aecore.config import RunConfig, TrainingConfig

MOST_ROWS = 5000


def total_steps(config: RunConfig, n_train: int) -> int:
    """Steps of a run over `n_train` images (before `training.subset`), unless it stops early."""
    return config.total_steps(n_train)


def images_in(config: RunConfig, n_train: int, steps: int) -> int:
    """Images in the first so many steps over `n_train` images (after `training.subset`): the last batch of an epoch may be smaller."""
    size = min(config.training.batch_size, n_train)
    epochs, rest = divmod(steps, math.ceil(n_train / size))
    return epochs * n_train + rest * size


def window(total: int) -> int:
    """Steps that share a row in the metrics, so that a curve has at most about 5,000 points, however long the run."""
    return max(1, total // MOST_ROWS)


def learning_rate(training: TrainingConfig, step: int, total: int) -> float:
    """For the step that follows `step` done ones: linear warm-up, then constant, or half a cosine down to 0 at `total`.

    Cosine: Loshchilov & Hutter 2017, without restarts.
    """
    peak, warmup = training.learning_rate, training.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    if training.schedule == "constant":
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
