"""How a run does, in words: each rule on curves that were made for it, and on real runs."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from aecore.config import RunConfig, flat, override
from aecore.runs.folder import MetricRow
from aecore.runs.health import Change, Finding, Seen, health
from tests.conftest import TrainedRun, tiny

GAUSSIAN = {"model__bottleneck__kind": "gaussian", "model__objective__kind": "elbo", "model__bottleneck__latent_dim": 8}
FALLING = [1.0, 0.5, 0.3, 0.25, 0.22, 0.21, 0.207, 0.205, 0.204, 0.203, 0.203]


def rows(train: Sequence[float] = (), watch: Sequence[float] = FALLING, **watched: Sequence[float]) -> list[MetricRow]:
    """A run of ten steps an epoch: the training loss of each step, and held-out metrics of each epoch."""
    found: list[MetricRow] = [(step, 1 + step // 10, "train", "loss", value) for step, value in enumerate(train, 1)]
    for name, values in {"loss": watch, **watched}.items():
        found += [(10 * epoch, epoch, "val", name, value) for epoch, value in enumerate(values)]
    return found


def one(found: list[Finding]) -> Finding:
    assert len(found) == 1, found
    return found[0]


def falls(n: int = 100) -> list[float]:
    return [0.2 + math.exp(-step / 10) for step in range(n)]


def test_a_run_that_learns_as_it_should_is_told_so() -> None:
    found = one(health(rows(falls()), tiny()))
    assert (found.tone, found.cure, found.change) == ("good", "", None)


def test_nothing_is_said_before_there_is_enough_to_tell() -> None:
    assert health([], tiny()) == []
    assert health(rows(falls(10), [1.0, 0.9]), tiny(), ended=False) == []
    assert health([(1, 1, "train", "loss", math.nan), (1, 1, "val", "loss", math.nan)], tiny()) == []


def test_a_loss_that_rises_again_is_a_learning_rate_too_high() -> None:
    wild = falls(50) + [1.0] * 50
    found = one(health(rows(wild), tiny(training__learning_rate=0.05)))
    assert (found.rule, found.tone) == ("learning rate too high", "bad")
    assert found.change == Change("training.learning_rate", 0.01)
    assert "to 1: the learning rate is too high." in found.sentence
    assert found.cure == "Lower the learning rate to 0.01."
    assert one(health(rows(falls(50) + [0.4] * 50), tiny())).tone == "good"  # less than half of the gain is lost


def test_evaluations_that_are_rarer_than_epochs_are_counted_as_the_epochs_that_they_are() -> None:
    def rarely(watch: Sequence[float]) -> list[MetricRow]:
        found = rows(falls(100), watch)
        return [(step, epoch if split == "train" else 10 * epoch, split, *rest) for step, epoch, split, *rest in found]

    found = one(health(rarely([1.0, 0.5, 0.3, 0.2, 0.3, 0.4]), tiny(training__watch_every=10)))
    assert (found.rule, "was best after epoch 30 and" in found.sentence) == ("overfitting", True)
    found = one(health(rarely([0.667] * 5), tiny(training__watch_every=10, training__learning_rate=1e-8)))
    assert "0.667 untrained, 0.667 after 40 epochs." in found.sentence


def test_a_loss_that_stands_still_is_no_learning_rate_too_high() -> None:
    noise = 0.667 + 0.01 * np.random.default_rng(0).normal(size=100)
    noise[-10:] += 0.004
    found = one(health(rows(noise.tolist(), [0.667] * 11), tiny(training__learning_rate=1e-8)))
    assert found.rule == "loss not moving"


def test_a_loss_that_swings_after_it_had_fallen_is_a_learning_rate_too_high() -> None:
    for after in ([0.3, 0.9] * 25, np.random.default_rng(0).normal(0.6, 0.25, 50).tolist()):
        found = one(health(rows(np.linspace(0.7, 0.1, 50).tolist() + after, FALLING), tiny()))
        assert found.rule == "learning rate too high"


def test_a_loss_that_jumped_tells_of_the_learning_rate_though_it_came_back() -> None:
    found = one(health(rows([0.7, 1e8, *falls(48), *[0.3] * 50]), tiny(training__learning_rate=10)))
    assert found.sentence == "The training loss jumped from 0.7 to 1e+08: the learning rate is too high."
    assert found.change == Change("training.learning_rate", 0.01), "a fifth of it would be as bad"
    sgd = tiny(training__learning_rate=10, training__optimiser="sgd")
    assert one(health(rows([0.7, 1e8, *[0.3] * 98]), sgd)).change == Change("training.learning_rate", 2)


def test_a_loss_that_rises_because_a_weight_does_is_no_high_learning_rate() -> None:
    warming = tiny(**GAUSSIAN, model__objective__kl_warmup=100)
    assert one(health(rows(falls(50) + [1.0] * 50), warming)).tone == "good"


@pytest.mark.parametrize(("rate", "cure"), [(1e-5, 1e-4), (0.05, 0.005)])
def test_a_loss_that_does_not_move_needs_another_learning_rate(rate: float, cure: float) -> None:
    found = one(health(rows([0.5] * 40, [0.5, 0.4995, 0.499, 0.4985, 0.498]), tiny(training__learning_rate=rate)))
    assert (found.rule, found.change) == ("loss not moving", Change("training.learning_rate", cure))
    assert found.sentence == "The held-out loss has not moved: 0.5 untrained, 0.498 after 4 epochs."


def test_a_held_out_loss_that_rises_while_the_training_loss_falls_is_overfitting() -> None:
    watch = [1.0, 0.5, 0.3, 0.32, 0.35, 0.4, 0.45]
    found = one(health(rows([1 / step for step in range(1, 61)], watch), tiny()))
    assert (found.rule, found.change) == ("overfitting", Change("training.early_stopping", 3))
    assert "was best after epoch 2 and has risen from 0.3 to 0.45" in found.sentence
    flat_train = rows([0.3] * 60, watch)
    assert "overfitting" not in [each.rule for each in health(flat_train, tiny())]


def test_a_run_that_ends_while_its_loss_falls_is_underfitting_and_one_that_goes_on_is_not() -> None:
    steep = [1.0 - 0.08 * epoch for epoch in range(11)]
    found = one(health(rows(falls(), steep), tiny(training__epochs=10)))
    assert (found.rule, found.change) == ("underfitting", Change("training.epochs", 20))
    assert one(health(rows(falls(), steep), tiny(training__epochs=10), ended=False)).tone == "good"


def test_a_posterior_that_collapsed_says_which_weight_to_lower() -> None:
    config = tiny(**GAUSSIAN, model__objective__beta=4.0)
    found = one(health(rows(falls(), active_units=[8.0] + [0.0] * 10), config))
    assert (found.rule, found.tone) == ("code not used", "bad")
    assert found.change == Change("model.objective.beta", 0.4)
    some = one(health(rows(falls(), active_units=[8.0] + [3.0] * 10), config))
    assert (some.tone, some.change) == ("warning", Change("model.bottleneck.latent_dim", 3))
    assert some.sentence == "3 of 8 code units are in use; the others tell nothing of the image."
    assert one(health(rows(falls(), active_units=[8.0] + [4.0] * 10), config)).tone == "good"


def test_units_that_never_change_are_dead() -> None:
    codes = np.random.default_rng(0).normal(size=(200, 8))
    codes[:, [1, 4]] = 0.7
    found = one(health(rows(falls()), tiny(), Seen(codes)))
    assert found.sentence == "2 of 8 code units are dead: they have the same value for every image."
    assert (found.tone, found.change) == ("warning", Change("model.backbone.activation", "elu"))
    on_the_code = tiny(model__backbone__activation="elu", model__bottleneck__activation="relu")
    assert one(health(rows(falls()), on_the_code, Seen(codes))).change == Change("model.bottleneck.activation", "none")
    codes[:, :5] = 0.7
    assert one(health(rows(falls()), tiny(), Seen(codes))).tone == "bad"
    assert one(health(rows(falls()), tiny(**GAUSSIAN), Seen(codes))).tone == "good", "too few images may be watched"
    many = one(health(rows(falls()), tiny(), Seen(np.pad(codes, ((0, 0), (0, 1992))))))
    assert many.sentence.startswith("1,997 of 2,000 code units are dead")
    assert one(health(rows(falls()), tiny(), Seen(np.random.default_rng(0).normal(size=(200, 8))))).tone == "good"


def test_output_pixels_that_never_change_are_dead() -> None:
    targets = np.random.default_rng(0).integers(0, 256, (16, 1, 4, 4)).astype(np.uint8)
    x_hat = targets.copy()
    assert one(health(rows(falls()), tiny(), Seen(None, targets, x_hat))).tone == "good"
    x_hat[:, :, :, 0] = 0  # a quarter of them
    relu = tiny(model__backbone__output="relu")
    found = one(health(rows(falls()), relu, Seen(None, targets, x_hat)))
    assert (found.rule, found.tone) == ("dead outputs", "warning")
    assert found.sentence == "25% of the output pixels that should change are dead: the same for every image."
    assert found.change == Change("model.backbone.output", "sigmoid")
    signed = tiny(model__backbone__output="relu", data__value_range="[-1,1]")
    assert one(health(rows(falls()), signed, Seen(None, targets, x_hat))).change == Change(
        "model.backbone.output", "tanh"
    )
    x_hat[:] = 0
    found = one(health(rows(falls()), tiny(), Seen(None, targets, x_hat)))
    assert (found.tone, found.change) == ("bad", Change("training.learning_rate", 0.001))
    assert found.sentence == "The output is dead: the same for every image."
    targets[:] = 7  # then there is nothing that should change
    assert one(health(rows(falls()), tiny(), Seen(None, targets, x_hat))).tone == "good"


def test_what_a_run_shows_before_it_has_trained_tells_nothing_of_its_learning_rate() -> None:
    targets = np.random.default_rng(0).integers(0, 256, (16, 1, 4, 4)).astype(np.uint8)
    seen = Seen(np.ones((50, 8)), targets, np.zeros_like(targets))
    elu = tiny(model__backbone__activation="elu")
    for config, short in (
        (elu, rows(falls(20), FALLING[:3])),
        (override(elu, ["training.warmup_steps=60"]), rows(falls())),
    ):
        assert health(short, config, seen, ended=False) == []
        found = one(health(short, config, seen))
        assert (found.rule, found.tone) == ("hardly trained", "warning")
        assert found.sentence.endswith(" steps: the output is still the same for every image.")
        assert found.change
    assert found.sentence.startswith("It ended after 100 steps")
    assert (found.cure, found.change) == ("Train for 30 epochs.", Change("training.epochs", 30)), "300 steps"
    bounded = override(elu, ["training.warmup_steps=60", "training.max_steps=100"])
    assert one(health(rows(falls()), bounded, seen)).change == Change("training.max_steps", 300)
    early = override(elu, ["training.max_steps=10000"])
    assert one(health(rows(falls(20), FALLING[:3]), early, seen)).change == Change("training.epochs", 10), (
        "nothing shorter"
    )
    assert health(rows([0.5] * 40, [0.5] * 5), override(tiny(), ["training.warmup_steps=60"])) == []


@pytest.mark.parametrize(
    ("share", "restart", "tone", "change"),
    [
        (0.3, None, "warning", Change("model.bottleneck.levels", (6, 6, 6))),
        (0.3, 0.0, "warning", Change("model.bottleneck.restart", 0.05)),
        (0.3, 0.05, "warning", Change("model.bottleneck.codes", 256)),
        (0.05, 0.05, "bad", Change("model.bottleneck.codes", 256)),
        (0.5, 0.05, "good", None),
    ],
)
def test_codes_that_nothing_takes_are_dead(
    share: float, restart: float | None, tone: str, change: Change | None
) -> None:
    config = (
        tiny(model__bottleneck__kind="fsq")
        if restart is None
        else tiny(model__bottleneck__kind="vq", model__bottleneck__restart=restart)
    )
    found = one(health(rows(falls(), code_use=[0.5] + [share] * 10, perplexity=[9.0] * 11), config))
    assert (found.tone, found.change) == (tone, change)
    if tone != "good":
        assert found.sentence.startswith(f"{share:.0%} of the codes are used, and they count for 9 in even use")


@pytest.mark.parametrize(
    "config",
    [
        tiny(),
        tiny(**GAUSSIAN, model__objective__beta=4.0),
        tiny(model__bottleneck__kind="vq", model__bottleneck__restart=0.0),
        tiny(model__bottleneck__kind="fsq"),
        tiny(model__bottleneck__kind="top_k", model__bottleneck__latent_dim=8),
    ],
    ids=lambda config: config.model.bottleneck.kind,
)
def test_every_cure_is_a_field_of_that_configuration_and_allowed(config: RunConfig) -> None:
    steep = [1.0 - 0.08 * epoch for epoch in range(11)]
    codes = np.zeros((50, 8))
    codes[:, 0] = np.arange(50)
    targets = np.random.default_rng(0).integers(0, 256, (16, 1, 4, 4)).astype(np.uint8)
    seen = Seen(codes, targets, np.zeros_like(targets))
    cases = [
        rows(falls(50) + [1.0] * 50, steep),
        rows([0.5] * 40, [0.5] * 5),
        rows(falls(), active_units=[0.0] * 11),
        rows(falls(), code_use=[0.01] * 11),
        rows([1 / step for step in range(1, 61)], [1.0, 0.5, 0.3, 0.32, 0.35, 0.4, 0.45]),
    ]
    changes = [found.change for case in cases for found in health(case, config, seen) if found.change]
    assert changes
    for change in changes:
        assert flat(override(config, [change.assignment]))[change.path] == change.value


def test_the_worst_comes_first_and_a_real_run_is_read(trained_run: TrainedRun) -> None:
    found = health(rows([0.5] * 40, [0.5] * 5, code_use=[0.4] * 5), tiny(model__bottleneck__kind="vq"))
    assert [each.tone for each in found] == ["bad", "warning"]
    real, _ = trained_run.folder.metrics()
    assert all(each.sentence.endswith(".") for each in health(real, trained_run.folder.config()))
