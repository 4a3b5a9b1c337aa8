"""From a data config to arrays: splits, conversion, normalisation, choice."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aecore import data
from aecore.config import ConfigError, DataConfig, TrainingConfig, parse
from aecore.data.pixels import grey, resize, rgb, triangle

SHARED = os.environ.get("AELAB_DATA")
needs_mnist = pytest.mark.skipif(
    SHARED is None or not (Path(SHARED) / "MNIST").exists(), reason="AELAB_DATA names no folder with MNIST in it"
)


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    return [tmp_path]


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_every_grey_value_survives_the_round_trip(value_range, kind):
    levels = kind(np.arange(256, dtype=np.uint8))
    x = data.normalise(levels, value_range)
    assert (float(x.min()), float(x.max())) == value_range
    assert str(x.dtype).endswith("float32")
    back = data.to_image(x, value_range)
    assert str(back.dtype).endswith("uint8")
    assert (np.asarray(back) == np.arange(256)).all()


def test_what_lies_outside_the_range_is_clipped():
    assert data.to_image(np.array([-0.5, 0.499, 1.5]), (0.0, 1.0)).tolist() == [0, 127, 255]


def test_an_unknown_data_set_is_named_with_the_nearest_known_one(roots):
    with pytest.raises(ConfigError, match="There is no data set 'glyph': did you mean glyphs") as error:
        data.facts(DataConfig(name="glyph"), roots)
    assert list(error.value.fields) == ["data.name"]


def test_train_and_validation_are_the_training_file_each_image_once(roots):
    config = DataConfig(name="digits")
    whole = data.load(config.model_copy(update={"validation": 0.0}), "train", roots)
    train, val = (data.load(config, split, roots) for split in ("train", "val"))
    assert (len(train.images), len(val.images)) == (1350, 150)
    both = np.concatenate([train.images, val.images]).reshape(1500, -1)
    everything = whole.images.reshape(1500, -1)
    assert sorted(map(bytes, both)) == sorted(map(bytes, everything))
    rest = iter(map(bytes, everything))
    assert all(image in rest for image in map(bytes, train.images.reshape(1350, -1))), "the file's order is kept"


def test_the_seed_decides_the_validation_split(roots):
    first, again, other = (data.load(DataConfig(name="digits", seed=seed), "val", roots) for seed in (1, 1, 2))
    assert (first.images == again.images).all()
    assert not (first.images == other.images).all()


def test_without_a_validation_share_the_test_split_is_watched(roots):
    config = DataConfig(name="digits", validation=0)
    assert data.watch_split(config) == "test"
    assert data.watch_split(DataConfig()) == "val"
    assert data.facts(config, roots).n_train == 1500
    assert len(data.load(config, "val", roots).images) == 0


@pytest.mark.parametrize(
    ("name", "shape", "n_train", "classes"),
    [
        ("digits", (1, 8, 8), 1350, 10),
        ("glyphs", (1, 28, 28), 18_000, 10),
        ("glyphs-letters", (1, 28, 28), 18_000, 26),
        ("shapes", (3, 32, 32), 18_000, 3),
        ("patches", (3, 32, 32), 54 * 121, 2),
        ("mnist", (1, 28, 28), 54_000, 10),
        ("emnist-letters", (1, 28, 28), 112_320, 26),
        ("cifar100", (3, 32, 32), 45_000, 100),
        ("stl10", (3, 96, 96), 4_500, 10),
        ("svhn", (3, 32, 32), 73_257 - 7_326, 10),
    ],
)
def test_facts_are_known_before_anything_is_there(roots, name, shape, n_train, classes):
    facts = data.facts(DataConfig(name=name, value_range="[-1,1]"), roots)
    assert (facts.shape, facts.n_train, len(facts.class_names)) == (shape, n_train, classes)
    assert facts.value_range == (-1.0, 1.0)
    assert not any(roots[0].iterdir())


@pytest.mark.parametrize("name", ["digits", "patches"])
@pytest.mark.parametrize("colour", ["own", "grey", "rgb"])
@pytest.mark.parametrize("size", [None, 13])
def test_what_is_loaded_has_the_shape_that_facts_say(roots, name, colour, size):
    config = DataConfig(name=name, colour=colour, size=size)
    facts = data.facts(config, roots)
    split = data.load(config, "train", roots)
    assert split.images.shape == (facts.n_train, *facts.shape)
    assert split.images.dtype == np.uint8
    assert split.labels.dtype == np.int64
    assert split.class_names == facts.class_names


def test_digits_are_those_of_scikit_learn(roots):
    train, test = (data.load(DataConfig(name="digits", validation=0), split, roots) for split in ("train", "test"))
    assert train.images[0, 0, 0].tolist() == [round(ink * 255 / 16) for ink in (0, 0, 5, 13, 9, 1, 0, 0)]
    labels = np.concatenate([train.labels, test.labels])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_grey_is_pillows_luma_to_the_last_bit():
    colours = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)
    expected = [np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L")) for image in colours]
    assert (grey(colours)[:, 0] == expected).all()
    assert (rgb(grey(colours)) == np.repeat(grey(colours), 3, axis=1)).all()


@pytest.mark.parametrize(("source", "target"), [(28, 32), (96, 32), (32, 13), (8, 28)])
def test_resizing_is_pillows_antialiased_bilinear_within_one_grey_value(source, target):
    images = np.random.default_rng(0).integers(0, 256, (3, 1, source, source), dtype=np.uint8)
    expected = [
        np.asarray(Image.fromarray(image).resize((target, target), Image.Resampling.BILINEAR)) for image in images[:, 0]
    ]
    assert np.abs(resize(images, target)[:, 0].astype(int) - expected).max() <= 1
    assert triangle(source, target).sum(axis=1) == pytest.approx(np.ones(target))


def test_an_oblong_image_loses_its_ends_not_its_proportions():
    image = np.zeros((1, 1, 8, 16), np.uint8)
    image[..., 4:12] = 200
    assert (resize(image, 4) == 200).all()


def test_classes_are_chosen_by_name_and_keep_their_labels(roots):
    split = data.load(DataConfig(name="digits"), "train", roots)
    chosen = data.of_classes(split, TrainingConfig(classes=("3", "7")))
    assert set(chosen.labels) == {3, 7}
    assert len(chosen.labels) == int(np.isin(split.labels, [3, 7]).sum())
    assert chosen.class_names == split.class_names


def test_a_class_that_is_not_there_is_named(roots):
    split = data.load(DataConfig(name="patches"), "test", roots)
    with pytest.raises(ConfigError, match=r"training\.classes names 'flowers': did you mean flower"):
        data.choose(split, TrainingConfig(classes=("flowers",)))


def test_a_split_without_an_image_is_refused_in_a_sentence(roots):
    split = data.load(DataConfig(name="patches"), "test", roots)
    data.some(split, "test", parse({}))
    nothing = split.take(np.arange(0))
    with pytest.raises(data.DataError, match="There are no test images of the class flower: choose") as error:
        data.some(nothing, "test", parse({"training": {"classes": ["flower"]}}))
    assert list(error.value.fields) == ["training.classes"]
    with pytest.raises(data.DataError, match="There are no validation images: this data set has too few of each class"):
        data.some(nothing, "val", parse({}))


def test_a_subset_is_the_files_first_or_a_seeded_choice_in_file_order(roots):
    split = data.load(DataConfig(name="digits"), "train", roots)
    first = data.choose(split, TrainingConfig(subset=101, subset_order="file"))
    assert (first.images == split.images[:101]).all()
    one, again, other = (data.choose(split, TrainingConfig(subset=101, seed=seed)) for seed in (0, 0, 1))
    assert (one.images == again.images).all()
    assert not (one.images == other.images).all()
    assert len(data.choose(split, TrainingConfig(subset=10**6)).images) == 1350


@needs_mnist
def test_the_first_101_of_mnist_are_those_of_the_file(tmp_path):
    roots = [Path(str(SHARED)), tmp_path]
    raw = (roots[0] / "MNIST/raw/train-images-idx3-ubyte").read_bytes()[16 : 16 + 101 * 784]
    config = DataConfig(name="mnist", validation=0)
    split = data.choose(data.load(config, "train", roots), TrainingConfig(subset=101, subset_order="file"))
    assert split.images.shape == (101, 1, 28, 28)
    assert split.images.tobytes() == raw
    assert split.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.is_present(config, roots)
    assert not data.is_present(config, [tmp_path])
