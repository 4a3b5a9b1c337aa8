"""Every preset has exactly the layers and parameters that were published, and trains on every data set or says why not."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from aecore.config import ConfigError, Facts, presets, with_values
from aecore.data import DATASETS, facts
from aecore.models import Batch, Summary, build, summary
from aecore.training import memory, start, train
from aecore.training.data import Data

GREY, COLOUR, WAVES = (1, 28, 28), (3, 32, 32), (1, 16, 48)
PUBLISHED = {
    "demo": (GREY, "", 202_787, (2,)),
    "conv-16": (GREY, "", 1_684_177, (16,)),
    "vae-2": (GREY, "512 256 2 2 256 512 784", 1_068_820, (2,)),
    "linear-pca": (GREY, "32 784", 50_992, (32,)),
    "halving-196": (GREY, "392 196 392 784", 770_084, (196,)),
    "stacked-9": (GREY, "128 64 36 18 9 18 36 64 128 784", 224_601, (9,)),
    "stacked-9-tuned": (GREY, "128 64 36 18 9 18 36 64 128 784", 224_601, (9,)),
    "stacked-9-conv": (GREY, "", 17_226, (9,)),
    "scatter-2": (GREY, "128 64 12 2 12 64 128 784", 219_866, (2,)),
    "conv-valid-5x5": (GREY, "6x24x24 16x20x20 6x24x24 1x28x28", 5_129, (16, 20, 20)),
    "conv-valid-5x5-tanh": (GREY, "6x24x24 16x20x20 6x24x24 1x28x28", 5_129, (16, 20, 20)),
    "compress-32": (GREY, "128 64 32 64 128 784", 222_384, (32,)),
    "compress-32-cifar10": (COLOUR, "128 64 32 64 128 3072", 810_400, (32,)),
    "deep-autoencoder": (GREY, "1000 500 250 30 250 500 1000 784", 2_837_314, (30,)),
    "context-encoder": (COLOUR, "32x16x16 64x8x8 128x4x4 256 2048 64x8x8 32x16x16 3x32x32", 1_381_955, (256,)),
    "denoise-mnist": (GREY, "512 64 512 784", 870_224, (64,)),
    "anomaly-mnist": (GREY, "256 64 8 64 256 784", 436_632, (8,)),
    "super-resolve-2x": (COLOUR, "64x32x32 3x32x32", 9_667, (64, 32, 32)),
    "colourise": (COLOUR, "64x32x32 3x32x32", 9_667, (64, 32, 32)),
    "stl10-conv-100": (COLOUR, "", 263_017_975, (100,)),
    "stl10-conv-100-tanh": (COLOUR, "", 263_017_975, (100,)),
    "vae-16": (GREY, "32x14x14 64x7x7 256 16 16 256 3136 32x14x14 1x28x28", 1_688_289, (16,)),
    "beta-vae": (GREY, "32x14x14 64x7x7 256 10 10 256 3136 32x14x14 1x28x28", 1_683_669, (10,)),
    "beta-vae-capacity": (GREY, "32x14x14 64x7x7 256 10 10 256 3136 32x14x14 1x28x28", 1_683_669, (10,)),
    "beta-tc-vae": (GREY, "32x14x14 64x7x7 256 10 10 256 3136 32x14x14 1x28x28", 1_683_669, (10,)),
    "dip-vae": (GREY, "32x14x14 64x7x7 256 10 10 256 3136 32x14x14 1x28x28", 1_683_669, (10,)),
    "info-vae": (GREY, "32x14x14 64x7x7 256 16 16 256 3136 32x14x14 1x28x28", 1_688_289, (16,)),
    "mmd-vae": (GREY, "32x14x14 64x7x7 256 16 16 256 3136 32x14x14 1x28x28", 1_688_289, (16,)),
    "iwae": (GREY, "32x14x14 64x7x7 256 16 16 256 3136 32x14x14 1x28x28", 1_688_289, (16,)),
    "sigma-vae": (GREY, "32x14x14 64x7x7 256 16 16 256 3136 32x14x14 1x28x28", 1_688_290, (16,)),
    "wae-mmd": (GREY, "32x14x14 64x7x7 256 16 256 3136 32x14x14 1x28x28", 1_684_177, (16,)),
    "hyperspherical": (GREY, "32x14x14 64x7x7 256 16 256 3136 32x14x14 1x28x28", 1_684_177, (16,)),
    "sparse-kl": (GREY, "512 256 256 256 512 784", 1_198_608, (256,)),
    "k-sparse": (GREY, "512 256 256 256 512 784", 1_198_608, (256,)),
    "contractive": (GREY, "512 256 64 256 512 784", 1_100_112, (64,)),
    "rae-l2": (GREY, "32x14x14 64x7x7 256 16 256 3136 32x14x14 1x28x28", 1_684_177, (16,)),
    "rae-gp": (GREY, "32x14x14 64x7x7 256 16 256 3136 32x14x14 1x28x28", 1_684_177, (16,)),
    "vq-vae": (GREY, "32x14x14 64x7x7 32x7x7 64x7x7 32x14x14 1x28x28", 87_265, (32, 7, 7)),
    "vamp-prior": (GREY, "32x14x14 64x7x7 256 16 16 256 3136 32x14x14 1x28x28", 1_845_089, (16,)),
    "aae": (GREY, "32x14x14 64x7x7 256 16 256 3136 32x14x14 1x28x28", 1_754_578, (16,)),
    "factor-vae": (GREY, "32x14x14 64x7x7 256 10 10 256 3136 32x14x14 1x28x28", 1_818_326, (10,)),
    "conditional-vae": (GREY, "32x14x14 64x7x7 256 16 16 256 256 3136 32x14x14 1x28x28", 1_688_801, (16,)),
    "swap": (GREY, "32x14x14 64x7x7 256 8 256 3136 32x14x14 1x28x28", 2_521_642, (8,)),
    "lstm-rows": (GREY, "28x128 32 128 28x128 28x28", 224_956, (32,)),
    "lstm-waves": (WAVES, "48x64 16 64 48x64 48x16", 57_440, (16,)),
    "masked-autoencoder": (GREY, f"{'49x64 ' * 9}49x16 1x28x28", 206_544, (64, 7, 7)),
    "fsq": (GREY, "32x14x14 64x7x7 3x7x7 64x7x7 32x14x14 1x28x28", 67_140, (3, 7, 7)),
}
OF_THE_LOSS = {
    "sigma-vae": 1,
    "vq-vae": 512 * 32,  # its code book
    "vamp-prior": 200 * 784,
    "aae": 16 * 256 + 256 + 256 * 256 + 256 + 257,
    "factor-vae": 10 * 256 + 256 + 2 * (256 * 256 + 256) + 257,
    "swap": 8 * 256 + 256 + 256 * 3136 + 3136 + 4 * 4 * (64 * 32 + 32 * 1) + 32 + 1,
}
"""Parameters that belong to no layer that an image passes: a learnt noise level, learnt images, a discriminator, the decoder of
the other of two labels."""
SHAPES = {
    "demo": "16x7x7 128 2 128 784 1x28x28",
    "conv-16": "32x14x14 64x7x7 256 16 256 3136 32x14x14 1x28x28",
    "stacked-9-conv": "8x28x28 8x14x14 16x14x14 16x7x7 32x7x7 32x3x3 9 288 32x7x7 16x7x7 16x14x14 8x14x14 8x28x28 1x28x28",
    "stl10-conv-100": "16x32x32 16x32x32 32x32x32 32x32x32 64x32x32 64x32x32 128x32x32 1000 100 1000 131072 "
    "64x32x32 64x32x32 32x32x32 32x32x32 16x32x32 16x32x32 3x32x32",
}
SHAPES["stl10-conv-100-tanh"] = SHAPES["stl10-conv-100"]
ACTIVATIONS = {
    "linear-pca": [],
    "halving-196": ["ReLU", "ReLU", "ReLU", "ReLU"],
    "stacked-9": ["ReLU"] * 4 + [""] + ["ReLU"] * 4 + ["sigmoid"],
    "scatter-2": ["ReLU"] * 3 + [""] + ["ReLU"] * 3 + ["tanh"],
    "compress-32": ["ReLU"] * 5 + ["sigmoid"],
    "conv-valid-5x5": ["ReLU"] * 4,
    "conv-valid-5x5-tanh": ["ReLU"] * 3 + ["tanh"],
}


def summarised(name: str) -> Summary:
    range_ = {"[0,1]": (0.0, 1.0), "[-1,1]": (-1.0, 1.0)}
    config = presets()[name].config
    return summary(config.model, Facts(PUBLISHED[name][0], range_[config.data.value_range], 1, ("a", "b")))


def test_named_models_count_what_their_layers_have_by_hand():
    convolutions = 4 * 4 * (1 * 32 + 32 * 64) + 32 + 64
    dense = 64 * 7 * 7 * 256 + 256
    back = 256 * 3136 + 3136 + 4 * 4 * (64 * 32 + 32 * 1) + 32 + 1
    assert PUBLISHED["wae-mmd"][2] == convolutions + dense + (256 * 16 + 16) + (16 * 256 + 256) + back
    assert PUBLISHED["vae-16"][2] == PUBLISHED["wae-mmd"][2] + 256 * 16 + 16
    assert PUBLISHED["k-sparse"][2] == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 256 + 256 + 256 * 256 + 256 + (
        256 * 512 + 512 + 512 * 784 + 784
    )
    assert PUBLISHED["fsq"][2] == PUBLISHED["vq-vae"][2] - 2 * 64 * 29 - 29 - 512 * 32


def test_the_memory_of_no_preset_is_worked_out_by_importing_a_compiler():
    """torch._dynamo would take a second and 150 MB of the process that asks."""
    program = """
