"""The training loop: what it says, that it says the same again, and that it goes on from a checkpoint as if uninterrupted."""

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aecore.config import ConfigError, Facts, RunConfig, parse
from aecore.manifest import Mark, damage, mark, newest, read, survey
from aecore.models import Batch, Progress
from aecore.training import (
    Data,
    Diverged,
    Row,
    commit,
    evaluate,
    images_in,
    learning_rate,
    restore,
    start,
    total_steps,
    train,
)
from aecore.training.augmentation import flip, shift
from aecore.training.optimiser import Optimiser
from aecore.training.rows import Losses

FACTS = Facts((1, 6, 7), (0, 1), 20, ("a", "b"))


def tiny(model: dict | None = None, **training: object) -> RunConfig:
    defaults = {"epochs": 2, "batch_size": 6, "device": "cpu"}
    backbone = {"kind": "dense", "widths": [5]}
    return parse({"model": {"backbone": backbone} | (model or {}), "training": defaults | training})


def images(n: int = 20, facts: Facts = FACTS) -> Data:
    random = np.random.default_rng(3)
    drawn = torch.from_numpy(random.integers(0, 256, (n + 5, *facts.shape), dtype=np.uint8))
    labels = torch.zeros(n + 5, dtype=torch.int64)
    return Data(drawn[:n], labels[:n], drawn[n:], labels[n:], np.arange(5), "val", facts)


def run(config: RunConfig) -> list[Row]:
    return list(train(start(config, FACTS, 1), images(), config))


def values(rows: list[Row], split: str, name: str) -> list[float]:
    return [row.value for row in rows if (row.split, row.name) == (split, name)]


VAE = {
    "model": {"bottleneck": {"kind": "gaussian", "latent_dim": 2}, "objective": {"kind": "elbo", "beta": 0.5}},
    "augmentation": "shift",
}
CONV = {
    "model": {"backbone": {"kind": "conv", "channels": [2, 3], "norm": "batch"}, "bottleneck": {"kind": "feature_map"}},
    "optimiser": "adamw",
    "weight_decay": 0.1,
    "clip_norm": 0.1,
    "augmentation": "flip",
}
PLAIN = {"schedule": "cosine", "warmup_steps": 3}
SELDOM = {"watch_every": 3}
"""The last evaluation comes after the last epoch, not with it."""
VQ = {"model": {"bottleneck": {"kind": "vq", "codes": 8, "dimension": 2, "vectors": 2}}}
"""Its code book moves by itself, and dead vectors restart at random ones."""
WAE = {"model": {"objective": {"kind": "wae", "loss": "gaussian"}}}
"""It draws from the prior, and has a parameter outside the layers."""
AAE = {"model": {"objective": {"kind": "aae", "discriminator": [4]}}, "clip_norm": 0.5}
FACTOR = {
    "model": {"bottleneck": VAE["model"]["bottleneck"], "objective": {"kind": "factor", "discriminator_rate": 0.5}},
    "optimiser": "adamw",
}
"""These two have an opponent, with an optimiser of its own."""
VAMP = {"model": {"bottleneck": VAE["model"]["bottleneck"], "objective": {"kind": "vamp", "components": 3}}}
SWAP = {"model": {"labels": "swap"}}
CASES = pytest.mark.parametrize(
    "options",
    [PLAIN, SELDOM, VAE, CONV, VQ, WAE, AAE, FACTOR, VAMP, SWAP],
    ids=["plain", "seldom watched", "vae", "conv", "vector quantised", "wasserstein", "aae", "factor", "vamp", "swap"],
)


def test_rows_begin_with_the_untrained_model_and_name_every_step_and_epoch():
    rows = run(tiny())
    assert [(r.step, r.epoch, r.split, r.name) for r in rows[:5]] == [
        (0, 0, "val", "loss"),
        (0, 0, "val", "reconstruction"),
        (0, 0, "val", "mse"),
        (1, 1, "train", "loss"),
        (1, 1, "train", "reconstruction"),
    ]
    assert [r.step for r in rows if r.split == "train" and r.name == "loss"] == list(range(1, 9))
    assert [(r.step, r.epoch) for r in rows if r.split == "val" and r.name == "mse"] == [(0, 0), (4, 1), (8, 2)]
    assert [(r.step, r.epoch) for r in rows if r.name == "learning_rate"] == [(4, 1), (8, 2)]


def test_the_held_out_images_are_evaluated_every_so_many_epochs_and_at_the_end():
    rows = run(tiny(epochs=5, watch_every=3))
    assert [(r.step, r.epoch) for r in rows if r.split == "val" and r.name == "mse"] == [(0, 0), (12, 3), (20, 5)]
    often = set(run(tiny(epochs=5)))
    assert set(rows) < often, "what is told is the same"


