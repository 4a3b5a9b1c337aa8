"""The compiled convolutions and what lies between them: PyTorch's numbers, in steps that are differentiated once and in evaluation."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from aecore.config import preset, presets, with_values
from aecore.data import facts
from aecore.models import Batch, build
from aecore.models.convolutional import TransposedConvolution
from aecore.models.jacobian import squared_jacobian
from aecore.models.losses import PixelLoss, per_image, summed
from aecore.models.summary import summarise
from aecore.training import engines, restore, start, train
from aecore.training.engines import affine, between, fused, loops, winograd
from aecore.training.engines.eager import total_of
from tests.test_engines import END, begun
from tests.test_loops import numbers
from tests.test_training import FACTS, images, run, tiny

NARROW = [
    (nn.Conv2d, (1, 8, 3), {"padding": 1}, fused.Narrow),
    (nn.Conv2d, (5, 7, 3), {"padding": 2}, fused.Narrow),
    (nn.Conv2d, (6, 16, 5), {}, fused.Narrow),
    (nn.Conv2d, (3, 2, 1), {}, fused.Narrow),
    (nn.Conv2d, (2, 9, 7), {"padding": 3}, fused.Narrow),
    (TransposedConvolution, (8, 1, 3), {"padding": 1}, fused.TransposedNarrow),
    (TransposedConvolution, (16, 6, 5), {}, fused.TransposedNarrow),
    (TransposedConvolution, (4, 3, 4), {"padding": 2}, fused.TransposedNarrow),
    (TransposedConvolution, (2, 11, 1), {}, fused.TransposedNarrow),
]
FOLDED = [
    (TransposedConvolution, (16, 1, 4, 4), {}, fused.Folded),
    (TransposedConvolution, (5, 3, 4, 2), {"padding": 1}, fused.Folded),
    (TransposedConvolution, (6, 2, 5, 3), {"padding": 4, "output_padding": 2}, fused.Folded),
    (TransposedConvolution, (3, 4, 2, 3), {"output_padding": (1, 2)}, fused.Folded),
]
UNFOLDED = [
    (nn.Conv2d, (1, 16, 4, 4), {}, fused.Unfolded),
    (nn.Conv2d, (3, 8, 4, 2), {"padding": 1}, fused.Unfolded),
    (nn.Conv2d, (2, 5, 5, 3), {"padding": 4}, fused.Unfolded),
]
WIDE = [
    (nn.Conv2d, (32, 48, 4, 2), {"padding": 1}, fused.Wide),
    (nn.Conv2d, (16, 16, 4, 2), {"padding": 3}, fused.Wide),
    (nn.Conv2d, (16, 80, 3), {"padding": 1}, fused.Wide),
    (nn.Conv2d, (48, 16, 3), {}, fused.Wide),
    (nn.Conv2d, (16, 32, 5), {"padding": 2}, fused.Wide),
    (nn.Conv2d, (32, 16, 5), {"padding": 4}, fused.Wide),
    (TransposedConvolution, (48, 32, 4, 2), {"padding": 1}, fused.TransposedWide),
    (TransposedConvolution, (16, 16, 4, 2), {"output_padding": 1}, fused.TransposedWide),
    (TransposedConvolution, (80, 16, 3), {"padding": 1}, fused.TransposedWide),
    (TransposedConvolution, (16, 32, 5), {"padding": 4}, fused.TransposedWide),
    (TransposedConvolution, (32, 16, 5), {}, fused.TransposedWide),
]
APART = [
    (TransposedConvolution, (24, 32, 3), {}, fused.BiasApart),
    (TransposedConvolution, (9, 5, 4, 2), {"padding": 1, "output_padding": 1}, fused.BiasApart),
]
BETWEEN = [
    (nn.MaxPool2d, (2,), {}, between.Pooled),
    (nn.ELU, (), {}, between.Elu),
    (nn.ELU, (0.3,), {}, between.Elu),
    (nn.Tanh, (), {}, between.Tanh),
    (nn.Sigmoid, (), {}, between.Sigmoid),
]
CONVOLUTIONS = [*NARROW, *FOLDED, *UNFOLDED, *APART]
LAYERS = [*CONVOLUTIONS, *BETWEEN]
SHAPES = [(3, 13, 9), (1, 8, 8), (40, 7, 7), (2, 30, 31)]
"""Images, height and width: several in a line and the last line not full, one alone, and one that is longer than a line."""


def named(layer: tuple) -> str:
    return f"{layer[3].__name__} {layer[1]} {layer[2]}"


def channels(layer: nn.Module) -> int:
    return layer.in_channels if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) else 3


def pair(kind: type, arguments: tuple, options: dict, faster: type) -> tuple[nn.Module, nn.Module]:
    """A layer, and one with the same weights and the compiled operation."""
    torch.manual_seed(0)
    layer, other = kind(*arguments, **options), kind(*arguments, **options)
    other.load_state_dict(layer.state_dict())
    other.__class__ = faster
    return layer, other


def passed(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """The output, and the gradients of x and of all weights."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    out = layer(x)
    return [out, *torch.autograd.grad(out, [x, *layer.parameters()], numbers(9, *out.shape))]


