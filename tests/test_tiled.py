"""The kernels in Triton's language: the same losses and weights as automatic differentiation. On a GPU where there is one, else by
Triton's interpreter."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("triton", reason="Triton comes with PyTorch for Linux on x86 and Arm")

from aecore.config import ConfigError, RunConfig, with_values
from aecore.models import ACTIVATIONS, build
from aecore.training import Row, TrainState, engines, start, train
from aecore.training.data import Data
from aecore.training.engines import tiled, tiles
from aecore.training.engines.convolved import Convolution, Form, of_weights
from aecore.training.engines.desk import CUTS, Cut
from aecore.training.engines.paced import Paced, within
from tests.test_engines import ELBO, END, LOSSES, PLAIN_CODE, dense
from tests.test_engines_recorded import EVERY, Again
from tests.test_training import FACTS, images, tiny

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GAUSSIAN = {"kind": "gaussian", "latent_dim": 3}
COMBINATIONS = [
    *((LOSSES[0], PLAIN_CODE | {"activation": name}, name, "sigmoid") for name in ACTIVATIONS),
    *((loss, PLAIN_CODE, "relu", "sigmoid") for loss in LOSSES[1:]),
    *((LOSSES[0], PLAIN_CODE, "elu", name) for name in ("none", "relu", "tanh")),
    *((loss, GAUSSIAN, "gelu", "sigmoid") for loss in ELBO),
]
RULES = [
    {"optimiser": "adamw", "weight_decay": 0.1},
    {"optimiser": "adam", "weight_decay": 0.1, "clip_norm": 0.01},
    {"optimiser": "sgd"},
]


def state_of(config: RunConfig, engine: str = "eager") -> TrainState:
    state = start(with_values(config, {"training.engine": "eager", "training.device": DEVICE}), FACTS, 1)
    state.engine["engine"] = engine
    return state


def data(n: int = 20) -> Data:
    there = images(n)
    parts = {name: value.to(DEVICE) for name, value in vars(there).items() if isinstance(value, torch.Tensor)}
    return dataclasses.replace(there, **parts)


def steps(config: RunConfig, by_hand: bool) -> tuple[list[list[float]], dict[str, torch.Tensor]]:
    """The losses of three steps, of which the last is smaller, and what the weights are then."""
    state, there = state_of(config), data(40)
    step = tiled.Tiled(state, there, config) if by_hand else engines.of(state, there, config)
    found = []
    for number, n in enumerate((16, 16, 5)):
        chosen = torch.randperm(40, generator=torch.Generator().manual_seed(number))[:n].to(DEVICE)
        found.append(step.begin(chosen, END, 1e-3).tolist())
        step.update()
        state.model.zero_grad()
    return found, {name: parameter.detach().cpu() for name, parameter in state.model.named_parameters()}


def same(config: RunConfig) -> None:
    (losses, weights), (expected, slow) = steps(config, True), steps(config, False)
    for ones, others in zip(losses, expected, strict=True):
        assert ones == pytest.approx(others, rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, slow[name], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("objective", "bottleneck", "activation", "output"), COMBINATIONS)
def test_a_chain_learns_as_by_automatic_differentiation(
    objective: dict, bottleneck: dict, activation: str, output: str
) -> None:
    same(dense(objective, bottleneck, activation, output))


@pytest.mark.parametrize("rule", RULES)
def test_by_every_optimiser_with_decay_and_with_clipping(rule: dict[str, object]) -> None:
    same(dense(LOSSES[0], PLAIN_CODE, **rule))
    same(dense(ELBO[0], GAUSSIAN, **rule))


def test_from_what_is_corrupted_to_what_was_clean() -> None:
    same(with_values(dense(LOSSES[0], PLAIN_CODE), {"task.kind": "denoise"}))


def test_of_less_precision_the_first_losses_are_near() -> None:
    config = dense(ELBO[0], GAUSSIAN)
    exact, _ = steps(config, by_hand=True)
    found, _ = steps(with_values(config, {"training.precision": "bf16"}), by_hand=True)
    assert found != exact
    for ones, others in zip(found, exact, strict=True):
        assert ones == pytest.approx(others, rel=0.02)


@pytest.mark.parametrize("by", [*CUTS, Cut(32, 16, 32)])
def test_products_of_any_size_in_tiles_of_any_size(by: Cut) -> None:
    m, n, k = 70, 45, 67
    x, weight, bias, g = (torch.randn(shape, device=DEVICE) for shape in ((m, k), (n, k), (n,), (m, n)))
    out, back = x.new_empty(m, n), x.new_empty(m, k)
    turned = weight.t().contiguous()
    tiles.forward[by.grid(m, n)](x, turned, bias, out, out, m, n, k, n, 1, 0.1, tiles.LEAKY, "ieee", *by)
    torch.testing.assert_close(out, nn.functional.leaky_relu(x @ weight.t() + bias, 0.1), rtol=1e-5, atol=1e-4)
    tiles.backward[by.grid(m, k)](g, weight, x, back, m, n, k, k, 1, 0.0, tiles.RELU, "ieee", *by)
    torch.testing.assert_close(back, (g @ weight) * (x > 0), rtol=1e-5, atol=1e-4)


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    config = dense(LOSSES[0], PLAIN_CODE)
    state = state_of(config)
    step = tiled.Tiled(state, data(40), config)
    chosen = torch.arange(16, device=DEVICE)
    step.begin(chosen, END, 1e-3)
    step.update()
    with torch.no_grad():
        next(p for p in state.model.decoder.parameters() if p.ndim == 1).fill_(float("nan"))
    kept = [each.clone() for each in (step.values, *step.moments, step.turned, state.optimiser.steps)]
    assert step.begin(chosen, END, 1e-3).isnan().any()
    step.update()
    for was, now in zip(kept, (step.values, *step.moments, step.turned, state.optimiser.steps), strict=True):
        torch.testing.assert_close(now, was, rtol=0, atol=0, equal_nan=True)


def test_the_second_copy_of_the_weights_is_the_first_one_turned() -> None:
    config = dense(LOSSES[0], PLAIN_CODE)
    step = tiled.Tiled(state_of(config), data(40), config)
    for _ in range(3):
        step.begin(torch.arange(16, device=DEVICE), END, 1e-3)
        step.update()
    for matrix, layer in zip(step.matrices, step.layers, strict=True):
        assert torch.equal(matrix, layer.weight.t())


def rows_of(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The rows of a whole run that plays its recordings by doing them again."""
    monkeypatch.setattr(engines, "CudaGraphs", Again)
    return whole(state_of(config, "triton"), config)