import sys
from aecore.config import override, preset, presets
from aecore.data import facts
from aecore.training import memory
for name in [*presets(), "residual"]:
    config = override(preset("conv-16").config, ["model.backbone.residual=1"]) if name == "residual" else preset(name).config
    memory.estimate(config, facts(config.data, []))
    assert "torch._dynamo" not in sys.modules, name
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_preset_is_counted_here():
    assert set(PUBLISHED) == set(presets())


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_parameters_and_code_are_those_of_the_table(name):
    _, shapes, parameters, code_shape = PUBLISHED[name]
    found = summarised(name)
    in_layers = sum(layer.parameters for layer in found.layers)
    assert found.parameters == parameters == in_layers + OF_THE_LOSS.get(name, 0)
    assert found.code_shape == code_shape
    assert " ".join("x".join(map(str, layer.shape)) for layer in found.layers) == SHAPES.get(name, shapes)


def test_a_layer_that_is_met_on_two_ways_is_said_once():
    assert summarised("swap").layers[-1].name == "Transposed convolution 4x4, stride 2, sigmoid"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_stand_where_the_table_says(name):
    found = [layer.name.partition(", ")[2].removeprefix("stride 1, ") for layer in summarised(name).layers]
    assert found == (ACTIVATIONS[name] or [""] * len(found))


