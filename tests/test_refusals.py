"""Models that cannot be: each is refused with a sentence before anything is queued."""

from pathlib import Path

import pytest

from aecore import data
from aecore.__main__ import main
from aecore.config import ConfigError, Facts, RunConfig, parse, with_values
from aecore.jobs import queue, sweep
from aecore.runs import Lab, runs
from tests.conftest import tiny
from ui.estimates import Data

WRONG = [
    (
        {"bottleneck": {"kind": "top_k", "latent_dim": 8, "k": 9}},
        r"bottleneck\.k is 9, but the code has 8 units: at most 8",
    ),
    (
        {"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "elbo", "beta": -1}},
        r"objective\.beta is -1, but must be at least 0",
    ),
    (
        {"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "factor", "gamma": -0.5}},
        r"objective\.gamma is -0\.5, but must be at least 0",
    ),
    ({"objective": {"kind": "aae", "discriminator_rate": 0}}, r"discriminator_rate is 0, but must be greater than 0"),
    ({"objective": {"kind": "vamp"}}, "the bottleneck 'vector' has no posterior"),
    (
        {"bottleneck": {"kind": "vq"}, "objective": {"kind": "aae"}},
        "the bottleneck 'vq' picks its code from a finite set",
    ),
    ({"labels": "exchange"}, r"model\.labels is 'exchange', but must be 'none', 'conditional' or 'swap'"),
]


@pytest.mark.parametrize(("model", "sentence"), WRONG)
def test_a_model_that_cannot_be_is_a_sentence(model, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse({"model": model})


def over_the_batch(**values: object) -> RunConfig:
    """A model that normalises over the batch, on the digits 3 and 5 of `digits`."""
    conv = {"model__backbone__kind": "conv", "model__backbone__channels": (4,), "model__backbone__norm": "batch"}
    return tiny(**conv, training__classes=("3", "5"), **values)


@pytest.fixture
def two_classes(lab: Lab) -> int:
    """Training images of the digits 3 and 5."""
    split = data.load(over_the_batch().data, "train", lab.data_roots)
    return int(((split.labels == 3) | (split.labels == 5)).sum())


def test_training_images_of_some_classes_are_counted_without_the_validation_split(lab: Lab, two_classes: int) -> None:
    assert data.n_of_classes(over_the_batch().data, ("5", "3"), lab.data_roots) == two_classes
    assert data.n_of_classes(with_values(tiny(), {"data.name": "mnist"}).data, ("3",), [Path("/nowhere")]) is None


def test_a_last_batch_of_one_of_some_classes_is_refused_by_form_submit_and_sweep(lab: Lab, two_classes: int) -> None:
    alone = over_the_batch(training__batch_size=two_classes - 1)
    sentence = f"leaves a last batch of one of {two_classes} images, but the norm 'batch' needs two images at least"
    for refuse in (
        lambda: Data(lab).check(alone),
        lambda: queue.submit(lab, alone, "ada"),
        lambda: sweep.submit(lab, [alone], "ada"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            refuse()
    assert runs(lab) == []
    even = over_the_batch(training__batch_size=two_classes - 2)
    Data(lab).check(even)
    assert data.suited(even, lab.data_roots).n_train > two_classes


def test_a_batch_of_one_is_refused_by_the_command_line_whatever_the_classes(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    conv = ["model.backbone.kind=conv", "model.backbone.norm=batch", "training.classes=3,5", "training.batch_size=1"]
    options = [part for change in conv for part in ("--set", change)]
    for verb in ("submit", "train"):
        code = main([verb, "--preset", "scatter-2", "--dataset", "digits", *options, "--lab", str(lab.path)])
        assert code != 0
        assert "training.batch_size is 1, but the norm 'batch' needs two images at least" in capsys.readouterr().err
    assert runs(lab) == []


def test_one_image_cannot_be_normalised_whatever_the_batch() -> None:
    config = parse({"model": {"backbone": {"kind": "conv", "norm": "batch"}}})
    with pytest.raises(ConfigError, match=r"last batch of one of 1 images.* at least: use another norm"):
        config.suits(Facts((1, 28, 28), (0, 1), 1, ()))


def test_a_class_that_is_not_there_is_refused_before_it_is_queued(lab: Lab) -> None:
    with pytest.raises(ConfigError, match=r"training\.classes names 'eleven'"):
        queue.submit(lab, tiny(training__classes=("eleven",)), "ada")
    assert runs(lab) == []
