"""What a run is compared by: simple methods, measures of each image, the bound, operations, intervals, the elbow."""

import io
import subprocess
import sys
from math import prod

import numpy as np
import pytest
import torch
from PIL import Image

from aecore import data
from aecore.analysis import baselines, simple
from aecore.analysis.bootstrap import intervals
from aecore.analysis.bound import bound
from aecore.analysis.elbow import elbow
from aecore.analysis.measures import means, measures
from aecore.analysis.operations import operations
from aecore.analysis.reconstruction import ROUNDING, psnr_of
from aecore.config import Facts, override, preset
from aecore.models import build
from aecore.models.summary import trace
from tests.conftest import TrainedRun, tiny

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 1, 12, 8), np.uint8)
FACTS = Facts((1, 8, 8), (0.0, 1.0), 100, ("a",))


def smooth(channels: int = 1, side: int = 32) -> np.ndarray:
    """Five images that a file makes small."""
    y, x = np.mgrid[:side, :side] / side
    waves = np.stack([127 + 120 * np.sin(4 * x + k) * np.cos(3 * y) for k in range(5)])
    return np.repeat(waves[:, None], channels, axis=1).astype(np.uint8)


def test_fewer_pixels_are_at_most_as_many_numbers_as_the_code_has() -> None:
    for values in (1, 2, 3, 10, 96, 500):
        rows, columns = simple.smaller(values, (1, 12, 8))
        assert rows * columns <= values
        assert rows <= 12
        assert columns <= 8
    np.testing.assert_array_equal(simple.bicubic(IMAGES, 96).x_hat, IMAGES)
    flat = np.full((2, 3, 8, 8), 77, np.uint8)
    np.testing.assert_array_equal(simple.bicubic(flat, 3).x_hat, flat)
    grey = simple.bicubic(smooth(3), 2).x_hat
    assert (grey[:, :1] == grey).all(), "two numbers are no three colours"


@pytest.mark.parametrize("kind", ["JPEG", "WebP"])
def test_a_file_is_the_smallest_that_is_not_below_the_codes_bytes(kind: str) -> None:
    noise = np.random.default_rng(2).integers(0, 40, (5, 3, 32, 32), np.uint8)
    images = smooth(3) // 2 + noise
    least = simple.as_file(images, kind, 1)  # type: ignore[arg-type]
    assert least.size is not None
    wanted = int(least.size.max()) + 150
    made = simple.as_file(images, kind, wanted)  # type: ignore[arg-type]
    assert made.size is not None
    assert (made.size >= wanted).all()
    sizes = [len(simple._file(simple._picture(images[0]), kind, quality)) for quality in range(simple.BEST[kind] + 1)]
    assert made.size[0] == min(size for size in sizes if size >= wanted)
    assert means(measures(images, made.x_hat))["mse"] < means(measures(images, least.x_hat))["mse"]


def test_a_file_is_read_as_it_was_written() -> None:
    images = smooth()
    made = simple.as_file(images, "JPEG", 10**9)  # more than any file: the best quality
    assert made.size is not None
    stream = io.BytesIO(simple._file(simple._picture(images[0]), "JPEG", 95))
    np.testing.assert_array_equal(made.x_hat[0, 0], np.asarray(Image.open(stream)))
    assert made.size[0] == len(stream.getvalue())


def test_the_columns_of_mean_and_components_have_the_errors_of_the_table() -> None:
    train, test = IMAGES[:30], IMAGES[30:]
    fitted = baselines.fit_images(train, 5)
    methods = {method.name: method for method in simple.simple_methods(train, 5, fitted)}
    assert list(methods) == ["mean", "pca", "bicubic", "jpeg", "webp"]
    assert methods["pca"].label == "PCA, 5 numbers"
    for method in methods.values():
        found = baselines.reached(lambda images, method=method: method.apply(images).x_hat, test)
        table = means(measures(test, method.apply(test).x_hat))
        assert found == pytest.approx({name: table[name] for name in ("mse", "psnr")})


def test_equal_images_have_the_best_of_every_measure() -> None:
    found = means(measures(IMAGES, IMAGES))
    assert (found["mse"], found["n"]) == (0, 40)
    assert found["ssim"] == found["ms_ssim"] == pytest.approx(1)
    assert found["psnr"] == pytest.approx(-10 * np.log10(ROUNDING))
    assert psnr_of(np.array([0.01]))[0] == pytest.approx(20)


def test_the_bound_of_a_posterior_that_is_the_prior_is_the_likelihood() -> None:
    config = tiny(model__bottleneck__kind="gaussian", model__objective__kind="elbo", model__objective__loss="bce")
    model = build(config.model, FACTS)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    images = np.random.default_rng(1).integers(0, 256, (7, 1, 8, 8), np.uint8)
    found = bound(model, images, FACTS, images)
    assert found is not None
    assert found.likelihood == "Bernoulli"
    np.testing.assert_allclose(found.kl, 0, atol=1e-6)
    np.testing.assert_allclose(found.reconstruction, 64 * np.log(2), rtol=1e-5)  # every pixel is one half
    with torch.no_grad():
        model.encoder.bottleneck.mu.bias[:] = 2.0
    again = bound(model, images, FACTS, images)
    assert again is not None
    np.testing.assert_allclose(again.kl, 2 * 2.0**2 / 2, rtol=1e-6)
    assert bound(build(tiny().model, FACTS), images, FACTS, images) is None


