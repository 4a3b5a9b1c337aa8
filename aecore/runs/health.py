"""How a run does, in words, from what it wrote: each rule is a function of its metrics, and names the control that cures.

Free of torch. A rule that cannot tell says nothing; thresholds are rules of thumb, and stand beside their reasons.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from aecore.analysis.projection import moving
from aecore.config import RunConfig, code_size_path, flat
from aecore.runs.curves import Curves, Seen
from aecore.runs.folder import MetricRow

RATE = "training.learning_rate"
FEW_EPOCHS = 3
"""Epochs before which a curve says little."""
JUMP = 10
"""A loss of so many times what it was has left the place where it learnt."""


class Change(NamedTuple):
    """A field of the configuration, and what it could be."""

    path: str
    value: Any

    @property
    def assignment(self) -> str:
        """As the command line's --set and a link to Train take it."""
        value = ",".join(map(str, self.value)) if isinstance(self.value, tuple) else self.value
        return f"{self.path}={value}"


class Finding(NamedTuple):
    """What a rule found."""

    rule: str
    tone: str
    """'good', 'warning' or 'bad'."""
    sentence: str
    cure: str = ""
    """What to do, in a sentence."""
    change: Change | None = None
    """The control that does it."""


NOTHING = Seen()

Rule = Callable[[Curves, RunConfig], Finding | None]


def health(
    rows: Iterable[MetricRow],
    config: RunConfig,
    seen: Seen = NOTHING,
    ended: bool = True,
    known: Curves | None = None,
) -> list[Finding]:
    """What the rules find, the worst first; one good sentence where they find nothing, nothing before there is enough to tell.

    Args:
        seen: what the newest sample shows.
        ended: whether the run is over: only then it is worth saying that it was too short.
        known: the curves up to these rows, which are added to them; none where the rows are all that there are.
    """
    curves = (Curves() if known is None else known).add(rows)
    (curves.codes, curves.targets, curves.x_hat), curves.ended = seen, ended
    found = [finding for rule in RULES if (finding := rule(curves, config)) is not None]
    if not found and not _begun(curves, config):
        return [Finding("fine", "good", "It learns as it should: no rule has anything to say.")]
    return sorted(found, key=lambda finding: ("bad", "warning", "good").index(finding.tone))


def _epochs(curves: Curves) -> int:
    """Epochs after which the watched loss is known."""
    return int(curves.epochs_of("loss").max(initial=0))