def test_the_large_one_normalises_after_activation_in_the_first_three_of_each_half_only():
    names = [layer.name for layer in summarised("stl10-conv-100").layers]
    encoder = ["Convolution 5x5, stride 1, ReLU", "Batch norm"] * 3 + ["Convolution 5x5, stride 1, ReLU"]
    decoder = ["Transposed convolution 5x5, stride 1, ReLU", "Batch norm"] * 3
    assert names == [*encoder, *["Dense"] * 4, *decoder, "Transposed convolution 5x5, stride 1, ReLU"]


def test_the_large_one_takes_as_much_memory_as_is_said():
    config = presets()["stl10-conv-100"].config
    taken = memory.estimate(with_values(config, {"training.device": "cpu"}), Facts(COLOUR, (-1, 1), 5000, ()))
    assert taken.parameters + taken.gradients + taken.optimiser == pytest.approx(4.2e9, rel=0.01)
    assert taken.checkpoint == pytest.approx(3.16e9, rel=0.01)


TRAINING = {
    "linear-pca": ("adam", 1e-3, 0, 128, 20),
    "halving-196": ("adam", 1e-3, 0, 1, 10),
    "stacked-9": ("adam", 1e-1, 1e-8, 32, 20),
    "stacked-9-tuned": ("adam", 1e-3, 1e-8, 32, 20),
    "stacked-9-conv": ("adam", 1e-3, 0, 128, 20),
    "scatter-2": ("adamw", 2e-3, 0.01, 128, 10),
    "conv-valid-5x5": ("adamw", 2e-3, 0.01, 128, 10),
    "compress-32": ("adam", 1e-3, 0, 128, 10),
    "stl10-conv-100": ("adam", 1e-3, 1e-5, 4, 50),
}


