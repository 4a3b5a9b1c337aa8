"""One's own images: class folders in a folder or zip, and everything that can be wrong with them."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aecore import data
from aecore.config import DataConfig
from aecore.data import DataError, folder, source
from aecore.data.layout import natural


def png(size: tuple[int, int] = (8, 8), colour: object = (200, 0, 0), mode: str = "RGB", form: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, colour).save(content, form)  # type: ignore[arg-type]
    return content.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def config(path: Path | str, **values: object) -> DataConfig:
    return DataConfig.model_validate({"name": "folder", "path": str(path), "validation": 0, **values})


def levels(split: data.Split) -> list[int]:
    return split.images[:, 0, 0, 0].tolist()


WITH_TEST = {
    "train/cat 2/1.png": png(colour=(1, 0, 0)),
    "train/cat 10/1.png": png(colour=(2, 0, 0)),
    "test/cat 10/9.png": png(colour=(3, 0, 0)),
}


@pytest.mark.parametrize("around", ["", "my pictures/", "a/b/"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_train_and_test_folders_are_the_splits(tmp_path, around, kind):
    files = {around + name: content for name, content in WITH_TEST.items()} | {around + "readme.txt": b"hello"}
    path = write(tmp_path / "pictures", files) if kind == "folder" else packed(tmp_path / "pictures.zip", files)
    roots = [tmp_path / "lab"]
    train, test = (data.load(config(path), split, roots) for split in ("train", "test"))
    assert train.class_names == ("cat 2", "cat 10")
    assert (levels(train), train.labels.tolist()) == ([1, 2], [0, 1])
    assert (levels(test), test.labels.tolist()) == ([3], [1])
    assert data.facts(config(path), roots) == ((3, 8, 8), (0.0, 1.0), 2, ("cat 2", "cat 10"))


def test_without_a_test_folder_a_seeded_share_of_each_class_is_the_test(tmp_path):
    path = write(tmp_path / "x", {f"{c}/{i}.png": png(colour=i, mode="L") for c in "ab" for i in range(10)})
    train, test = (data.load(config(path), split, [tmp_path / "lab"]) for split in ("train", "test"))
    assert train.images.shape == (16, 1, 8, 8)
    assert np.bincount(test.labels).tolist() == [2, 2]
    for label in (0, 1):
        both = levels(train.take(train.labels == label)) + levels(test.take(test.labels == label))
        assert sorted(both) == list(range(10))
    again = data.load(config(path), "test", [tmp_path / "lab"])
    other = data.load(config(path, seed=1), "test", [tmp_path / "lab"])
    assert levels(test) == levels(again)
    assert levels(test) != levels(other)


def test_a_path_is_looked_for_in_every_data_folder(tmp_path):
    write(tmp_path / "second" / "pictures", WITH_TEST)
    roots = [tmp_path / "first", tmp_path / "second"]
    assert data.is_present(config("pictures"), roots)
    assert not data.is_present(config("picture"), roots)
    assert len(data.load(config("pictures"), "train", roots).images) == 2


def test_images_of_different_sizes_need_a_size(tmp_path):
    path = write(tmp_path / "x", {"a/1.png": png((8, 8)), "a/2.png": png((10, 6)), "b/1.png": png((8, 8))})
    with pytest.raises(DataError, match=r"2 different sizes \(10x6, 8x8\): set data.size") as error:
        data.facts(config(path), [tmp_path / "lab"])
    assert list(error.value.fields) == ["data.size"]
    split = data.load(config(path, size=9), "train", [tmp_path / "lab"])
    assert split.images.shape == (3, 3, 9, 9)
    assert levels(split) == [200, 200, 200]


def test_photographs_are_turned_upright(tmp_path):
    image = Image.new("RGB", (16, 8))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn to the right makes it upright: what was left is on top
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "1.jpg", exif=turned, quality=95)
    pixels = data.load(config(tmp_path), "train", [tmp_path / "lab"]).images[0, 0]
    assert pixels.shape == (16, 8)
    assert pixels[:8].min() > 200
    assert pixels[8:].max() < 50


def test_transparent_is_white_and_sixteen_bits_become_eight(tmp_path):
    deep = io.BytesIO()
    Image.fromarray(np.full((8, 8), 0x8123, np.uint16)).save(deep, "PNG")
    write(tmp_path, {"a/1.png": png(mode="LA", colour=(0, 0)), "a/2.png": deep.getvalue()})
    split = data.load(config(tmp_path), "train", [tmp_path / "lab"])
    assert split.images.shape == (2, 1, 8, 8)
    assert levels(split) == [255, 0x81]


def test_the_second_reading_comes_from_the_cache_until_a_file_changes(tmp_path, monkeypatch):
    path, roots = write(tmp_path / "pictures", WITH_TEST), [tmp_path / "lab"]
    assert levels(data.load(config(path), "train", roots)) == [1, 2]
    decode = folder._pixels
    monkeypatch.setattr(folder, "_pixels", lambda *_: pytest.fail("decoded again"))
    assert levels(data.load(config(path), "train", roots)) == [1, 2]
    monkeypatch.setattr(folder, "_pixels", decode)
    (path / "train/cat 2/1.png").write_bytes(png(colour=(7, 0, 0)))
    os.utime(path / "train/cat 2/1.png", ns=(1, 1))
    assert levels(data.load(config(path), "train", roots)) == [7, 2]


def test_no_file_of_a_zip_is_written_to_the_disk(tmp_path):
    path = packed(tmp_path / "x.zip", WITH_TEST | {"../../train/cat 2/escape.png": png(colour=(9, 0, 0))})
    assert levels(data.load(config(path), "train", [tmp_path / "lab"])) == [1, 2]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["lab", "x.zip"]
    assert not list(tmp_path.rglob("*.png"))


BAD = {
    "no images": ({"a/readme.txt": b"hello"}, "holds no images"),
    "beside the classes": ({"a/1.png": png(), "2.png": png()}, "2.png in .* lies in no class folder"),
    "beside train": (WITH_TEST | {"val/cat 2/1.png": png()}, "val/cat 2/1.png in .* lies beside train/ and test/"),
    "no train": ({"test/a/1.png": png()}, "has test/ but no train/"),
    "broken": ({"a/1.png": png(), "b/2.png": b"no image"}, "b/2.png in .* is not an image that can be read"),
    "cut off": ({"a/1.png": png((64, 64))[:-60]}, "a/1.png in .* is not an image that can be read"),
    "disguised": ({"a/1.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}, "a/1.png in .* is not an image"),
    "too many pixels": ({"a/1.png": png((6000, 5000), 0, "1")}, "a/1.png in .* 6000x5000 pixels"),
    "float pixels": ({"a/1.tif": png(mode="F", colour=1.0, form="TIFF")}, "a/1.tif in .* mode 'F'"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_bad_images_are_refused_with_a_sentence_and_leave_nothing(tmp_path, case, kind):
    files, sentence = BAD[case]
    path = write(tmp_path / "bad", files) if kind == "folder" else packed(tmp_path / "bad.zip", files)
    with pytest.raises(DataError, match=sentence) as error:
        data.load(config(path), "train", [tmp_path / "lab"])
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("lab/generated/folder-*/"))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_empty_class_folder_is_named(tmp_path, kind):
    path = write(tmp_path / "x", WITH_TEST)
    (path / "train/dog").mkdir()
    if kind == "zip":
        path = packed(tmp_path / "x.zip", WITH_TEST | {"train/dog/": b""})
    with pytest.raises(DataError, match=r"The class folder train/dog in .* holds no images"):
        data.facts(config(path), [tmp_path / "lab"])


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("", "data.path is empty"), ("nowhere", "'nowhere', but there is no such folder or zip in"), ("text", "neither")],
)
def test_a_path_that_leads_nowhere_is_said_at_its_field(tmp_path, path, sentence):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match=sentence) as error:
        data.facts(config(path), [tmp_path])
    assert list(error.value.fields) == ["data.path"]


def test_a_zip_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path):
    path = packed(tmp_path / "bomb.zip", {"a/1.png": bytes(8 << 20)})
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        data.facts(config(path), [tmp_path / "lab"])


def test_too_many_files_and_too_much_of_them_are_refused(tmp_path, monkeypatch):
    path = packed(tmp_path / "many.zip", {f"a/{i}.png": png() for i in range(5)})
    assert source.announced(path) == 5
    monkeypatch.setattr(source, "MAX_FILES", 4)
    with pytest.raises(DataError, match="holds 5 files; at most 4 are read"):
        data.facts(config(path), [tmp_path / "lab"])
    monkeypatch.setattr(source, "MAX_FILES", 9)
    monkeypatch.setattr(source, "MAX_BYTES", 9)
    with pytest.raises(DataError, match="at most 0 GB are read"):
        data.facts(config(path), [tmp_path / "lab"])


def test_what_would_not_fit_into_memory_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MAX_BYTES", 100)
    with pytest.raises(DataError, match=r"choose a smaller data\.size"):
        data.load(config(write(tmp_path / "x", WITH_TEST)), "train", [tmp_path / "lab"])


def test_a_locked_zip_is_said(tmp_path):
    path = packed(tmp_path / "locked.zip", {"a/1.png": png()})
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\1\2") + 8] |= 1  # the flag of encryption in the directory of contents
    path.write_bytes(content)
    with pytest.raises(DataError, match="locked with a password"):
        data.facts(config(path), [tmp_path / "lab"])


def test_names_are_sorted_as_people_do():
    assert sorted(["b10", "a", "b9", "10", "9"], key=natural) == ["9", "10", "a", "b9", "b10"]


PHOTOS = Path(os.environ.get("AELAB_DATA", "/nowhere")) / "cifar10-photos.zip"


@pytest.mark.skipif(not PHOTOS.exists(), reason="AELAB_DATA names no folder with cifar10-photos.zip in it")
def test_twelve_thousand_photographs_are_described_from_their_headers(tmp_path):
    facts = data.facts(config("cifar10-photos.zip", validation=0.1), [PHOTOS.parent, tmp_path])
    assert (facts.shape, facts.n_train, len(facts.class_names)) == ((3, 32, 32), 9000, 10)
    assert facts.class_names[0] == "airplane"
