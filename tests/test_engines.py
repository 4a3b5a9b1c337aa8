"""The fast engines: the same gradients and the same losses as automatic differentiation, for everything that they take."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aecore.config import Facts, RunConfig, parse, preset, presets, with_values
from aecore.manifest import Mark
from aecore.models import ACTIVATIONS, BACKBONES, BOTTLENECKS, OBJECTIVES, Progress, build
from aecore.training import Data, Row, commit, engines, restore, start, train
from aecore.training.engines import loops, rounded
from aecore.training.engines.chain import chain
from tests.test_training import CONV, FACTS, PLAIN, VAE, images, run, tiny

WIDE = Facts((3, 9, 7), (-1, 1), 40, ("a",))
END = Progress(5, 10)


def dense(objective: dict, bottleneck: dict, activation: str = "relu", output: str = "sigmoid", **training: object):
    backbone = {"kind": "dense", "widths": [20, 11], "activation": activation, "output": output}
    model = {"backbone": backbone, "bottleneck": bottleneck, "objective": objective}
    return parse(
        {"data": {"value_range": "[0,1]"}, "model": model, "training": {"batch_size": 16, "device": "cpu"} | training}
    )


PLAIN_CODE = {"kind": "vector", "latent_dim": 5}
LOSSES = [{"kind": "reconstruction", "loss": loss} for loss in ("mse", "l1", "bce")]
ELBO = [{"kind": "elbo", "loss": loss, "beta": 0.3, "kl_warmup": 10} for loss in ("mse", "l1", "bce")]
COMBINATIONS = [
    *((loss, PLAIN_CODE | {"activation": name}, name, "sigmoid") for loss in LOSSES for name in ACTIVATIONS),
    *((LOSSES[0], PLAIN_CODE, "elu", name) for name in ("none", "relu", "tanh")),
    *((loss, {"kind": "gaussian", "latent_dim": 3}, name, "sigmoid") for loss in ELBO for name in ("relu", "gelu")),
]


def gradients(config, name: str, facts: Facts, chosen: torch.Tensor) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and the gradient of every parameter, by an engine."""
    state = start(with_values(config, {"training.engine": "eager"}), facts, 1)
    state.engine["engine"] = name
    state.model.to(memory_format=engines.prepare(state.model, config, name))
    step = engines.of(state, images(40, facts), config)
    losses = step.gradients(chosen, END).tolist()
    if name != "eager":  # where the gradient lies is where the parameter lies in the other buffer
        buffer = state.optimiser.parameters[0]
        for parameter in state.model.parameters():
            first = (parameter.data_ptr() - buffer.data_ptr()) // 4
            parameter.grad = buffer.grad.as_strided(parameter.shape, parameter.stride(), first)
    return losses, {key: parameter.grad for key, parameter in state.model.named_parameters()}


LIMITS = {"flat": 1e-6, "fused": 2e-6}
"""Relative, of a gradient: the compiled loops round exponentials otherwise."""
IN_PATCHES = {"fused": 1e-5}
"""A bias is summed over all patches, which nearly cancel each other."""


def same(config, facts: Facts = FACTS, n: int = 16, limits: dict[str, float] = LIMITS) -> None:
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:n]
    expected, slow = gradients(config, "eager", facts, chosen)
    assert loops.library(), "a C compiler is needed: install gcc, then pip install -e ."
    for engine, limit in limits.items():
        losses, fast = gradients(config, engine, facts, chosen)
        assert losses == pytest.approx(expected, rel=1e-6)
        assert fast.keys() == slow.keys()
        for name, gradient in slow.items():
            error = torch.linalg.vector_norm(fast[name] - gradient) / torch.linalg.vector_norm(gradient).clamp(
                min=1e-12
            )
            assert error < limit, (engine, name)


@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda c: f"{c[0]['kind']} {c[0]['loss']} {c[2]} {c[3]}")
def test_gradients_are_those_of_automatic_differentiation(combination):
    objective, bottleneck, activation, output = combination
    same(dense(objective, bottleneck, activation, output))


TILED = Facts((3, 12, 8), (0, 1), 40, ("a",))
"""Six patches of four pixels in both directions."""
PATCHES = {"kind": "conv", "channels": [5], "kernel": 4, "stride": 4, "padding": 0, "output": "sigmoid"}
OF_PATCHES = [
    *({"model.backbone.activation": name, "model.backbone.hidden_activation": name} for name in ACTIVATIONS),
    *({"model.objective.loss": loss, "model.backbone.output": "sigmoid"} for loss in ("mse", "l1", "bce")),
    *({"model.backbone.output": name} for name in ("none", "relu", "tanh")),
    {"model.backbone.hidden": [9, 14]},
    {"training.clip_norm": 1e-3},
    {"training.augmentation": "shift"},
    {"task.kind": "denoise"},
]