def whole(state: TrainState, config: RunConfig) -> list[Row]:
    return [row for row in train(state, data(), config) if row is not None]


@pytest.mark.parametrize("name", ["plain", "with a weight that rises", "vector quantised", "aae"])
def test_a_whole_run_has_the_rows_of_an_eager_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(epochs=8, **EVERY[name])
    found = rows_of(config, monkeypatch)
    expected = whole(state_of(config), config)
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    assert [row.value for row in found] == pytest.approx([row.value for row in expected], rel=1e-4, abs=1e-6)


def test_more_steps_than_losses_stay_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("recorded", "paced"):
        monkeypatch.setattr(f"aecore.training.engines.{module}.UNREAD", 3)
    monkeypatch.setattr("aecore.training.rows.UNREAD", 3)
    config = tiny(epochs=8)
    expected = [row.value for row in whole(state_of(config), config)]
    assert [row.value for row in rows_of(config, monkeypatch)] == pytest.approx(expected, rel=1e-5)


FORMS = [
    (nn.Conv2d(2, 5, 4, 2, 1), 9),
    (nn.Conv2d(17, 33, 3, 1, 1), 6),
    (nn.Conv2d(3, 4, 5, 1, 0), 8),
    (nn.ConvTranspose2d(5, 3, 4, 2, 1), 4),
    (nn.ConvTranspose2d(2, 5, 3, 2, 1, output_padding=1), 6),
]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("layer", "size"), FORMS, ids=str)
def test_gradients_of_a_convolution(
    layer: nn.Conv2d | nn.ConvTranspose2d, size: int, order: torch.memory_format
) -> None:
    layer = layer.to(DEVICE, memory_format=order)
    x = torch.randn(3, layer.in_channels, size, size, device=DEVICE).to(memory_format=order).requires_grad_()
    places = (x, layer.weight, layer.bias)
    out = layer(x)
    g = torch.randn_like(out)
    expected = torch.autograd.grad(out, places, g)
    form = Form(
        layer.stride, layer.padding, layer.dilation, isinstance(layer, nn.ConvTranspose2d), layer.output_padding, 1
    )
    again = Convolution.apply(*places, form, "ieee")
    torch.testing.assert_close(again, out)
    for found, gradient in zip(torch.autograd.grad(again, places, g), expected, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-4)