@CASES
def test_the_curve_is_the_sum_of_the_terms(options):
    rows = run(tiny(**options))
    for split in ("train", "val"):
        terms = [
            values(rows, split, name)
            for name in ("reconstruction", "kl", "commitment", "mmd", "adversarial", "total_correlation")
            if values(rows, split, name)
        ]
        assert np.allclose(values(rows, split, "loss"), np.sum(terms, axis=0), rtol=1e-6)
    assert len(values(rows, "val", "kl")) == (3 if options in (VAE, FACTOR, VAMP) else 0)
    assert len(values(rows, "train", "discriminator")) == (8 if options in (AAE, FACTOR) else 0)


def test_the_first_loss_is_the_error_of_the_untrained_model_on_the_first_batch():
    config = tiny(shuffle=False)
    state, data = start(config, FACTS, 1), images()
    x = data.train_images[:6].float() / 255
    expected = (state.model(Batch(x, x)).x_hat - x).square().mean().item()
    rows = list(train(state, data, config))
    assert values(rows, "train", "loss")[0] == pytest.approx(expected, rel=1e-6)


def test_watched_figures_are_means_over_all_images_whatever_the_batch():
    config, data = tiny(), images()
    model = start(config, FACTS, 1).model
    whole = evaluate(model, data, config, Progress(0, 1))
    model.evaluation_batch = 2
    assert evaluate(model, data, config, Progress(0, 1)) == pytest.approx(whole, rel=1e-6)
    assert whole["mse"] == pytest.approx(whole["loss"])  # pixels in [0,1] under MSE are in image units already


SCRIPT = "import tests.test_training as t, json; print(json.dumps(t.run(t.tiny(**getattr(t, {name!r})))))"


@pytest.mark.parametrize("name", ["PLAIN", "VAE"])
def test_the_same_seed_gives_the_same_rows_in_another_process(name):
    call = [sys.executable, "-c", SCRIPT.format(name=name)]
    other = subprocess.run(call, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True).stdout
    assert json.loads(other) == [list(row) for row in run(tiny(**globals()[name]))]


def test_another_seed_gives_other_rows():
    assert run(tiny(seed=1)) != run(tiny())


@CASES
@pytest.mark.parametrize("after", [0, 1, 3, 4, 9, 17, 21, 22, 23, 24])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, options, after):
    config, data = tiny(**options), images()
    whole = list(train(uninterrupted := start(config, FACTS, 1), data, config))

    state = start(config, FACTS, 1)
    rows = train(state, data, config)
    first = [next(rows) for _ in range(after)]
    rows.close()
    path = commit(tmp_path, state, Mark(), 1, FACTS)
    del state
    resumed = restore(path, config)
    assert first + list(train(resumed, data, config)) == whole
    assert all(map(torch.equal, resumed.model.state_dict().values(), uninterrupted.model.state_dict().values()))
    assert resumed.best == uninterrupted.best


def test_a_window_that_a_checkpoint_divides_is_whole_afterwards(tmp_path):
    config, data = tiny(), images()

    def wide():
        state = start(config, FACTS, 1)
        state.losses.width = 3
        return state

    whole = [row for row in train(wide(), data, config) if row]
    assert [r.step for r in whole if r.split == "train" and r.name == "loss"] == [3, 6, 8]
    one_by_one = values(run(config), "train", "loss")
    assert values(whole, "train", "loss") == pytest.approx(
        [np.mean(one_by_one[:3]), np.mean(one_by_one[3:6]), np.mean(one_by_one[6:])]
    )
    state = wide()
    rows = train(state, data, config)
    first = list(itertools.islice(filter(None, rows), 6))  # the last of them belongs to step 4, the first of a window
    resumed = restore(commit(tmp_path, state, Mark(), 1, FACTS), config)
    resumed.losses.width = 3
    assert first + [row for row in train(resumed, data, config) if row] == whole


def test_a_checkpoint_is_whole_or_passed_over(tmp_path):
    config, data = tiny(), images()
    state = start(config, FACTS, 1)
    older = commit(tmp_path, state, Mark(7), 1, FACTS)
    list(train(state, data, config))
    newer = commit(tmp_path, state, Mark(99), 1, FACTS)
    assert (older.name, newer.name) == ("00000000-1", "00000008-1")
    assert mark(newer).metrics_bytes == 99
    names = {"encoder.safetensors", "decoder.safetensors", "optimiser.safetensors", "state.json"}
    assert set(read(newer)["files"]) == names
    assert newest(tmp_path) == newer

    file = newer / "decoder.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert newest(tmp_path) == older
    assert survey(tmp_path)[1] == [(newer, "decoder.safetensors is not what was written.")]
    (older / "state.json").unlink()
    assert "cannot be read" in str(damage(older))
    assert newest(tmp_path) is None


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_found(tmp_path):
    path = commit(tmp_path, start(tiny(), FACTS, 1), Mark(1234, 5.5, 0.5, True), 1, FACTS)
    assert damage(path) is None
    chance = np.random.default_rng(0)
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        for place in chance.integers(0, 8 * len(whole), 20):
            content = bytearray(whole)
            content[place // 8] ^= 1 << place % 8
            file.write_bytes(content)
            assert damage(path) is not None, f"bit {place} of {file.name}"
        for length in (0, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:length])
            assert damage(path) is not None, f"{length} bytes of {file.name}"
        file.write_bytes(whole)
    moved = path.rename(path.with_name("00000009-1"))
    assert damage(moved) == "it is of step 0."


