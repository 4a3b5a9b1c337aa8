"""The published data sets, downloaded on demand: addresses and checksums are torchvision's, and so is the layout."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase, digits
from typing import Any, Literal

import numpy as np

from aecore.config import DataConfig, Shape
from aecore.data.base import DataError, Dataset, Progress, Roots, Split, names
from aecore.data.download import Files, Resource, fetch
from aecore.data.idx import read_idx

Content = tuple[np.ndarray, np.ndarray]
"""(images (N, C, H, W) uint8, labels (N,) from 0)."""


@dataclass(frozen=True)
class Published:
    """Reads and downloads one published data set."""

    files: Files
    bytes: int
    class_names: tuple[str, ...]
    resources: Callable[[], list[Resource]]
    content: Callable[[Path, Files, bool], Content]
    """Called with (data folder, files, whether the training split)."""

    def __call__(self, config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split:
        home = self.files.home(roots)
        if home is None:
            raise DataError(f"{self.files.title} is not there. {self.files.by_hand(roots[-1])}")
        images, labels = self.content(home, self.files, split == "train")
        return Split(images, labels.astype(np.int64), self.class_names, {})

    def present(self, roots: Roots) -> bool:
        return self.files.home(roots) is not None

    def download(self, root: Path, progress: Progress | None) -> None:
        fetch(self.files, self.resources(), self.bytes, root, progress)


def published(name: str, help: str, reads: Published, shape: Shape, n_train: int, n_test: int) -> Dataset:
    """The catalogue's entry of a published data set."""
    return Dataset(
        name=name,
        title=reads.files.title,
        help=help,
        kind="download",
        read=reads,
        shape=shape,
        n_train=n_train,
        n_test=n_test,
        class_names=reads.class_names,
        megabytes=reads.bytes / 1e6,
        present=reads.present,
        download=reads.download,
    )


IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
LETTERS = tuple(
    f"emnist-letters-{part}-{kind}-ubyte" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
)


def _idx(home: Path, files: Files, train: bool) -> Content:
    images, labels = (read_idx(home / files.folder / name) for name in (files.names[:2] if train else files.names[2:]))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DataError(f"The images and labels of {files.title} in {home / files.folder} do not belong together.")
    return images[:, None], labels


def _letters(home: Path, files: Files, train: bool) -> Content:
    """EMNIST is stored column by column, and its letters count from 1."""
    images, labels = _idx(home, files, train)
    return np.ascontiguousarray(images.transpose(0, 1, 3, 2)), labels.astype(np.int64) - 1


def _cifar(name: str) -> Callable[[Path, Files, bool], Content]:
    def content(home: Path, files: Files, train: bool) -> Content:
        read = _read(files, home, lambda: _torchvision(name)(home, train=train))
        return np.ascontiguousarray(read.data.transpose(0, 3, 1, 2)), np.asarray(read.targets)

    return content


def _stl10(home: Path, files: Files, train: bool) -> Content:
    base = _torchvision("STL10")
    labelled = [entry for entry in base.train_list if entry[0] in files.names]  # 2.7 GB without labels are not needed
    kind = type("STL10", (base,), {"train_list": labelled})
    read = _read(files, home, lambda: kind(home, split="train" if train else "test"))
    return np.ascontiguousarray(read.data), read.labels


def _svhn(home: Path, files: Files, train: bool) -> Content:
    read = _read(files, home, lambda: _torchvision("SVHN")(home, split="train" if train else "test"))
    return np.ascontiguousarray(read.data), read.labels


def _read(files: Files, home: Path, read: Callable[[], Any]) -> Any:
    """torchvision checks the files before it unpickles them."""
    try:
        return read()
    except (RuntimeError, OSError, ValueError) as error:
        where = (home / files.folder).resolve()
        raise DataError(
            f"{files.title} in {where} is damaged ({error}): delete {', '.join(files.names)} there, "
            "and it is downloaded again; or copy the files there anew."
        ) from None


def _torchvision(name: str) -> Any:
    from torchvision import datasets

    return getattr(datasets, name)