def patches(changes: dict, **model: object):
    """A model whose first and last layer are convolutions of patches that touch."""
    parts = {"backbone": PATCHES, "bottleneck": PLAIN_CODE, "objective": LOSSES[0]} | model
    return with_values(parse({"model": parts, "training": {"batch_size": 16, "device": "cpu"}}), changes)


@pytest.mark.parametrize("changes", OF_PATCHES, ids=str)
def test_gradients_through_patches_are_those_of_automatic_differentiation(changes):
    config = patches(changes)
    assert chain(build(config.model, TILED)) is None
    assert start(config, TILED, 1).engine["engine"] == "fused"
    same(config, TILED, limits=IN_PATCHES)


@pytest.mark.parametrize("n", [1, 3, 16])
@pytest.mark.parametrize("facts", [TILED, Facts((1, 4, 12), (0, 1), 40, ("a",)), Facts((2, 4, 4), (0, 1), 40, ("a",))])
def test_gradients_through_patches_are_the_same_for_any_batch_and_image(n, facts):
    same(patches({}), facts, n, limits=IN_PATCHES)
    gaussian = {"kind": "gaussian", "latent_dim": 3}
    for loss in ELBO:
        same(patches({"model.backbone.hidden": [6]}, bottleneck=gaussian, objective=loss), facts, n, limits=IN_PATCHES)


def distance(found: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]) -> float:
    """Of two gradients as a whole, relative."""
    length = lambda parts: math.sqrt(sum(float(part.square().sum()) for part in parts))
    return length(found[name] - exact[name] for name in exact) / length(exact.values())


def near(config: RunConfig, facts: Facts = FACTS, n: int = 16) -> None:
    """In bfloat16 as near to 32 bits as a number that keeps 8 of them, and hardly farther than autocast."""
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:n]
    expected, exact = gradients(config, "eager", facts, chosen)
    low = with_values(config, {"training.precision": "bf16"})
    (losses, fast), (_, slow) = (gradients(low, engine, facts, chosen) for engine in ("fused", "eager"))
    assert losses == pytest.approx(expected, rel=2e-3)
    assert 0 < distance(fast, exact) < max(0.01, 1.5 * distance(slow, exact))
    assert {gradient.dtype for gradient in fast.values()} == {torch.float32}


@pytest.fixture
def small_ones_too(monkeypatch):
    """Products of any size are rounded."""
    monkeypatch.setattr(rounded, "WORTH_ROUNDING", 0)


@pytest.mark.usefixtures("small_ones_too")
@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda c: f"{c[0]['kind']} {c[0]['loss']} {c[2]} {c[3]}")
def test_gradients_of_rounded_products_are_near(combination):
    objective, bottleneck, activation, output = combination
    near(dense(objective, bottleneck, activation, output))
    near(dense(objective, bottleneck, activation, output), n=3)


@pytest.mark.usefixtures("small_ones_too")
@pytest.mark.parametrize("changes", OF_PATCHES, ids=str)
def test_gradients_of_rounded_products_of_patches_are_near(changes):
    near(patches(changes), TILED)


def test_small_products_keep_32_bits_where_that_is_faster(monkeypatch):
    config, chosen = dense(LOSSES[0], PLAIN_CODE), torch.arange(16)
    _, exact = gradients(config, "fused", FACTS, chosen)
    low = with_values(config, {"training.precision": "bf16"})
    assert distance(gradients(low, "fused", FACTS, chosen)[1], exact) == 0
    largest = len(chosen) * math.prod(FACTS.shape) * 20  # of the first and the last layer
    monkeypatch.setattr(rounded, "WORTH_ROUNDING", largest)
    some = distance(gradients(low, "fused", FACTS, chosen)[1], exact)
    monkeypatch.setattr(rounded, "WORTH_ROUNDING", largest + 1)
    assert distance(gradients(low, "fused", FACTS, chosen)[1], exact) == 0 < some