@pytest.mark.parametrize("name", TRAINING)
def test_training_is_that_of_the_table(name):
    config = presets()[name].config
    t = config.training
    assert (t.optimiser, t.learning_rate, t.weight_decay, t.batch_size, t.epochs) == TRAINING[name]
    assert config.model.objective.loss == "mse"
    assert config.data.validation == 0
    assert (t.subset, t.subset_order, t.shuffle) == (
        (101, "file", False) if name == "halving-196" else (None, "random", True)
    )


def test_a_relu_at_the_end_cannot_fall_below_what_the_flaw_says():
    # the negative half of [-1,1] is out of reach: a pixel t < 0 costs at least t^2
    flaw = presets()["conv-valid-5x5"].flaw
    assert "0.833" in flaw
    model = build(presets()["conv-valid-5x5"].config.model, Facts(GREY, (-1, 1), 1, ()))
    assert model(Batch(torch.randn(2, *GREY), torch.randn(2, *GREY))).x_hat.min() >= 0


NATIVE = {
    name: with_values(presets()["demo"].config, {"data.name": name}).data for name in DATASETS if name != "folder"
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("data", NATIVE)
def test_every_preset_trains_on_every_data_set_or_is_refused_with_its_sentence(name, data):
    size = {"data.size": 16} if presets()[name].config.data.size else {}
    config = with_values(
        presets()[name].config,
        {"data.name": data, "training.max_steps": 1, "training.batch_size": 3, "training.device": "cpu", **size},
    )
    if name.startswith("stl10"):  # 263 million parameters at 32x32: the same layers with small dense ones, at 16x16
        config = with_values(config, {"model.backbone.hidden": (10,), "model.backbone.channels": (2, 2, 3, 4)})
    known = facts(config.data, [])
    if sentence := refused(name, known):
        with pytest.raises(ConfigError, match=sentence):
            start(config, known, 1)
        return
    state = start(config, known, 1)
    images = torch.randint(0, 256, (4, *known.shape), dtype=torch.uint8)
    labels = torch.zeros(4, dtype=torch.int64)
    rows = list(train(state, Data(images, labels, images, labels, np.arange(4), "test", known), config))
    assert [row.step for row in rows if row.split == "train" and row.name == "loss"] == [1]
    assert all(np.isfinite(row.value) for row in rows)


def refused(name: str, known: Facts) -> str:
    """A piece of the sentence that refuses a preset on a data set; '' where it trains."""
    channels, *sides = known.shape
    side = min(sides)
    if name == "colourise" and channels == 1:
        return "these images have 1 channel: there is no colour to find"
    if name in ("lstm-rows", "lstm-waves") and channels == 3:
        return "model.backbone.kind is 'recurrent', .* these images have 3 channels"
    if name.startswith("conv-valid-5x5") and side < 9:
        return "but the input of convolution 2 is only 4x4 pixels"
    return ""
