"""One's own images: a folder or zip of class folders, decoded once and kept."""

import hashlib
import json
import os
import struct
import zipfile
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from aecore.config import DataConfig, Shape
from aecore.data.base import DataError, Dataset, Described, Roots, Split, unfound
from aecore.data.cache import cached, generated
from aecore.data.layout import Item, Layout, layout
from aecore.data.source import Source, refuse

VERSION = 1  # of the decoding: a change of it is a new cache
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
TURNS = ("JPEG", "MPO", "TIFF", "WEBP")  # formats in which a camera says how it was held
MAX_PIXELS = 25_000_000  # of one image
MAX_BYTES = 8 << 30  # of one split in memory
GREY = {"1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N"}  # Pillow's modes without colour
DEEP = {"I", "F"}  # modes whose black and white nobody knows
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, zipfile.BadZipFile, RuntimeError)


def find(config: DataConfig, roots: Roots) -> Path:
    """Where `data.path` leads. Raises DataError."""
    if not config.path:
        raise refuse("data.path is empty, but the data set 'folder' needs a folder or zip of class folders.")
    given = Path(config.path).expanduser()
    for path in [given] if given.is_absolute() else [root / given for root in roots]:
        if path.exists():
            return path.resolve()
    if given.is_absolute():
        raise refuse(f"data.path is {config.path!r}, but there is no such folder or zip.")
    missing = f"data.path is {config.path!r}, but there is no such folder or zip in {' or '.join(map(str, roots))}."
    raise refuse(" ".join([missing, *unfound(roots)]))


def describe(config: DataConfig, roots: Roots) -> Described:
    """Shape, counts and classes from the names and headers only. Raises DataError with what is wrong."""
    path = find(config, roots)
    found = layout(path)
    train, test = found.parts(config.seed)
    return Described(_shape(path, found, config, roots), len(train), len(test), found.class_names)


def labels(config: DataConfig, roots: Roots) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of the training images and class names, from the names of the files. Raises DataError."""
    found = layout(find(config, roots))
    return np.array([item.label for item in found.parts(config.seed)[0]], np.int64), found.class_names


def read(config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split:
    """The images at `config.size`, or as they are where they are all of one size. Raises DataError."""
    path = find(config, roots)
    found = layout(path)
    items = found.parts(config.seed)[0 if split == "train" else 1]
    key = f"{path}\n{found.stamp}\n{config.size}\n{0 if found.test else config.seed}\n{split}\n{VERSION}"
    name = f"folder-{hashlib.sha256(key.encode()).hexdigest()[:16]}-{split}"
    return cached(
        generated(roots, name), lambda: _decode(path, items, found.class_names, _shape(path, found, config, roots))
    )


def _decode(path: Path, items: tuple[Item, ...], class_names: tuple[str, ...], shape: Shape) -> Split:
    size = len(items) * int(np.prod(shape))
    if size > MAX_BYTES:
        raise DataError(
            f"The images in {path} take {size / 1e9:.1f} GB at {shape[1]}x{shape[2]} pixels; at most "
            f"{MAX_BYTES / 1e9:.1f} GB are read: choose a smaller data.size.",
            "data.size",
        )
    images = np.empty((len(items), *shape), np.uint8)
    with Source(path).opened() as source:
        for image, item in zip(images, items, strict=True):
            with _named(path, item.name), source.open(item.name) as file:
                image[:] = _pixels(file, shape)
    return Split(images, np.array([item.label for item in items], np.int64), class_names, {})


def _shape(path: Path, found: Layout, config: DataConfig, roots: Roots) -> Shape:
    sizes, channels = _kept_headers(path, found, generated(roots, f"folder-{found.stamp[:16]}.json"))
    if config.size is not None:
        return channels, config.size, config.size
    if len(sizes) > 1:
        some = ", ".join(f"{width}x{height}" for height, width in sizes[:3])
        raise DataError(
            f"The images in {path} are of {len(sizes)} different sizes ({some}{', ...' if len(sizes) > 3 else ''}): "
            "set data.size, the side to which all of them are resized.",
            "data.size",
        )
    height, width = sizes[0]
    return channels, height, width


Headers = tuple[list[tuple[int, int]], int]
"""(every (height, width) that an image has, channels: 3 where one of them has colour)."""


@lru_cache(maxsize=8)
def _kept_headers(path: Path, found: Layout, file: Path) -> Headers:
    """The headers, from `file` where another process has read them: reading thousands takes seconds."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        return [(int(height), int(width)) for height, width in kept["sizes"]], int(kept["channels"])
    sizes, channels = _headers(path, found)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        beside.write_text(json.dumps({"sizes": sizes, "channels": channels}), encoding="utf-8")
        beside.rename(file)
    return sizes, channels


def _headers(path: Path, found: Layout) -> Headers:
    """Raises DataError that names an image that is broken."""
    sizes, colour = set(), False
    with Source(path).opened() as source:
        for item in (*found.train, *found.test):
            with _named(path, item.name), source.open(item.name) as file, _image(file) as image:
                width, height = image.size
                sizes.add((width, height) if _turned(image) else (height, width))
                colour |= image.mode not in GREY
    return sorted(sizes), 3 if colour else 1


class _named:
    """Says which image it was that could not be read."""

    def __init__(self, path: Path, name: str):
        self.path, self.name = path, name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, BROKEN):
            raise refuse(
                f"{self.name} in {self.path} is not an image that can be read ({error}): replace or remove it."
            ) from None


def _image(file: IO[bytes]) -> Any:
    """An image of which only the header is read."""
    from PIL import Image

    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(error) from None
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"it has {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
    if image.mode in DEEP:
        raise ValueError(f"its pixels are of Pillow's mode {image.mode!r}, which has no known white; 8 or 16 bits have")
    return image


def _turned(image: Any) -> bool:
    """Whether the sides change places when the image is put upright."""
    return image.format in TURNS and image.getexif().get(0x0112) in (5, 6, 7, 8)


def _pixels(file: IO[bytes], shape: Shape) -> np.ndarray:
    """(C, H, W) uint8, upright; larger or smaller images are cut to the shape's proportions and resized."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    with _image(file) as image:
        if image.format == "JPEG":  # decodes large photographs at half, a quarter or an eighth
            image.draft(None, (2 * max(height, width),) * 2)
        upright = ImageOps.exif_transpose(image) if image.format in TURNS else image
        flat = _flat(upright, "L" if channels == 1 else "RGB")
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(flat)).transpose(2, 0, 1)


def _flat(image: Any, mode: str) -> Any:
    """In the mode 'L' or 'RGB', what is transparent on white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert(mode)


FOLDER = Dataset(
    name="folder",
    title="One's own images",
    help="A folder or zip with a folder of images for each class, with or without train/ and test/ above them.",
    kind="folder",
    read=read,
    describe=describe,
    labels=labels,
)