def close(layer: nn.Module, other: nn.Module, x: torch.Tensor) -> None:
    for ours, theirs in zip(passed(other, x), passed(layer, x), strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=3e-5 * max(1.0, theirs.abs().max().item()))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=named)
def test_a_convolution_is_pytorchs(layer, shape):
    n, height, width = shape
    plain, other = pair(*layer)
    close(plain, other, numbers(1, n, channels(plain), height, width))


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=named)
def test_a_convolution_takes_images_however_they_lie(layer):
    x = numbers(2, 3, channels(pair(*layer)[0]), 11, 10)
    close(*pair(*layer), x.to(memory_format=torch.channels_last))
    close(*pair(*layer), x.transpose(2, 3))
    close(*pair(*layer), x[:1].expand(4, -1, -1, -1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layer", BETWEEN, ids=named)
def test_what_lies_between_is_pytorchs(layer, shape):
    n, height, width = shape
    x = 3 * numbers(3, n, 5, height, width)
    for lying in (x, x.to(memory_format=torch.channels_last), x.transpose(2, 3), x[:, :, ::2]):
        close(*pair(*layer), lying)
    flat = x.flatten(1)
    if layer[0] is not nn.MaxPool2d:
        close(*pair(*layer), flat)


@pytest.mark.parametrize(("size", "height", "width"), [((14, 26), 7, 13), ((15, 26), 7, 13), ((3, 3), 1, 1)])
def test_upsampling_is_pytorchs_for_twice_the_size_and_for_others(size, height, width):
    layer, other = pair(nn.Upsample, (size,), {}, between.Upsampled)
    close(layer, other, numbers(4, 3, 2, height, width))


def test_of_equal_pixels_the_first_has_the_gradient():
    layer, other = pair(*BETWEEN[0])
    x = torch.randint(0, 2, (3, 2, 9, 8), generator=torch.Generator().manual_seed(5)).float()
    for ours, theirs in zip(passed(other, x), passed(layer, x), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("layer", [NARROW[0], NARROW[5], FOLDED[0], FOLDED[2], UNFOLDED[2], *BETWEEN], ids=named)
def test_a_number_that_is_none_goes_on(layer):
    plain, other = pair(*layer)
    for place in range(36):
        x = torch.zeros(2, channels(plain), 6, 6)
        x[1, -1].view(-1)[place] = torch.nan
        assert torch.equal(other(x).isnan(), plain(x).isnan()), place


@pytest.mark.parametrize("layer", LAYERS, ids=named)
def test_what_is_evaluated_is_what_is_trained(layer):
    plain, other = pair(*layer)
    x = numbers(6, 2, channels(plain), 8, 8)
    trained = other(x)
    with torch.inference_mode():
        assert torch.equal(other.eval()(x), trained)
    torch.testing.assert_close(trained, plain(x), rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("layer", LAYERS, ids=named)
def test_what_is_not_for_the_compiled_operations_goes_through_pytorchs(layer):
    plain, other = pair(*layer)
    x = numbers(6, 2, channels(plain), 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(other(x), plain(x))
    assert torch.equal(other.eval()(x), plain.eval()(x)), "gradients of an evaluation may be differentiated again"
    assert torch.equal(other.train().double()(x.double()), plain.double()(x.double())), "64 bits"


def test_frozen_weights_have_no_gradient():
    for layer in (NARROW[0], NARROW[5]):
        _, other = pair(*layer)
        other.weight.requires_grad_(False)
        x = numbers(6, 2, channels(other), 8, 8).requires_grad_()
        other(x).sum().backward()
        assert other.weight.grad is None
        assert other.bias.grad is not None
        assert x.grad is not None


@pytest.fixture
def always(monkeypatch):
    """Few and small images, too, go through Winograd's filtering."""
    monkeypatch.setattr(fused, "faster", lambda *sizes: True)


def let_through(layer: nn.Module, x: torch.Tensor, out: torch.Tensor) -> list[torch.Tensor]:
    """As `passed`, in 64 bits, of a layer with the ReLU that gave `out`: near 0 the sign is a matter of rounding."""
    double, x = layer.double(), x.double().requires_grad_()
    expected = double(x) * (out > 0)
    gradients = torch.autograd.grad(expected, [x, *double.parameters()], numbers(9, *out.shape).double())
    return [part.float() for part in (expected, *gradients)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layer", WIDE, ids=named)
def test_a_wide_convolution_is_pytorchs_with_a_relu_and_without(layer, shape, always):
    n, height, width = shape
    plain, other = pair(*layer)
    x = numbers(1, n, channels(plain), height, width)
    close(plain, other, x)
    affine.take(other, nn.ReLU())
    ours = passed(other, x)
    for part, expected in zip(ours, let_through(plain, x, ours[0]), strict=True):
        assert (part - expected).norm() <= 2e-5 * expected.norm()


@pytest.mark.parametrize("wanted", [False, True], ids=["images", "what has a gradient"])
@pytest.mark.parametrize("layer", UNFOLDED, ids=named)
def test_a_first_layer_is_pytorchs_with_its_relu(layer, wanted):
    plain, other = pair(*layer)
    affine.take(other, nn.ReLU())
    x = numbers(1, 40, channels(plain), 13, 9).requires_grad_(wanted)
    out = other(x)
    ours = [out, *torch.autograd.grad(out, [*other.parameters()], numbers(9, *out.shape))]
    expected = let_through(plain, x.detach(), out)
    for part, theirs in zip(ours, [expected[0], *expected[2:]], strict=True):
        assert (part - theirs).norm() <= 2e-6 * theirs.norm()


@pytest.mark.parametrize("layer", WIDE, ids=named)
def test_a_wide_convolution_takes_images_however_they_lie(layer, always):
    x = numbers(2, 3, channels(pair(*layer)[0]), 11, 10)
    close(*pair(*layer), x.to(memory_format=torch.channels_last))
    close(*pair(*layer), x.transpose(2, 3))
    close(*pair(*layer), x[:1].expand(4, -1, -1, -1))


@pytest.mark.parametrize("layer", [WIDE[0], WIDE[6]], ids=named)
def test_a_wide_convolution_is_as_exact_as_32_bits_are(layer, always):
    plain, other = pair(*layer)
    x = numbers(3, 16, channels(plain), 14, 14)
    theirs, ours = plain(x).double(), other(x).double()
    exact = plain.double()(x.double())
    assert (ours - exact).norm() <= 5 * (theirs - exact).norm()


@pytest.mark.parametrize("layer", [WIDE[2], WIDE[8]], ids=named)
def test_what_is_not_a_number_is_nowhere_lost_in_a_wide_convolution(layer, always):
    plain, other = pair(*layer)
    for relu in (False, True):
        if relu:
            affine.take(other, nn.ReLU())
        for place in range(0, 100, 7):
            x = torch.zeros(2, channels(plain), 10, 10)
            x[1, -1].view(-1)[place] = torch.nan
            assert not (plain(x).isnan() & ~other(x).isnan()).any(), place


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("layer", [WIDE[0], WIDE[6]], ids=named)
def test_what_is_not_for_winograd_goes_through_pytorchs(layer, relu, always, monkeypatch):
    plain, other = pair(*layer)
    x = numbers(6, 2, channels(plain), 8, 8)
    if relu:
        affine.take(other, nn.ReLU())
    ended = (lambda out: out.relu()) if relu else (lambda out: out)
    with torch.inference_mode():
        assert torch.equal(other.eval()(x), other.train()(x)), "evaluation is not the exception"
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(other(x), ended(plain(x)))
    torch.testing.assert_close(other.eval()(x), ended(plain(x)), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(fused, "Winograd", None)
    other.eval()(x)
    other.train().double()(x.double())
    monkeypatch.setattr(fused, "faster", lambda *sizes: False)
    other.float()(x)


def test_frozen_wide_weights_have_no_gradient(always):
    for layer in (WIDE[0], WIDE[6]):
        plain, other = pair(*layer)
        other.weight.requires_grad_(False)
        x = numbers(6, 2, channels(other), 8, 8)
        wanted = torch.autograd.grad(plain(x.requires_grad_()).square().sum(), [x, plain.bias])
        got = torch.autograd.grad(other(x).square().sum(), [x, other.bias])
        for ours, theirs in zip(got, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
        other.weight.requires_grad_(True)
        (of_weight,) = torch.autograd.grad(other(x.detach()).square().sum(), [other.weight])
        expected = torch.autograd.grad(plain(x.detach()).square().sum(), [plain.weight])[0]
        assert (of_weight - expected).norm() <= 2e-5 * expected.norm()


def test_when_winograd_has_fewer_multiplications():
    strided, three, five = (winograd.TILES[kind] for kind in ((4, 2), (3, 1), (5, 1)))
    assert winograd.faster(strided, 128, 7, 7)  # 100 of 196
    assert not winograd.faster(strided, 128, 5, 5)  # 100 of 100
    assert not winograd.faster(strided, 128, 2, 2)  # 25 of 16
    assert winograd.faster(three, 128, 3, 3)  # 36 of 81
    assert not winograd.faster(three, 128, 2, 2)  # 36 of 36
    assert winograd.faster(five, 128, 2, 2)  # 36 of 100
    assert not winograd.faster(five, 128, 1, 1)  # 36 of 25
    assert winograd.faster(three, 1, 32, 32)
    assert not winograd.faster(three, 1, 16, 16), "sixteen tiles do not pay for the weights"


def test_an_old_processor_has_pytorchs_wide_convolutions(monkeypatch):
    assert winograd.known(32, 64, 4, 2)
    assert not winograd.known(32, 24, 4, 2)
    assert not winograd.known(32, 64, 4, 1)
    monkeypatch.setattr(winograd, "library", lambda: SimpleNamespace(winograd_runs=lambda: 0))
    assert not winograd.known(32, 64, 4, 2)


def test_images_that_do_not_fit_a_layer_are_refused(always):
    for layer in (WIDE[0], WIDE[6]):
        _, other = pair(*layer)
        with pytest.raises(AssertionError):
            other(numbers(1, 2, 2 * channels(other), 8, 8))
    back = nn.Unflatten(1, (16, 7, 7))
    back.__class__ = between.Unflattened
    for shape in ((4, 100), (4, 784, 3)):
        with pytest.raises(AssertionError):
            back(numbers(1, *shape))


@pytest.mark.parametrize("layer", UNFOLDED, ids=named)
def test_no_images_are_none(layer):
    plain, other = pair(*layer)
    x = torch.zeros(0, channels(plain), 8, 8)
    assert other(x).shape == plain(x).shape


def test_what_compiled_convolutions_need_beside_the_layers():
    wide, first = nn.Conv2d(32, 64, 4, 2, 1), nn.Conv2d(3, 32, 4, 2, 1)
    assert (
        fused.beside(wide, (64, 8, 8), 100) == 2 * 4 * 25 * (4 * 32) * 64
    )  # of each weight at 25 points, there and back
    assert fused.beside(first, (32, 16, 16), 100) == 4 * 100 * 256 * (3 * 4 * 4)  # every patch
    assert fused.beside(nn.Conv2d(32, 24, 4, 2, 1), (24, 8, 8), 100) == 0
    assert fused.beside(nn.ReLU(), (24, 8, 8), 100) == 0


@pytest.mark.parametrize("size", [(3, 5, 7), (16, 7, 7), (33, 1, 9), (8, 8, 8)], ids=str)
def test_flattening_is_pytorchs_to_the_bit(size):
    layers = nn.Sequential(nn.Flatten(), nn.Unflatten(1, size))
    x = numbers(8, 4, *size).to(memory_format=torch.channels_last)
    expected = [passed(layers[0], x), passed(layers[1], x.flatten(1)), passed(layers, x)]
    layers[0].__class__, layers[1].__class__ = between.Flattened, between.Unflattened
    got = [passed(layers[0], x), passed(layers[1], x.flatten(1)), passed(layers, x)]
    for ours, theirs in zip(got, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert layers(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("loss", ["mse", "l1", "bce"])
def test_a_mean_loss_is_that_of_the_pixels(loss):
    plain, other = PixelLoss(loss, FACTS), PixelLoss(loss, FACTS)
    other.__class__ = between.MeanLoss
    logits, target = numbers(1, 5, 3, 9, 7), numbers(2, 5, 3, 9, 7).sigmoid()
    for reduced in (lambda a, b: a.mean(), lambda a, b: (per_image(a, b) * torch.arange(5)).sum(), summed):
        found = []
        for each in (other, plain):
            z = logits.clone().requires_grad_()
            value = reduced(each(z.sigmoid(), z, target), target)
            found.append((value, torch.autograd.grad(value, z)[0]))
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert other(logits.sigmoid(), logits, target).shape == (5, 1, 1, 1)
    twice = logits.double()
    assert torch.equal(other(twice.sigmoid(), twice, target.double()), plain(twice.sigmoid(), twice, target.double()))


def conv(**changes: object) -> dict:
    backbone = {"kind": "conv", "channels": [4, 6], "kernel": 3, "stride": 1, "padding": 1, "pool": "max"}
    return {"backbone": backbone | {"activation": "elu", "output": "sigmoid"} | changes}


def changed(model: dict) -> dict[str, type]:
    """Which modules of a model change, and to what."""
    built = build(tiny(model).model, FACTS)
    before, names = {name: type(module) for name, module in built.named_modules()}, list(built.state_dict())
    assert fused.fusible(built)
    fused.fuse(built)
    assert list(built.state_dict()) == names
    now = {name: type(module) for name, module in built.named_modules() if type(module) is not before[name]}
    assert all(issubclass(kind, before[name]) for name, kind in now.items())
    return now


def test_only_what_is_faster_changes_and_nothing_but_its_class():
    hidden = {fused.Dense, affine.TAKEN[nn.ReLU]}
    anyway = {between.Elu, between.Sigmoid, between.MeanLoss} | hidden
    narrow = {fused.Narrow, fused.TransposedNarrow, between.Pooled, between.Upsampled} | anyway
    assert set(changed(conv()).values()) == narrow
    last = {between.Flattened, between.Unflattened} | anyway
    wide = conv(channels=[4, 300])
    assert set(changed(wide).values()) == {fused.BiasApart} | last, "one wide layer is enough"
    strided = conv(channels=[32, 64], kernel=4, stride=2, pool="none")
    both = {fused.Unfolded, affine.TAKEN[nn.ELU], fused.Folded, fused.Wide, fused.TransposedWide}
    assert set(changed(strided).values()) == both | last
    overlapping = conv(channels=[32, 64], kernel=5, stride=2, padding=2, pool="none")
    assert set(changed(overlapping).values()) == {fused.BiasApart} | last
    few = conv(channels=[8], kernel=4, stride=4, padding=0, pool="none")
    once = {fused.Unfolded, affine.TAKEN[nn.ELU], fused.Folded, between.Flattened, between.Unflattened}
    assert set(changed(few).values()) == once | anyway - {between.Elu}, "none of stride 1: channels come last"


def test_a_wide_convolution_takes_the_relu_that_follows_it_and_no_other():
    relus = conv(channels=[16, 32], kernel=4, stride=2, pool="none", activation="relu")
    now = changed(relus)
    assert sum(issubclass(kind, affine.Taken) for kind in now.values()) == 4
    assert sum(issubclass(kind, fused.Dense) for kind in now.values()) == 1
    model = build(tiny(relus | {"backbone": relus["backbone"] | {"norm": "batch"}}).model, FACTS)
    fused.fuse(model)
    normed = [stage for stage in model.modules() if isinstance(stage, nn.Sequential) and hasattr(stage, "norm")]
    assert any(isinstance(stage.conv, fused.TransposedWide) for stage in normed)
    assert not any(isinstance(stage.activation, affine.Taken) or stage.conv.ending for stage in normed)


def test_an_activation_that_stands_twice_stays_in_both_places():
    shared = nn.ReLU()
    plain = nn.Sequential(nn.Linear(3, 4), shared, nn.Linear(4, 5), shared, nn.Linear(5, 6), nn.ELU())
    x = numbers(1, 8, 3)
    expected = plain(x)
    fused.fuse(plain)
    assert [type(layer) for layer in plain] == [nn.Linear, nn.ReLU] * 2 + [fused.Dense, affine.TakenELU]
    torch.testing.assert_close(plain(x), expected)


def test_a_model_that_is_fused_for_a_while_is_as_it_was_afterwards():
    model = build(tiny(conv(channels=[16, 32], kernel=4, stride=2, pool="none", activation="relu")).model, FACTS)
    before = [(type(layer), set(layer.__dict__)) for layer in model.modules()]
    with fused.fused(model):
        assert any(isinstance(layer, fused.TransposedWide) and layer.ending for layer in model.modules())
    assert [(type(layer), set(layer.__dict__)) for layer in model.modules()] == before


def test_what_has_options_that_the_compiled_operations_lack_stays():
    for layer in (
        nn.Conv2d(2, 2, 3, padding=3),
        nn.Conv2d(2, 2, (3, 1)),
        nn.Conv2d(2, 2, 3, dilation=2),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, bias=False),
        nn.MaxPool2d(3),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Upsample(size=16),
        nn.Upsample(scale_factor=2),
        nn.ELU(-0.5),
        nn.ELU(inplace=True),
    ):
        kind = type(layer)
        fused.fuse(nn.Sequential(layer, nn.Conv2d(1, 1, 1)))
        assert type(layer) is kind, layer


@pytest.mark.parametrize(
    "changes", [{}, {"channels": [16, 32], "kernel": 4, "stride": 2, "pool": "none", "activation": "relu"}]
)
def test_a_fused_model_is_described_as_it_is(changes):
    model = build(tiny(conv(**changes)).model, FACTS)
    before = summarise(model, FACTS)
    fused.fuse(model)
    assert summarise(model, FACTS) == before


def test_a_jacobian_is_differentiated_twice_through_a_fused_model():
    config = tiny(conv() | {"objective": {"kind": "contractive"}})
    model = build(config.model, FACTS)
    slow = build(config.model, FACTS)
    slow.load_state_dict(model.state_dict())
    fused.fuse(model)
    x = images().train_images[:3] / 255.0
    both = []
    for each in (model, slow):
        value = squared_jacobian(each.train().encode, x, 0, None).sum()
        each.zero_grad()
        value.backward()
        both.append([value, *(p.grad for p in each.encoder.parameters() if p.grad is not None)])
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


MODELS = {
    "narrow": conv(),
    "narrow, with blocks": conv(upsampling="nearest", norm="batch", residual=1),
    "even kernel": conv(kernel=4, pool="none", upsampling="nearest"),
    "folded": {
        "backbone": {"kind": "conv", "channels": [8, 16], "kernel": 4, "stride": 2, "padding": 1, "hidden": [20]}
    },
    "wide": conv(channels=[16, 48], kernel=4, stride=2, pool="none", activation="relu"),
    "wide, of stride 1": conv(channels=[16, 48], kernel=5, padding=2, upsampling="nearest", residual=1),
    "tiles": {
        "backbone": {"kind": "conv", "channels": [16], "kernel": 4, "stride": 4, "padding": 0, "activation": "tanh"},
        "objective": {"kind": "sparse"},
    },
    "a variational one": conv()
    | {"bottleneck": {"kind": "gaussian", "latent_dim": 3}, "objective": {"kind": "elbo", "loss": "bce"}},
    "an adversarial one": conv() | {"objective": {"kind": "aae"}},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_step_has_the_losses_and_gradients_of_the_eager_engine(name, always):
    assert loops.library(), "a C compiler is needed: install gcc, then pip install -e ."
    config = tiny(MODELS[name])
    found = []
    for engine in ("fused", "eager"):
        state = start(with_values(config, {"training.engine": "eager"}), FACTS, 1)
        if engine == "fused":
            state.engine["engine"] = "fused"
            state.model.to(memory_format=engines.prepare(state.model, config, "fused"))
        losses = [engines.of(state, images(), config).gradients(torch.arange(n), END) for n in (3, 7, 16)]
        found.append((losses, {key: p.grad for key, p in state.model.named_parameters()}))
        assert any(type(layer).__module__ in (between.__name__, fused.__name__) for layer in state.model.modules()) == (
            engine == "fused"
        )
    for ours, theirs in zip(found[0][0], found[1][0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for key, theirs in found[1][1].items():
        assert (found[0][1][key] - theirs).norm() <= 2e-5 * theirs.norm() + 1e-6, key


def test_a_run_is_fused_from_its_first_step_and_goes_on_so(tmp_path):
    config = tiny(MODELS["narrow"], epochs=4)
    whole = run(config)
    first, path = begun(config, 5, tmp_path)
    resumed = restore(path, config)
    assert resumed.engine["engine"] == "fused"
    assert [row.value for row in [*first, *train(resumed, images(), config)] if row] == [
        row.value for row in whole if row
    ]


def test_a_run_goes_on_where_no_compiler_was(tmp_path, monkeypatch):
    config = tiny(MODELS["narrow"], epochs=4)
    whole = run(config)
    first, path = begun(config, 5, tmp_path)
    monkeypatch.setattr(loops, "library", lambda: None)
    assert engines.choose(config, build(config.model, FACTS), torch.device("cpu")) == "eager"
    values = [row.value for row in [*first, *train(restore(path, config), images(), config)] if row]
    assert values == pytest.approx([row.value for row in whole if row], rel=1e-4)


def test_which_engine_a_convolutional_run_has():
    def settled(model: dict, most: int = 1, **training: object) -> str:
        config = tiny(model, **training)
        return engines.settle(config, build(config.model, FACTS), torch.device("cpu"), 40, most)[0]

    assert settled(MODELS["narrow"]) == settled(MODELS["folded"]) == settled(MODELS["an adversarial one"]) == "fused"
    assert settled(MODELS["narrow"], most=2) == "eager", "PyTorch's kernels share their work among threads"
    assert settled(MODELS["narrow"], precision="bf16") == settled(MODELS["narrow"], engine="eager") == "eager"


SMALL = [
    name
    for name in presets()
    if preset(name).config.model.backbone.kind == "conv" and max(facts(preset(name).config.data, []).shape) <= 32
]


@pytest.mark.parametrize("name", SMALL)
def test_a_step_of_a_preset_is_that_of_pytorchs_kernels(name):
    config = with_values(preset(name).config, {"training.device": "cpu", "training.precision": "fp32"})
    known = facts(config.data, [])
    x, label = numbers(7, 3, *known.shape).sigmoid(), torch.zeros(3, dtype=torch.int64)
    found = []
    for change in (fused.fuse, lambda model: None):
        torch.manual_seed(1)
        model = build(config.model, known).train()
        change(model)
        sums = model.training_step(Batch(x, x, label, None), END, torch.Generator().manual_seed(2))
        total_of(sums).backward()
        found.append([total_of(sums[:1]).detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for ours, theirs in zip(*found, strict=True):
        # where the two largest of a pooling window differ by a rounding, oneDNN's own kernels are as far apart
        assert (ours - theirs).norm() <= 2e-2 * theirs.norm() + 1e-6


def test_there_are_presets_whose_steps_are_compared():
    assert {"demo", "conv-16", "stacked-9-conv", "conv-valid-5x5-tanh", "vae-16", "colourise"} <= set(SMALL)