def _mirrored(name: str) -> Callable[[], list[Resource]]:
    def resources() -> list[Resource]:
        found = _torchvision(name)
        return [Resource(tuple(m + file for m in found.mirrors), md5, "gz") for file, md5 in found.resources]

    return resources


def _tar(name: str) -> Callable[[], list[Resource]]:
    return lambda: [Resource((_torchvision(name).url,), _torchvision(name).tgz_md5, "tar")]


def _emnist_zip() -> list[Resource]:
    return [Resource((_torchvision("EMNIST").url,), _torchvision("EMNIST").md5, "zip")]


def _mat() -> list[Resource]:
    listed = _torchvision("SVHN").split_list
    return [Resource((listed[split][0],), listed[split][2]) for split in ("train", "test")]


FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CIFAR10_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
STL10_FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt")
CIFAR100_NAMES = names(
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)

PUBLISHED = (
    published(
        "mnist",
        "70,000 handwritten digits, 28x28, grey: the data set of most tutorials.",
        Published(Files("MNIST", "MNIST/raw", IDX), 11_594_722, tuple(digits), _mirrored("MNIST"), _idx),
        (1, 28, 28),
        60_000,
        10_000,
    ),
    published(
        "fashion-mnist",
        "70,000 pictures of clothes from a shop, 28x28, grey: as large as MNIST and harder.",
        Published(
            Files("Fashion-MNIST", "FashionMNIST/raw", IDX), 30_878_645, FASHION, _mirrored("FashionMNIST"), _idx
        ),
        (1, 28, 28),
        60_000,
        10_000,
    ),
    published(
        "kmnist",
        "70,000 handwritten Japanese characters, 28x28, grey; a class holds characters that look different.",
        Published(
            Files("Kuzushiji-MNIST", "KMNIST/raw", IDX),
            21_240_888,
            names("o ki su tsu na ha ma ya re wo"),
            _mirrored("KMNIST"),
            _idx,
        ),
        (1, 28, 28),
        60_000,
        10_000,
    ),
    published(
        "emnist-letters",
        "145,600 handwritten letters, 28x28, grey; capitals and small letters share a class.",
        Published(
            Files("EMNIST letters", "EMNIST/raw", LETTERS), 561_753_746, tuple(ascii_uppercase), _emnist_zip, _letters
        ),
        (1, 28, 28),
        124_800,
        20_800,
    ),
    published(
        "cifar10",
        "60,000 small photographs of ten kinds of things, 32x32, colour.",
        Published(
            Files("CIFAR-10", "cifar-10-batches-py", CIFAR10_BATCHES),
            170_498_071,
            names("airplane automobile bird cat deer dog frog horse ship truck"),
            _tar("CIFAR10"),
            _cifar("CIFAR10"),
        ),
        (3, 32, 32),
        50_000,
        10_000,
    ),
    published(
        "cifar100",
        "60,000 small photographs of a hundred kinds of things, 32x32, colour.",
        Published(
            Files("CIFAR-100", "cifar-100-python", ("train", "test", "meta")),
            169_001_437,
            CIFAR100_NAMES,
            _tar("CIFAR100"),
            _cifar("CIFAR100"),
        ),
        (3, 32, 32),
        50_000,
        10_000,
    ),
    published(
        "stl10",
        "13,000 photographs of ten kinds of things, 96x96, colour; a download of 2.6 GB.",
        Published(
            Files("STL-10", "stl10_binary", STL10_FILES),
            2_640_397_119,
            names("airplane bird car cat deer dog horse monkey ship truck"),
            _tar("STL10"),
            _stl10,
        ),
        (3, 96, 96),
        5_000,
        8_000,
    ),
    published(
        "svhn",
        "99,289 house numbers photographed in streets, 32x32, colour; the digit in the middle is the label.",
        Published(Files("SVHN", ".", ("train_32x32.mat", "test_32x32.mat")), 246_316_178, tuple(digits), _mat, _svhn),
        (3, 32, 32),
        73_257,
        26_032,
    ),
)
