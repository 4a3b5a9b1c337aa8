"""Images that are drawn or cut out on the spot: glyphs, shapes, patches; and how they are kept."""

import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from aecore import data
from aecore.config import DataConfig
from aecore.data import fonts, glyphs, patches, shapes
from aecore.data.base import Split
from aecore.data.cache import cached
from aecore.data.fonts import FONTS, font_files, signed_distance


@pytest.fixture(scope="module")
def drawn() -> Split:
    return glyphs.draw("0123456789", 28, 2000, seed=0, part=0)


def test_the_same_seed_draws_the_same_glyphs(drawn):
    again = glyphs.draw("0123456789", 28, 2000, seed=0, part=0)
    assert (drawn.images == again.images).all()
    assert all((drawn.factors[name] == again.factors[name]).all() for name in drawn.factors)
    for seed, part in ((1, 0), (0, 1)):
        assert not (drawn.images == glyphs.draw("0123456789", 28, 2000, seed, part).images).all()


def test_there_are_as_many_glyphs_of_each_class_and_all_factors_are_known(drawn):
    assert drawn.images.shape == (2000, 1, 28, 28)
    assert np.bincount(drawn.labels).tolist() == [200] * 10
    assert set(drawn.factors) == {"font", "rotation", "slant", "thickness", "x", "y", "scale", "bend"}
    assert all(values.shape == (2000,) for values in drawn.factors.values())
    assert set(drawn.factors["font"]) == set(range(len(FONTS)))
    assert all(path.is_file() for path in font_files())


def test_glyphs_are_light_on_black_antialiased_and_inside_the_image(drawn):
    pixels = drawn.images[:, 0]
    assert 0.05 < pixels.mean() / 255 < 0.25
    assert (pixels.max(axis=(1, 2)) > 200).all()
    assert (pixels == 0).mean() > 0.6
    assert 0.05 < ((pixels > 0) & (pixels < 255)).mean() < 0.35
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    assert (border.max(axis=1) < 128).mean() > 0.97


def test_a_thicker_stroke_has_more_ink_and_a_moved_one_is_elsewhere(drawn):
    ink = drawn.images[:, 0].mean(axis=(1, 2))
    across = np.arange(28) / 28 - 27 / 56
    x = (drawn.images[:, 0].mean(axis=1) * across).sum(axis=1) / drawn.images[:, 0].mean(axis=1).sum(axis=1)
    assert np.corrcoef(ink, drawn.factors["thickness"])[0, 1] > 0.5
    assert np.corrcoef(x, drawn.factors["x"])[0, 1] > 0.6


def test_a_glyph_is_the_same_drawing_at_any_size(drawn):
    large = glyphs.draw("0123456789", 56, 2000, seed=0, part=0)
    small = large.images.reshape(2000, 28, 2, 28, 2).mean(axis=(2, 4))
    assert np.abs(small - drawn.images[:, 0]).mean() < 4


def test_the_distance_to_the_outline_of_a_disc_is_right_to_a_tenth_of_a_pixel_on_average():
    y, x = np.mgrid[:64, :64]
    exact = 20 - np.hypot(x - 31.5, y - 31.5)
    assert np.abs(signed_distance(np.clip(exact + 0.5, 0, 1)) - exact).max() < 0.6
    assert np.abs(signed_distance(np.clip(exact + 0.5, 0, 1)) - exact).mean() < 0.1


def test_the_pixel_across_the_outline_is_the_one_that_scipy_finds_ties_included():
    random = np.random.default_rng(0)
    letters = [fonts._drawn(path, letter) for path in font_files()[::5] for letter in "08gW"]
    for coverage in [*letters, random.random((40, 31)).astype(np.float32), np.eye(16, dtype=np.float32)]:
        for area in (coverage >= 0.5, coverage < 0.5):
            distance, places = distance_transform_edt(area, return_indices=True)
            found, values = fonts._across(area, coverage)
            assert np.array_equal(found, distance)
            assert np.array_equal(values, coverage[tuple(places)])


def test_shapes_have_the_hue_and_the_place_that_their_factors_say():
    drawn = shapes.draw(32, 300, seed=0, part=0)
    assert drawn.images.shape == (300, 3, 32, 32)
    assert np.bincount(drawn.labels).tolist() == [100, 100, 100]
    brightest = drawn.images.max(axis=(2, 3))
    assert np.abs(brightest - 255 * shapes.hsv(drawn.factors["hue"])).max() < 2
    ellipses = drawn.labels == 1
    light = drawn.images.max(axis=1).astype(float)
    centre = (light.sum(axis=1) * (np.arange(32) + 0.5)).sum(axis=1) / light.sum(axis=(1, 2)) / 32 - 0.5
    assert np.abs(centre - drawn.factors["x"])[ellipses].max() < 0.01