@pytest.mark.usefixtures("small_ones_too")
def test_what_is_multiplied_and_the_product_are_rounded_and_nothing_else():
    config = with_values(dense(LOSSES[0], PLAIN_CODE), {"training.precision": "bf16"})
    state = start(config, FACTS, 1)
    step = engines.of(state, images(40, FACTS), config)
    step.gradients(torch.arange(16), END)
    pixels, weight = images(40, FACTS).train_images[:16].flatten(1), step.layers[0].weight
    x = (pixels.float() / 255).bfloat16()
    products = (x @ weight.bfloat16().t()).float()
    torch.testing.assert_close(step.largest[0].after, (products + step.layers[0].bias).relu(), rtol=0, atol=0)
    assert not torch.equal(weight, weight.bfloat16().float())


@pytest.mark.usefixtures("small_ones_too")
@pytest.mark.parametrize(
    "model", [PLAIN, VAE, {"model": patches({}).model.model_dump(mode="json")}], ids=["plain", "vae", "patches"]
)
def test_a_run_in_bfloat16_learns_and_goes_on_where_it_stood(model, tmp_path, monkeypatch):
    config = with_values(tiny(**model), {"training.precision": "bf16", "training.epochs": 6, "training.batch_size": 9})
    data = images(40, TILED)
    whole = [row.value for row in train(start(config, TILED, 1), data, config) if row]
    exact = [row.value for row in train(start(in_32_bits(config), TILED, 1), data, in_32_bits(config)) if row]
    assert whole != exact
    assert whole == pytest.approx(exact, rel=0.02)
    on = broken_off(config, data, 17, tmp_path)
    assert on() == whole
    monkeypatch.setattr(loops, "library", lambda: None)
    assert on() == pytest.approx(whole, rel=0.02), "autocast"


def broken_off(config: RunConfig, data: Data, n: int, folder: Path) -> Callable[[], list[float]]:
    """The values of a run that is stopped after n rows, and goes on whenever this is called."""
    state = start(config, TILED, 1)
    rows = train(state, data, config)
    first = [next(rows) for _ in range(n)]
    rows.close()
    path = commit(folder, state, Mark(), 1, TILED)
    return lambda: [row.value for row in [*first, *train(restore(path, config), data, config)] if row]


def in_32_bits(config: RunConfig) -> RunConfig:
    return with_values(config, {"training.precision": "fp32"})


def test_which_patches_are_taken(monkeypatch):
    taken = lambda changes, facts=TILED: chain(build(patches(changes).model, facts), patches=True) is not None
    assert taken({})
    assert not taken({"model.backbone.padding": 2})
    assert not taken({"model.backbone.stride": 2})
    assert not taken({"model.backbone.channels": [5, 6], "model.backbone.kernel": 2, "model.backbone.stride": 2})
    assert not taken({}, Facts((1, 13, 8), (0, 1), 40, ("a",))), "a row of pixels belongs to none"
    settled = lambda most: engines.settle(patches({}), build(patches({}).model, TILED), torch.device("cpu"), 40, most)
    assert settled(1) == settled(4) == ("fused", 1)
    weights = 6 * (3 * 16 * 5 + 5 * 3 * 16) + 2 * 30 * 5  # those of patches six times
    for limit, expected in ((16 * 6 * weights, ("eager", 4)), (16 * 6 * weights + 1, ("fused", 1))):
        monkeypatch.setattr(engines, "WORTH_SHARING", limit)
        assert settled(4) == expected


def test_a_run_of_patches_goes_on_where_it_stood_with_a_compiler_and_without(tmp_path, monkeypatch):
    config = patches({"training.epochs": 3, "training.batch_size": 9})  # the last batch has four
    data = images(40, TILED)
    whole = [row.value for row in train(start(config, TILED, 1), data, config) if row]
    on = broken_off(config, data, 14, tmp_path)
    assert on() == whole
    monkeypatch.setattr(loops, "library", lambda: None)
    assert on() == pytest.approx(whole, rel=1e-4)


def test_a_last_batch_works_in_the_memory_of_the_others():
    config = patches({})
    state = start(config, TILED, 1)
    step = engines.of(state, images(40, TILED), config)
    step.gradients(torch.arange(16), END)
    rooms = step.largest
    step.gradients(torch.arange(8), END)
    assert step.largest is rooms
    assert step.kernels.images.room.shape[0] == 16
    step.gradients(torch.arange(20), END)
    assert step.largest is not rooms


@pytest.mark.parametrize("n", [1, 2, 15])
def test_gradients_are_the_same_for_any_size_of_batch(n):
    same(dense(LOSSES[0], PLAIN_CODE), n=n)
    same(dense(ELBO[2], {"kind": "gaussian", "latent_dim": 3}), n=n)