def learning_rate_too_high(curves: Curves, config: RunConfig) -> Finding | None:
    """The training loss jumped to ten times what it began with; or it lies, at the end, far above the lowest that it had reached:
    half of all that it had gained is lost."""
    loss = curves.of_train("loss")
    if len(loss) < 20 or _warming(config):
        return None
    smooth = np.convolve(loss, np.ones(5) / 5, mode="valid")
    lowest, now = float(smooth.min()), float(smooth[-max(1, len(smooth) // 10) :].mean())
    gained = float(loss[0]) - lowest
    jumped = float(loss.max()) > JUMP * max(abs(float(loss[0])), gained)
    until = loss[: max(50, int(smooth.argmin()) + 5)]
    noise = (
        float(np.diff(until).std()) / 2**0.5
    )  # of a row: where the loss stands still, five in a row are lowest somewhere
    if not jumped and now - lowest <= max(0.5 * gained, 3 * noise):
        return None
    rate = _lower(config)
    what = (
        f"jumped from {loss[0]:.4g} to {loss.max():.4g}"
        if jumped
        else f"rose again, from {lowest:.4g} at its best to {now:.4g}"
    )
    sentence = f"The training loss {what}: the learning rate is too high."
    return Finding(
        "learning rate too high", "bad", sentence, f"Lower the learning rate to {rate:g}.", Change(RATE, rate)
    )


def _lower(config: RunConfig) -> float:
    """A fifth of the learning rate; with Adam at most a hundredth, above which its steps seldom lead anywhere."""
    rate = config.training.learning_rate / 5
    return _round(rate if config.training.optimiser == "sgd" else min(rate, 1e-2))


def _warming(config: RunConfig) -> bool:
    """Whether the weight of a term rises along the way: then the loss may rise, too."""
    fields = flat(config)
    return any(fields.get(f"model.objective.{name}") for name in ("kl_warmup", "capacity"))


def _begun(curves: Curves, config: RunConfig) -> bool:
    """Whether it has only begun to train: nothing that it shows tells anything of its learning rate yet."""
    return _epochs(curves) < FEW_EPOCHS or curves.step < 2 * config.training.warmup_steps


def _longer(curves: Curves, config: RunConfig) -> tuple[str, Change]:
    """To what end a run that has only begun had to train: ten epochs, and five times the steps of its warm-up."""
    steps = max(10 * curves.step // max(1, _epochs(curves)), 5 * config.training.warmup_steps)
    if config.training.max_steps is not None and curves.step >= config.training.max_steps:
        return f"Train for {steps:,} steps.", Change("training.max_steps", steps)
    epochs = max(10, -(-steps * _epochs(curves) // max(1, curves.step)))
    return f"Train for {epochs} epochs.", Change("training.epochs", epochs)


def loss_not_moving(curves: Curves, config: RunConfig) -> Finding | None:
    """The held-out loss is within 1 % of the untrained model's after three epochs, and after its warm-up."""
    loss, epochs = curves.of_watch("loss"), _epochs(curves)
    if _begun(curves, config) or loss[0] - loss.min() > 0.01 * abs(loss[0]):
        return None
    rate = config.training.learning_rate
    higher = _round(min(rate * 10, 1e-2)) if rate < 1e-2 else _round(rate / 10)
    verb = "Raise" if higher > rate else "Lower"
    sentence = f"The held-out loss has not moved: {loss[0]:.4g} untrained, {loss[-1]:.4g} after {epochs} epochs."
    return Finding("loss not moving", "bad", sentence, f"{verb} the learning rate to {higher:g}.", Change(RATE, higher))


def overfitting(curves: Curves, config: RunConfig) -> Finding | None:
    """The held-out loss rises for three epochs or more while the training loss falls: by 5 % of what had been gained."""
    watched, epochs, trained = curves.of_watch("loss"), curves.epochs_of("loss"), curves.of_train("loss")
    if _epochs(curves) <= FEW_EPOCHS or len(trained) < 20 or _warming(config):
        return None
    best = int(watched.argmin())
    gained, lost = float(watched[0] - watched[best]), float(watched[-1] - watched[best])
    since = trained[int(len(trained) * epochs[best] / epochs[-1]) :]
    falls = len(since) >= 4 and since[-len(since) // 4 :].mean() < since[: max(1, len(since) // 4)].mean()
    if epochs[-1] - epochs[best] < FEW_EPOCHS or lost <= 0.05 * max(gained, 1e-12) or not falls:
        return None
    sentence = f"It overfits: the held-out loss was best after epoch {epochs[best]} and has risen from {watched[best]:.4g} to {watched[-1]:.4g}."
    change = Change("training.early_stopping", FEW_EPOCHS)
    return Finding(
        "overfitting", "warning", sentence, f"Stop early, after {FEW_EPOCHS} epochs without a better loss.", change
    )


def underfitting(curves: Curves, config: RunConfig) -> Finding | None:
    """Over, and the held-out loss was still falling: the last fifth of the epochs brought more than 3 % of all that was gained."""
    loss = curves.of_watch("loss")
    if not curves.ended or len(loss) <= 5 or _warming(config):
        return None
    before = loss[-1 - max(1, (len(loss) - 1) // 5)]
    gained = float(loss[0] - loss.min())
    if gained <= 0 or (before - loss[-1]) / gained <= 0.03:
        return None
    epochs = 2 * config.training.epochs
    sentence = "It underfits: the held-out loss was still falling when it ended."
    return Finding(
        "underfitting", "warning", sentence, f"Train for {epochs:,} epochs.", Change("training.epochs", epochs)
    )


def code_not_used(curves: Curves, config: RunConfig) -> Finding | None:
    """Posterior collapse: fewer than half of the units are active, by Burda et al. 2016."""
    active, units = curves.last("active_units"), _units(config)
    if active is None or units is None or len(curves.of_watch("active_units")) <= 1 or 2 * active >= units:
        return None
    fields = flat(config)
    beta, path = fields.get("model.objective.beta"), code_size_path(config)
    if active >= 1 and path is not None:
        sentence = f"{active:,.0f} of {units:,} code units are in use; the others tell nothing of the image."
        return Finding(
            "code not used",
            "warning",
            sentence,
            f"A code of {active:,.0f} would do as well.",
            Change(path, int(active)),
        )
    sentence = "The code is not used at all (posterior collapse): the decoder draws the same whatever the image."
    if not beta:
        return Finding("code not used", "bad", sentence)
    lower = _round(beta / 10)
    return Finding("code not used", "bad", sentence, f"Lower beta to {lower:g}.", Change("model.objective.beta", lower))


def _units(config: RunConfig) -> int | None:
    path = code_size_path(config)
    return None if path is None else int(flat(config)[path])


def dead_units(curves: Curves, config: RunConfig) -> Finding | None:
    """Code units that are the same for all images: their spread is below a thousandth of the largest one's."""
    bottleneck = config.model.bottleneck
    if bottleneck.kind == "gaussian" or bottleneck.finite:  # these have rules of their own
        return None
    if curves.codes is None or len(curves.codes) < 2 or not curves.of_train("loss").size:
        return None
    alive = moving(curves.codes)
    dead, units = int((~alive).sum()), len(alive)
    if dead == 0:
        return None
    tone = "bad" if 2 * dead > units else "warning"
    sentence = f"{dead:,} of {units:,} code units are dead: they have the same value for every image."
    fields = flat(config)
    if fields.get("model.backbone.activation") == "relu":
        change = Change("model.backbone.activation", "elu")
        return Finding("dead units", tone, sentence, "Use the activation elu, which does not die.", change)
    if fields.get("model.bottleneck.activation") == "relu":
        change = Change("model.bottleneck.activation", "none")
        return Finding("dead units", tone, sentence, "Leave out the ReLU on the code.", change)
    if _begun(curves, config):
        return None
    rate = _lower(config)
    return Finding("dead units", tone, sentence, f"Lower the learning rate to {rate:g}.", Change(RATE, rate))


def dead_outputs(curves: Curves, config: RunConfig) -> Finding | None:
    """Output pixels that are the same for all images, although the images differ there: more than a fifth of those that differ."""
    if curves.targets is None or curves.x_hat is None or len(curves.x_hat) < 8 or len(curves.of_watch("loss")) <= 1:
        return None
    varies = curves.targets[: len(curves.x_hat)].std(axis=0) > 0.1 * 255  # (C, H, W): by a tenth of the range
    still = varies & (np.ptp(curves.x_hat, axis=0) <= 1)
    if not varies.any() or still.sum() <= 0.2 * varies.sum():
        return None
    share = still.sum() / varies.sum()
    what = "The output is" if share == 1 else f"{share:.0%} of the output pixels that should change are"
    sentence = f"{what} dead: the same for every image."
    tone = "bad" if share > 0.5 else "warning"
    path, output = f"{config.model.decoder_path}.output", config.model.output
    if output == "relu":
        fitting = "sigmoid" if config.data.value_range == "[0,1]" else "tanh"
        return Finding("dead outputs", tone, sentence, f"Let the output be a {fitting}.", Change(path, fitting))
    if not _begun(curves, config):
        rate = _lower(config)
        return Finding("dead outputs", tone, sentence, f"Lower the learning rate to {rate:g}.", Change(RATE, rate))
    if not curves.ended:
        return None
    steps = f"{curves.step:,} step{'s' * (curves.step != 1)}"
    sentence = f"It ended after {steps}: {what[0].lower()}{what[1:]} still the same for every image."
    return Finding("hardly trained", "warning", sentence, *_longer(curves, config))


def dead_codes(curves: Curves, config: RunConfig) -> Finding | None:
    """Fewer than half of a finite set of codes are taken by any held-out image."""
    share, perplexity = curves.last("code_use"), curves.last("perplexity")
    if share is None or len(curves.of_watch("code_use")) <= 1 or share >= 0.5 or not config.model.bottleneck.finite:
        return None
    even = "" if perplexity is None else f", and they count for {perplexity:,.0f} in even use"
    sentence = f"{share:.0%} of the codes are used{even}: the others are dead."
    fields = flat(config)
    tone = "bad" if share < 0.1 else "warning"
    if fields.get("model.bottleneck.restart") == 0:
        change = Change("model.bottleneck.restart", 0.05)
        return Finding("dead codes", tone, sentence, "Let dead codes restart where the data is.", change)
    if codes := fields.get("model.bottleneck.codes"):
        fewer = max(2, int(codes) // 2)
        change = Change("model.bottleneck.codes", fewer)
        return Finding("dead codes", tone, sentence, f"A code book of {fewer:,} would do.", change)
    levels = tuple(max(2, 3 * level // 4) for level in fields["model.bottleneck.levels"])
    cure = f"Fewer levels would do: {', '.join(map(str, levels))}."
    return Finding("dead codes", tone, sentence, cure, Change("model.bottleneck.levels", levels))


def _round(value: float) -> float:
    """One significant digit.

    >>> _round(0.000234)
    0.0002
    """
    return float(f"{value:.1g}")


RULES: tuple[Rule, ...] = (
    learning_rate_too_high,
    loss_not_moving,
    overfitting,
    underfitting,
    code_not_used,
    dead_units,
    dead_outputs,
    dead_codes,
)