def test_convolutions_that_32_bits_do_not_count_are_left_to_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Conv2d(2, 5, 4, 2, 1).to(DEVICE)
    x = torch.randn(3, 2, 9, 9, device=DEVICE)
    g = torch.randn_like(layer(x))
    form = Form(layer.stride, layer.padding, layer.dilation, False, (0, 0), 1)
    ours = of_weights(x, g, layer.weight.shape, form, "ieee")
    monkeypatch.setattr("aecore.training.engines.convolved.MOST", 1)
    monkeypatch.setattr(tiles, "weights_of_convolution", None)
    torch.testing.assert_close(of_weights(x, g, layer.weight.shape, form, "ieee"), ours, rtol=1e-4, atol=1e-4)


def test_a_run_that_was_begun_with_triton_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny()
    monkeypatch.delattr(engines, "convolved")
    monkeypatch.setitem(sys.modules, "aecore.training.engines.convolved", None)
    with pytest.raises(ConfigError, match="begun with Triton's kernels, and Triton is not installed here"):
        engines.prepare(build(config.model, FACTS), config, "triton")


def test_convolutions_of_a_model_are_exchanged_on_a_gpu_only_and_keep_their_names() -> None:
    config = with_values(tiny(), {"model.backbone": {"kind": "conv", "channels": [2, 3]}})
    model, plain = build(config.model, FACTS), build(config.model, FACTS)
    engines.prepare(model, config, "triton")
    kinds = {type(layer).__name__ for layer in model.modules()}
    assert {"Convolved", "TransposedConvolved"} <= kinds
    assert list(model.state_dict()) == list(plain.state_dict())


def test_sizes_that_32_bits_do_not_count_go_by_automatic_differentiation() -> None:
    config = tiny()
    for size, kind in ((128, tiled.Tiled), (65536, tiled.Tiled), (2**26, Paced)):
        large = config.model_copy(update={"training": config.training.model_copy(update={"batch_size": size})})
        assert type(within(state_of(config), data(), large, by_hand=True)) is kind


def test_without_triton_steps_are_recorded_as_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise RuntimeError("no compiler\nwas found")

    config, gpu = tiny(), torch.device("cuda")
    model = build(config.model, FACTS)
    for try_out, name in ((fails, "graphs"), (lambda: None, "triton")):
        engines._triton.cache_clear()
        monkeypatch.setattr(tiled, "try_out", try_out)
        assert engines.choose(config, model, gpu) == name
    engines._triton.cache_clear()
    assert caplog.messages == ["Steps go without Triton's kernels here: RuntimeError: no compiler"]


def test_every_kernel_compiles() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.compile_kernels"],
        cwd=Path(__file__).parent.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout == "compiled\n", done.stderr[-3000:]