@pytest.mark.parametrize(
    "changes",
    [
        {"training.clip_norm": 1e-3},
        {"training.augmentation": "shift"},
        {"task.kind": "denoise"},
        {"data.value_range": "[-1,1]", "model.backbone.output": "tanh"},
        {"model.backbone.widths": []},
    ],
    ids=str,
)
def test_gradients_are_the_same_with_every_option_of_a_step(changes):
    facts = WIDE if "data.value_range" in changes else FACTS
    same(with_values(dense(LOSSES[0], PLAIN_CODE), changes), facts)
    if "data.value_range" not in changes:
        same(with_values(dense(ELBO[0], {"kind": "gaussian", "latent_dim": 3}), changes), facts)


def test_every_model_that_is_taken_is_computed_right():
    """Over all backbones, bottlenecks and objectives there are: what a new one adds is either unknown to the engine, or right."""
    taken = []
    for backbone, bottleneck, objective in itertools.product(BACKBONES, BOTTLENECKS, OBJECTIVES):
        model = {"backbone": {"kind": backbone}, "bottleneck": {"kind": bottleneck}, "objective": {"kind": objective}}
        try:
            config = parse({"model": model, "training": {"device": "cpu"}})
            known = build(config.model, FACTS)
        except ValueError:  # mathematics forbids it, or it does not fit so small an image
            continue
        if chain(known) is not None:
            taken.append((backbone, bottleneck, objective))
            same(config)
    assert taken == [("dense", "vector", "reconstruction"), ("dense", "gaussian", "elbo")]


def refused(model: dict, **training: object) -> bool:
    config = tiny(model, **training)
    return start(config, FACTS, 1).engine["engine"] == "eager"


def test_what_the_engine_does_not_know_goes_on_as_it_was():
    assert not refused({})
    assert refused({}, engine="eager")
    assert not refused({}, precision="bf16")
    assert refused({"objective": {"kind": "sparse"}}, precision="bf16")
    assert refused({}, processes=2)
    assert refused({"objective": {"kind": "reconstruction", "loss": "huber"}})
    assert refused({"objective": {"kind": "sparse"}})
    gaussian = {"bottleneck": {"kind": "gaussian"}}
    assert not refused(gaussian | {"objective": {"kind": "elbo"}})
    assert refused(gaussian | {"objective": {"kind": "elbo", "loss": "gaussian"}})
    assert refused(gaussian | {"objective": {"kind": "elbo", "capacity": 1.0, "capacity_steps": 10}})
    assert refused(gaussian | {"objective": {"kind": "elbo", "free_bits": 0.1}})
    assert chain(build(tiny(CONV["model"]).model, FACTS)) is None


def test_a_layer_that_was_changed_by_hand_is_not_taken():
    model = build(tiny().model, FACTS)
    assert chain(model) is not None
    tied = build(tiny({"bottleneck": {"kind": "vector", "latent_dim": 5}}).model, FACTS)
    tied.decoder.bottleneck[0].weight = tied.encoder.bottleneck.dense.weight
    hooked = build(tiny().model, FACTS)
    hooked.decoder.register_forward_hook(lambda *_: None)
    normed = build(tiny().model, FACTS)
    normed.encoder.layers.append(torch.nn.BatchNorm1d(5))
    frozen = build(tiny().model, FACTS)
    frozen.decoder.layers[0].weight.requires_grad = False
    assert [chain(one) for one in (tied, hooked, normed, frozen)] == [None] * 4


@pytest.mark.parametrize("options", [PLAIN, VAE, {"optimiser": "adamw", "weight_decay": 0.1}, {"optimiser": "sgd"}])
def test_a_whole_run_has_the_losses_of_an_eager_one(options):
    fast, eager = run(tiny(epochs=10, **options)), run(tiny(epochs=10, engine="eager", **options))
    assert [row[:4] for row in fast] == [row[:4] for row in eager]
    assert [row.value for row in fast] == pytest.approx([row.value for row in eager], rel=1e-5)


def test_the_engine_is_chosen_at_step_0_and_kept(tmp_path):
    config = tiny()
    path = commit(tmp_path, start(config, FACTS, 1), Mark(), 1, FACTS)
    assert json.loads((path / "state.json").read_text())["engine"] == {
        "device": "cpu",
        "threads": 1,
        "precision": "fp32",
        "engine": "fused",
    }
    assert restore(path, config).engine["engine"] == "fused"
    other = with_values(config, {"training.engine": "eager"})
    assert restore(path, other).engine["engine"] == "fused"
    assert restore(path, with_values(other, {"training.exact": False})).engine["engine"] == "eager"


