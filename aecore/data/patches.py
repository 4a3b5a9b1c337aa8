"""Cut-outs of the two photographs that scikit-learn carries: natural colour images without a download.

Cut-outs overlap, so the photographs are first divided into blocks, and a block belongs to one split: no pixel is seen
in training and again in validation or test.
"""

from typing import Literal

import numpy as np

from aecore.config import DataConfig
from aecore.data.base import Dataset, Roots, Split, package_folder

PHOTOS = {"temple": "china.jpg", "flower": "flower.jpg"}
SIDE, BLOCK, STRIDE = 32, 64, 3  # pixels
PER_BLOCK = ((BLOCK - SIDE) // STRIDE + 1) ** 2
TRAIN_BLOCKS, TEST_BLOCKS = 60, 12  # the 72 of 120 in which there is most to see: empty sky teaches nothing


def read(config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split:
    """121 cut-outs a block, block after block. Which blocks are the test's is fixed."""
    found, labels = blocks()
    order = np.random.default_rng(0).permutation(len(found))
    chosen = np.sort(order[:TEST_BLOCKS] if split == "test" else order[TEST_BLOCKS:])
    images = np.concatenate([cut(found[block]) for block in chosen])
    return Split(images, np.repeat(labels[chosen], PER_BLOCK), tuple(PHOTOS), {})


def blocks() -> tuple[np.ndarray, np.ndarray]:
    """The blocks that are used (72, 64, 64, 3) uint8, without overlap, and the photograph that each is from (72,)."""
    photos = [_photo(file) for file in PHOTOS.values()]
    whole = np.concatenate([_tiles(photo) for photo in photos])
    labels = np.repeat(np.arange(len(photos)), len(whole) // len(photos))
    contrast = whole.std(axis=(1, 2)).mean(axis=1)
    used = np.sort(np.argsort(-contrast, kind="stable")[: TRAIN_BLOCKS + TEST_BLOCKS])
    return whole[used], labels[used]


def cut(block: np.ndarray) -> np.ndarray:
    """(64, 64, 3) -> (121, 3, 32, 32)."""
    windows = np.lib.stride_tricks.sliding_window_view(block, (SIDE, SIDE), axis=(0, 1))[::STRIDE, ::STRIDE]
    return windows.reshape(-1, 3, SIDE, SIDE)


def _tiles(photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (tiles, 64, 64, 3); what is left at the bottom is not used."""
    rows, columns = photo.shape[0] // BLOCK, photo.shape[1] // BLOCK
    tiles = photo[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, 3)
    return tiles.swapaxes(1, 2).reshape(-1, BLOCK, BLOCK, 3)


def _photo(file: str) -> np.ndarray:
    from PIL import Image

    with Image.open(package_folder("sklearn") / "datasets" / "images" / file, formats=("JPEG",)) as photo:
        return np.asarray(photo)


PATCHES = Dataset(
    name="patches",
    title="Patches of photographs",
    help="8,712 cut-outs, 32x32, colour, of two photographs; no pixel lies in two splits. No download.",
    kind="package",
    read=read,
    shape=(3, SIDE, SIDE),
    n_train=PER_BLOCK * TRAIN_BLOCKS,
    n_test=PER_BLOCK * TEST_BLOCKS,
    class_names=tuple(PHOTOS),
    group=PER_BLOCK,
)