def test_the_area_of_a_shape_is_that_of_its_formula():
    drawn = shapes.draw(64, 300, seed=0, part=0)
    area = drawn.images.max(axis=1).sum(axis=(1, 2)) / drawn.images.max(axis=(1, 2, 3)) / 64**2
    unit = area / drawn.factors["scale"] ** 2
    assert unit[drawn.labels == 0] == pytest.approx(1.7**2, rel=0.03)
    assert unit[drawn.labels == 1] == pytest.approx(np.pi * 0.6, rel=0.03)


@pytest.mark.parametrize(("hue", "colour"), [(0, (1, 0.3, 0.3)), (1 / 3, (0.3, 1, 0.3)), (2 / 3, (0.3, 0.3, 1))])
def test_hues_are_red_green_and_blue(hue, colour):
    assert shapes.hsv(np.array([hue]))[0] == pytest.approx(colour, abs=1e-6)


@pytest.mark.parametrize("colour", ["own", "grey"])
@pytest.mark.parametrize("size", [None, 17])
def test_shapes_come_at_any_size_in_grey_or_colour(monkeypatch, tmp_path, colour, size):
    monkeypatch.setattr(shapes, "N_TEST", 30)
    split = data.load(DataConfig(name="shapes", colour=colour, size=size), "test", [tmp_path])
    assert split.images.shape == (30, 3 if colour == "own" else 1, size or 32, size or 32)
    assert set(split.factors) == {"x", "y", "scale", "rotation", "hue"}


def test_no_pixel_of_the_photographs_is_in_two_splits(monkeypatch, tmp_path):
    """Cut out coordinates instead of colours: each pixel's number, in three bytes."""
    numbers = np.arange(2 * 427 * 640).reshape(2, 427, 640)
    places = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=-1).astype(np.uint8)
    found, labels = patches.blocks()
    whole = [patches._tiles(photo) for photo in places]
    real = np.concatenate([patches._tiles(patches._photo(file)) for file in patches.PHOTOS.values()])
    used = [next(i for i, tile in enumerate(real) if (tile == block).all()) for block in found]
    monkeypatch.setattr(patches, "blocks", lambda: (np.concatenate(whole)[used], labels))
    seen = []
    for split in ("train", "val", "test"):
        pixels = data.load(DataConfig(name="patches", seed=3), split, [tmp_path]).images.astype(np.int64)
        seen.append(set((pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2]).ravel().tolist()))
    assert [len(pixels) / 62**2 for pixels in seen] == [54, 6, 12]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def a_split() -> Split:
    return Split(np.arange(48, dtype=np.uint8).reshape(3, 1, 4, 4), np.arange(3), ("a", "b", "c"), {"x": np.ones(3)})


def equal(first: Split, second: Split) -> bool:
    return (
        bool((first.images == second.images).all() and (first.labels == second.labels).all())
        and first.class_names == second.class_names
        and all((first.factors[name] == values).all() for name, values in second.factors.items())
    )


def test_what_was_made_is_read_the_second_time(tmp_path):
    assert equal(cached(tmp_path / "kept", a_split), a_split())
    assert equal(cached(tmp_path / "kept", lambda: pytest.fail("made again")), a_split())
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "factor-x.npy", "index.json"])
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
def test_a_damaged_cache_is_made_anew(tmp_path, file, damage):
    cached(tmp_path / "kept", a_split)
    path = tmp_path / "kept" / file
    path.write_bytes(damage(path.read_bytes()))
    assert equal(cached(tmp_path / "kept", a_split), a_split())
    assert equal(cached(tmp_path / "kept", lambda: pytest.fail("still damaged")), a_split())


def test_of_two_that_need_the_images_at_once_one_makes_them(tmp_path):
    begun, coming, made = threading.Event(), threading.Event(), []

    def slowly() -> Split:
        begun.set()
        assert coming.wait(60)
        second.join(0.2)  # it does not end before us
        made.append(1)
        return a_split()

    first = threading.Thread(target=cached, args=(tmp_path / "kept", slowly))
    second = threading.Thread(target=cached, args=(tmp_path / "kept", slowly))
    first.start()
    assert begun.wait(60)
    second.start()
    coming.set()
    first.join()
    second.join()
    assert made == [1]
    assert equal(cached(tmp_path / "kept", lambda: pytest.fail("made again")), a_split())
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_where_nothing_can_be_kept_the_images_come_all_the_same(tmp_path):
    (tmp_path / "generated").write_text("a file where the folder should be")
    assert equal(cached(tmp_path / "generated" / "kept", a_split), a_split())


def test_the_catalogue_reads_through_the_cache(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(glyphs, "N_TEST", 50)
    config = DataConfig(name="glyphs", size=20, seed=5)
    first = data.load(config, "test", [tmp_path / "elsewhere", tmp_path])
    monkeypatch.setattr(glyphs, "draw", lambda *_: pytest.fail("drawn again"))
    assert equal(first, data.load(config, "test", [tmp_path / "elsewhere", tmp_path]))
    assert first.images.shape == (50, 1, 20, 20)
    assert stat.S_ISDIR(os.stat(tmp_path / "generated" / "glyphs-20-seed5-test-v1").st_mode)
