"""The compiled loops: PyTorch's numbers, and nothing hidden that is not finite."""

import math

import pytest
import torch
from torch import nn

from aecore.config import parse
from aecore.data import normalise
from aecore.models import build
from aecore.training import engines, restore, train
from aecore.training.engines import loops
from aecore.training.engines.drawn import Code, CompiledCode
from aecore.training.optimiser import Optimiser
from tests.test_engines import begun
from tests.test_training import FACTS, images, run, tiny

MODULES = [None, nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Sigmoid(), nn.Tanh()]
LOSSES = {
    "mse": nn.MSELoss(reduction="sum"),
    "l1": nn.L1Loss(reduction="sum"),
    "bce": nn.BCEWithLogitsLoss(reduction="sum"),
}
SHAPE = (3, 131)
"""Not a whole number of any processor's registers, nor of the blocks of the cross entropy."""
NONE = torch.zeros(SHAPE[1])
"""As a bias."""


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("module", MODULES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_end_of_a_step_is_that_of_automatic_differentiation(module, loss):
    logits, target = (6 * numbers(1, *SHAPE)).requires_grad_(), numbers(2, *SHAPE).sigmoid()
    added, gradient, bias = numbers(8, SHAPE[1]), torch.empty(SHAPE), torch.empty(SHAPE[1])
    out = logits.detach() - added
    with torch.no_grad():
        logits.copy_(out + added)
    value = loops.end(module, loss, added, out, gradient, 0.01, bias)(target)
    shown = module(logits) if module else logits
    expected = 0.01 * LOSSES[loss](shown, target)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(out, shown.detach(), rtol=1e-6, atol=3e-7)
    torch.testing.assert_close(gradient, logits.grad, rtol=2e-5, atol=3e-8)
    torch.testing.assert_close(bias, logits.grad.sum(0), rtol=2e-5, atol=3e-8)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_an_activation_and_the_way_back_through_it(module):
    before = (3 * numbers(3, *SHAPE)).requires_grad_()
    added, gradient, bias = numbers(8, SHAPE[1]), numbers(4, *SHAPE), torch.empty(SHAPE[1])
    out = before.detach() - added
    with torch.no_grad():
        before.copy_(out + added)
    shown = module(before) if module else before * 1
    shown.backward(gradient)
    loops.forward(module, added, out)()
    loops.backward(module, gradient, out, bias)()
    torch.testing.assert_close(out, shown.detach(), rtol=1e-6, atol=3e-7)
    torch.testing.assert_close(gradient, before.grad, rtol=2e-5, atol=1e-6)
    torch.testing.assert_close(bias, before.grad.sum(0), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("module", MODULES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_number_that_is_none_is_seen_in_the_loss(module, loss):
    for place in range(SHAPE[1]):
        out = torch.zeros(SHAPE)
        out[1, place] = torch.nan
        value = loops.end(module, loss, NONE, out, torch.empty(SHAPE), 0.01, torch.empty(SHAPE[1]))(torch.zeros(SHAPE))
        assert value != value, place


def test_numbers_beyond_what_a_power_can_hold_have_the_values_of_the_limit():
    out = torch.tensor([[-1e30, -200.0, 200.0, 1e30]])
    high, low = out.clone(), out.clone()
    loops.forward(nn.Sigmoid(), torch.zeros(4), high)()
    loops.forward(nn.Tanh(), torch.zeros(4), low)()
    assert high.tolist()[0] == pytest.approx([0, 0, 1, 1], abs=1e-37)
    assert low.tolist() == [[-1, -1, 1, 1]]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_number_that_is_none_goes_on_through_hidden_layers(module):
    for place in range(SHAPE[1]):
        out, gradient, bias = torch.zeros(SHAPE), torch.ones(SHAPE), torch.empty(SHAPE[1])
        out[1, place] = torch.nan
        loops.forward(module, NONE, out)()
        assert out[1].isnan().tolist() == [other == place for other in range(SHAPE[1])]
        out[1, place], gradient[1, place] = 1, torch.nan
        loops.backward(module, gradient, out, bias)()
        assert bias.isnan().tolist() == [other == place for other in range(SHAPE[1])]


def test_a_loss_beyond_all_numbers_is_seen():
    for loss, logit in (("mse", torch.inf), ("l1", -torch.inf), ("bce", torch.inf), ("bce", -torch.inf)):
        out = torch.zeros(SHAPE)
        out[2, 100] = logit
        value = loops.end(None, loss, NONE, out, torch.empty(SHAPE), 0.01, torch.empty(SHAPE[1]))(
            torch.full(SHAPE, 0.5)
        )
        assert not math.isfinite(value), loss


def test_a_bias_is_summed_over_very_many_rows():
    gradient = 0.05 * numbers(1, 100_000, 16) + 0.01
    exact, bias = gradient.double().sum(0), torch.empty(16)
    loops.backward(None, gradient, torch.ones_like(gradient), bias)()
    assert (bias - exact).norm() <= 1e-6 * exact.norm()


def test_powers_are_right_to_a_millionth_of_themselves():
    before = torch.linspace(-86, 20, 5003, dtype=torch.float64).float()[None]
    out = before.clone()
    loops.forward(nn.Sigmoid(), torch.zeros(out.shape[1]), out)()
    torch.testing.assert_close(out.double(), before.double().sigmoid(), rtol=5e-7, atol=0)


def drawn(both: torch.Tensor) -> tuple[CompiledCode, Code]:
    """A code by the loops and by PyTorch, from the same noise."""
    n, size = len(both), both.shape[1] // 2
    pair = [kind(both.clone(), torch.empty(n, size), numbers(6, n, size)) for kind in (CompiledCode, Code)]
    for code in pair:
        code.draw(torch.Generator().manual_seed(7))
        code.weight = 0.3
    return pair[0], pair[1]


@pytest.mark.parametrize("size", [1, 2, 33])
def test_a_code_and_the_way_back_through_it_are_pytorchs(size):
    ours, theirs = drawn(3 * numbers(5, 7, 2 * size))
    torch.testing.assert_close(ours.z, theirs.z, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.kl(), theirs.kl(), rtol=1e-6, atol=0)
    ours.back()
    theirs.back()
    torch.testing.assert_close(ours.both, theirs.both, rtol=1e-5, atol=1e-6)


def test_a_code_that_is_not_finite_is_seen_in_its_kl():
    for column, value in ((0, torch.nan), (0, torch.inf), (3, torch.nan), (3, torch.inf), (3, -torch.inf), (3, 89.0)):
        both = torch.zeros(2, 4)
        both[1, column] = value
        ours, theirs = drawn(both)
        assert not math.isfinite(theirs.kl())
        assert not math.isfinite(ours.kl()), (column, value)


@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1)])
def test_chosen_images_are_gathered_as_numbers_of_the_value_range(value_range):
    stored = torch.randint(0, 256, (300, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    for chosen in (torch.tensor([299, 0, 7, 7]), torch.tensor([5])):
        out = torch.empty(len(chosen), 3, 5, 7)
        loops.gather(stored, value_range, out)(chosen)
        torch.testing.assert_close(out, normalise(stored[chosen], value_range), rtol=0, atol=2e-7)
        assert value_range[0] <= out.min()
        assert out.max() <= value_range[1]


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_steps_are_those_of_torchs_own_kernel(kind):
    training = parse({"training": {"optimiser": kind, "weight_decay": 0.03}}).training
    weights = nn.Parameter(numbers(6, 1001))
    theirs = Optimiser([("weights", weights)], training)
    values, moments, steps = weights.detach().clone(), (torch.zeros(1001), torch.zeros(1001)), torch.zeros(())
    values.grad = torch.empty(1001)
    move = loops.adam(values, moments, steps, theirs.betas, 1e-8)
    for step in range(20):
        weights.grad = numbers(step, 1001)
        values.grad.copy_(weights.grad)
        theirs.step(0.01)
        move(0.01, 0.03, kind == "adamw")
    assert steps == theirs.steps == 20
    torch.testing.assert_close(values, weights.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(moments[1], theirs.moments["exp_avg_sq"][0], rtol=1e-5, atol=1e-9)


def test_without_a_compiler_the_same_run_goes_through_pytorchs_kernels(tmp_path, monkeypatch):
    assert loops.library(), "these tests need a C compiler: install gcc, then pip install -e ."
    config = tiny(epochs=4)
    whole = run(config)
    first, path = begun(config, 5, tmp_path)
    monkeypatch.setattr(loops, "library", lambda: None)
    assert engines.choose(config, build(config.model, FACTS), torch.device("cpu")) == "flat"
    resumed = restore(path, config)
    assert resumed.engine["engine"] == "fused", "what began so stays marked so, wherever it goes on"
    values = [row.value for row in [*first, *train(resumed, images(), config)] if row]
    assert values == pytest.approx([row.value for row in whole if row], rel=1e-5)