def test_two_operations_a_weight_that_is_used_once() -> None:
    model = build(tiny().model, FACTS)
    assert operations(model, FACTS) == 2 * (64 * 32 + 32 * 2 + 2 * 32 + 32 * 64)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("name", ["lstm-rows", "lstm-waves"])
def test_a_recurrent_layer_uses_its_weights_once_a_step(name: str, cell: str) -> None:
    config = override(preset(name).config, [f"model.backbone.cell={cell}"])
    facts = data.facts(config.data, [])
    model = build(config.model, facts)
    wanted = 0
    for _, module, inputs, _ in trace(model, facts):
        times = inputs[0] if isinstance(module, torch.nn.RNNBase) else prod(inputs[:-1])
        wanted += 2 * times * sum(w.numel() for name, w in module.named_parameters() if name.startswith("weight"))
    assert operations(model, facts) == wanted


COUNTED = """import sys, torch
from torch.utils.flop_counter import FlopCounterMode
from aecore import data
from aecore.analysis.operations import operations
from aecore.config import preset
from aecore.models import Batch, build

found = {}
for name in sys.argv[1:]:
    config = preset(name).config
    facts = data.facts(config.data, [])
    model = build(config.model, facts)
    found[model] = facts, operations(model, facts)
assert not {"torch._dynamo", "sympy"} & set(sys.modules)
for model, (facts, mine) in found.items():
    with model.evaluating(), FlopCounterMode(display=False) as theirs:
        model(Batch(torch.zeros(1, *facts.shape), torch.zeros(1, *facts.shape), torch.zeros(1, dtype=torch.int64)))
    assert mine == theirs.get_total_flops() > 0
print(len(found))
"""


def test_operations_are_those_of_pytorchs_counter_but_import_no_compiler() -> None:
    names = ["demo", "conv-16", "conditional-vae", "masked-autoencoder", "vq-vae"]
    shown = subprocess.run([sys.executable, "-c", COUNTED, *names], capture_output=True, text=True)
    assert shown.stdout.strip() == str(len(names)), shown.stderr


def test_an_interval_holds_the_mean_as_often_as_it_says_and_is_the_same_again() -> None:
    random = np.random.default_rng(5)
    differences = random.normal(0.5, 1, (200, 400))
    found = intervals(differences)
    assert found == intervals(differences)
    assert sum(one.low <= 0.5 <= one.high for one in found) in range(180, 200)
    widths = [one.high - one.low for one in found]
    assert np.mean(widths) == pytest.approx(2 * 1.96 / np.sqrt(400), rel=0.05)
    assert all(one.sure for one in found)
    assert not intervals(random.normal(0, 1, (1, 400)))[0].sure
    assert not intervals(np.array([[3.0]]))[0].sure


def test_the_elbow_is_where_more_helps_little() -> None:
    assert elbow([1, 2, 4, 8, 16], [1.0, 0.4, 0.1, 0.08, 0.07]) == 4
    assert elbow([16, 1, 8, 2, 4], [0.07, 1.0, 0.08, 0.4, 0.1]) == 4, "in any order"
    assert elbow([1, 2, 4], [1.0, 0.4, 0.1]) is None, "too few"
    assert elbow([1, 2, 4, 8], [0.1, 0.2, 0.3, 0.4]) is None, "it does not fall"
    assert elbow([1, 2, 4, 8], [4.0, 3.0, 2.0, 1.0]) is None, "a line has no bend"


def test_an_analysis_keeps_measures_and_pictures_in_one_order(trained_run: TrainedRun) -> None:
    folder = trained_run.folder
    kept, shown = folder.analysis("measures"), folder.analysis("shown-test")
    beside, figures = folder.analysis("shown-watched"), folder.analysis_metrics()
    assert kept is not None
    assert shown is not None
    assert beside is not None
    assert figures is not None
    assert kept["model.mse"].mean() == pytest.approx(figures["test"]["mse"], rel=1e-5)
    assert figures["columns"]["model"]["ssim"] == pytest.approx(figures["test"]["ssim"], rel=1e-5)
    assert sorted(kept["indices"]) == list(range(len(kept["indices"])))
    np.testing.assert_array_equal(kept["indices"][: len(shown["images"])], shown["indices"])
    for name in ("model", "mean", "pca", "bicubic", "jpeg", "webp"):
        again = measures(shown["images"], shown[name])
        np.testing.assert_allclose(kept[f"{name}.mse"][: len(shown["images"])], again["mse"], rtol=1e-5)
    assert figures["columns"]["jpeg"]["bytes"] > 100, "the head of the file counts"
    assert figures["checkpoint"] in {path.name for path in folder.checkpoints.iterdir()}
    inputs = folder.inputs()
    assert inputs is not None
    assert beside["pca"].shape == inputs.images.shape