def test_a_checkpoint_of_the_first_version_is_whole(tmp_path):
    path = commit(tmp_path, start(tiny(), FACTS, 1), Mark(7), 1, FACTS)
    content = {"files": read(path)["files"], "metrics_bytes": 7}
    (path / "MANIFEST.json").write_text(json.dumps(content) + "\n")
    assert newest(tmp_path) == path
    assert mark(path) == Mark(7)
    (path / "state.json").unlink()
    assert newest(tmp_path) is None


def test_a_model_that_is_not_finite_is_never_a_checkpoint(tmp_path):
    state = start(tiny(), FACTS, 1)
    next(state.model.parameters()).data[0] = math.nan
    with pytest.raises(Diverged):
        commit(tmp_path, state, Mark(), 1, FACTS)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aecore.training.checkpoints._write_json", full)
    with pytest.raises(OSError, match="No space"):
        commit(tmp_path, start(tiny(), FACTS, 1), Mark(), 1, FACTS)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    path = commit(tmp_path, start(tiny(), FACTS, 1), Mark(), 1, FACTS)
    with pytest.raises(ConfigError, match="does not fit the run's model"):
        restore(path, tiny({"bottleneck": {"kind": "vector", "latent_dim": 3}}))


def test_training_stops_before_the_step_that_would_spoil_the_weights():
    spoilt = {"optimiser": "sgd", "learning_rate": 10.0, "epochs": 1000, "model": {"backbone": LINEAR}}
    config, data = tiny(**spoilt, watch_every=1000), images()
    state = start(config, FACTS, 1)
    with pytest.raises(Diverged, match=r"The loss is (inf|nan) at step \d+"):
        list(train(state, data, config))
    assert all(torch.isfinite(p).all() for p in state.model.parameters())


def test_a_held_out_loss_that_is_none_is_said_to_be_that_and_the_rows_before_it_are_kept():
    config, data = tiny(optimiser="sgd", learning_rate=10.0, epochs=1000, model={"backbone": LINEAR}), images()
    state, rows = start(config, FACTS, 1), []
    with pytest.raises(Diverged, match=r"The held-out loss is (inf|nan) after step \d+: training was stopped\."):
        rows.extend(train(state, data, config))
    kept = [*filter(None, rows), *state.hand_out()]
    assert [row.step for row in kept if row[2:4] == ("train", "loss")] == list(range(1, state.step + 1))


def test_of_losses_that_were_still_on_the_device_those_before_the_bad_one_are_kept():
    losses = Losses(1)
    losses._pending = [(step, 1, torch.tensor([value])) for step, value in enumerate((1.0, 0.5, math.nan, math.nan), 1)]
    losses.names = ("loss",)
    with pytest.raises(Diverged, match="at step 3") as error:
        losses.flush()
    assert [(row.step, row.value) for row in error.value.rows] == [(1, 1.0), (2, 0.5)]


def test_early_stopping_waits_until_it_has_looked_and_has_then_ended_for_good(tmp_path):
    """Patience of two epochs, and a look every four: the first look finds the loss worse, and ends it."""
    config, data = tiny(learning_rate=3.0, epochs=20, early_stopping=2, watch_every=4), images()
    state = start(config, FACTS, 1)
    looks = [row.epoch for row in train(state, data, config) if row and (row.split, row.name) == ("val", "loss")]
    assert (looks, state.epoch, state.best.epoch) == ([0, 4], 4, 0)
    again = restore(commit(tmp_path, state, Mark(), 1, FACTS), config)
    assert list(train(again, data, config)) == []
    assert again.epoch == 4


LINEAR = {"kind": "dense", "widths": [], "activation": "none", "output": "none"}