def begun(config: RunConfig, n: int, folder: Path) -> tuple[list[Row | None], Path]:
    """The first n rows of a run, and its checkpoint after them."""
    state = start(config, FACTS, 1)
    rows = train(state, images(), config)
    first = [next(rows) for _ in range(n)]
    rows.close()
    return first, commit(folder, state, Mark(), 1, FACTS)


def test_a_checkpoint_from_before_there_were_engines_goes_on_eagerly_byte_for_byte(tmp_path):
    config = tiny(engine="eager")
    whole = run(config)
    first, path = begun(config, 9, tmp_path)
    kept = json.loads((path / "state.json").read_text())
    del kept["engine"]["engine"]
    (path / "state.json").write_text(json.dumps(kept))
    resumed = restore(path, tiny())
    assert resumed.engine["engine"] == "eager"
    assert first + list(train(resumed, images(), tiny())) == whole


@pytest.mark.parametrize("engine", ["flat", "fused"])
def test_numbers_too_small_for_the_processor_are_flushed_in_the_fast_engines_only(engine):
    state = start(tiny(), FACTS, 1)
    state.engine["engine"] = engine
    step = engines.of(state, images(), tiny())
    step.begin(torch.arange(16), END, 1e-3)
    state.optimiser.moments["exp_avg"][0].fill_(1e-40)
    state.optimiser.parameters[0].grad.zero_()
    step.finish()
    assert not state.optimiser.moments["exp_avg"][0].any()
    assert torch.full((8,), 1e-40).mul(0.9).any(), "not elsewhere"


def test_moments_are_kept_under_the_names_of_their_parameters(tmp_path):
    kept = {}
    for engine in ("auto", "eager"):
        state = start(tiny(engine=engine, clip_norm=0.1), FACTS, 1)
        list(train(state, images(), tiny(engine=engine, clip_norm=0.1)))
        kept[engine] = state.optimiser.tensors()
    assert kept["auto"].keys() == kept["eager"].keys()
    for name, moment in kept["eager"].items():
        assert torch.allclose(kept["auto"][name], moment, rtol=1e-4, atol=1e-9), name


def test_the_presets_are_fast_where_an_engine_knows_them_and_as_they_were_elsewhere():
    fast = {
        name for name in presets() if preset(name).config.model.backbone.kind == "dense" and chosen(name) == "fused"
    }
    assert {"compress-32", "linear-pca", "stacked-9", "stacked-9-tuned", "scatter-2", "halving-196", "vae-2"} <= fast
    assert chosen("conv-16") == chosen("stacked-9-conv") == chosen("demo") == "fused"
    assert chosen("sparse-kl") == chosen("k-sparse") == "eager"


def test_small_dense_networks_keep_to_one_thread():
    def settled(changes: dict, n_train: int = 60_000, most: int = 8) -> tuple[str, int]:
        config = with_values(preset("compress-32").config, {"training.device": "cpu"} | changes)
        model = build(config.model, Facts((1, 28, 28), (0, 1), 100, ()))
        return engines.settle(config, model, torch.device("cpu"), n_train, most)

    large = {"training.batch_size": 4096}
    assert settled({}) == settled(large, n_train=500) == settled(large, most=1) == ("fused", 1)
    assert settled(large) == settled({"model.backbone.widths": [4096, 1024]}) == ("flat", 8)
    assert settled({"training.engine": "eager"}) == ("eager", 8)
    assert settled(large | {"training.precision": "bf16"}) == ("fused", 8)
    assert settled({"training.precision": "bf16"}) == ("fused", 1)


def chosen(name: str) -> str:
    config = with_values(preset(name).config, {"training.device": "cpu"})
    return engines.choose(config, build(config.model, Facts((1, 28, 28), (0, 1), 100, ())), torch.device("cpu"))


def test_after_steps_by_hand_images_are_evaluated_in_batches_that_lie_on_the_heap():
    facts = Facts((3, 32, 32), (0, 1), 40, ("a",))
    for known, expected in ((facts, (1 << 18) // 3072), (FACTS, 256)):
        config = dense(LOSSES[0], PLAIN_CODE)
        state = start(config, known, 1)
        engines.of(state, images(40, known), config)
        assert state.model.evaluation_batch == expected