def test_a_skipped_update_changes_nothing():
    config = tiny()
    for kind in ("adam", "adamw", "sgd"):
        model = start(config, FACTS, 1).model
        optimiser = Optimiser(model.named_parameters(), tiny(optimiser=kind, weight_decay=0.1).training)
        before = [p.clone() for p in model.parameters()]
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, math.nan)
        optimiser.step(0.1, skip=torch.ones(()))
        assert all(map(torch.equal, before, model.parameters()))
        assert optimiser.steps == 0


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_the_optimisers_are_those_of_torch_optim(kind, decay):
    config = tiny(**CONV | {"optimiser": kind, "weight_decay": decay})
    ours, theirs = (start(config, FACTS, 1).model for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimiser = Optimiser(ours.named_parameters(), config.training)
    reference = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[kind](
        theirs.parameters(), lr=0.01, weight_decay=decay, foreach=False
    )
    x = torch.rand(4, *FACTS.shape, generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        ours.zero_grad()
        sum(ours.training_step(Batch(x, x), Progress(0, 1))[0].values()).backward()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.grad = mine.grad.clone()  # one for both: Adam makes whole steps of what rounding leaves of a zero
        optimiser.step(0.01)
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)


def test_early_stopping_waits_for_the_given_epochs_without_a_better_loss():
    config = tiny(epochs=50, early_stopping=3, optimiser="sgd", learning_rate=1e-30)
    rows = run(config)
    assert [r.epoch for r in rows if r.split == "val" and r.name == "loss"] == [0, 1, 2, 3]


def test_a_step_limit_ends_within_an_epoch_and_the_end_is_evaluated():
    rows = run(tiny(max_steps=5))
    assert [(r.step, r.epoch) for r in rows if r.split == "val" and r.name == "loss"] == [(0, 0), (4, 1), (5, 2)]


def test_total_steps_counts_a_smaller_last_batch_the_subset_and_the_limit():
    assert total_steps(tiny(), 20) == 8
    assert total_steps(tiny(subset=6), 20) == 2
    assert total_steps(tiny(subset=600), 20) == 8
    assert total_steps(tiny(max_steps=5), 20) == 5


def test_images_are_counted_with_the_smaller_last_batch_of_each_epoch():
    assert [images_in(tiny(), 20, steps) for steps in (0, 1, 3, 4, 5, 8)] == [0, 6, 18, 20, 26, 40]
    assert images_in(tiny(batch_size=100), 20, 3) == 60


def test_the_learning_rate_rises_linearly_then_falls_along_half_a_cosine():
    training = tiny(learning_rate=0.4, schedule="cosine", warmup_steps=4).training
    rates = [learning_rate(training, step, 12) for step in range(12)]
    assert rates[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert rates[8] == pytest.approx(0.2)
    assert rates[11] == pytest.approx(0.4 * 0.5 * (1 + math.cos(math.pi * 7 / 8)))
    assert learning_rate(tiny(learning_rate=0.4).training, 10**6, 12) == 0.4


def test_clipping_bounds_the_step_of_gradient_descent():
    config = tiny(optimiser="sgd", learning_rate=1.0, clip_norm=1e-3, max_steps=1)
    state = start(config, FACTS, 1)
    before = torch.cat([p.detach().flatten().clone() for p in state.model.parameters()])
    list(train(state, images(), config))
    after = torch.cat([p.detach().flatten() for p in state.model.parameters()])
    assert (after - before).norm() == pytest.approx(1e-3, rel=1e-3)


def test_watching_and_sampling_do_not_touch_the_training():
    from aecore.analysis.sampling import Sampler

    config, data = tiny(**VAE), images()
    state = start(config, FACTS, 1)
    sampler = Sampler(data, state.model, config)
    rows = []
    for row in train(state, data, config):
        rows.append(row)
        sampler.take(state.model)
    assert rows == run(config)


def test_bfloat16_trains_and_keeps_losses_and_weights_in_32_bits():
    config = tiny(**VAE, precision="bf16", epochs=20, learning_rate=0.01)
    state = start(config, FACTS, 1)
    losses = values(list(train(state, images(), config)), "val", "loss")
    assert losses[-1] < losses[0]
    assert {p.dtype for p in state.model.parameters()} == {torch.float32}


def test_a_device_that_is_not_there_is_a_sentence():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="this machine has no such device"):
        start(tiny(device="cuda"), FACTS)


def test_flips_mirror_and_shifts_move_by_at_most_two_pixels():
    pictures = torch.arange(512 * 42, dtype=torch.int32).reshape(512, 1, 6, 7)
    flipped = flip(pictures, torch.Generator().manual_seed(0))
    mirrored = [bool(torch.equal(a, b.flip(2))) for a, b in zip(flipped, pictures, strict=True)]
    kept = [bool(torch.equal(a, b)) for a, b in zip(flipped, pictures, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 200 < sum(mirrored) < 312
    shifted = shift(pictures, torch.Generator().manual_seed(0))
    middle = shifted[:, 0, 3, 3] - pictures[:, 0, 3, 3]
    assert set(middle.tolist()) == {dy * 7 + dx for dy in range(-2, 3) for dx in range(-2, 3)}
