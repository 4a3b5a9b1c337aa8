"""Class folders: which images a folder or zip holds, of which classes, for training and for the test."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from aecore.data.source import Source, refuse

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
SHARE = 0.2  # of the images of each class, for the test, where there is no test/
WANTED = "It must hold a folder of images for each class, with or without train/ and test/ above them"


class Item(NamedTuple):
    """One image."""

    name: str
    """Inside the folder or zip."""
    label: int


class Layout(NamedTuple):
    """What lies where."""

    class_names: tuple[str, ...]
    train: tuple[Item, ...]
    test: tuple[Item, ...]
    """Empty where there is no test/."""
    stamp: str
    """Changes with any file."""

    def parts(self, seed: int) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        """(train, test), each in the order of the names; without test/ a share of each class, chosen by the seed."""
        if self.test:
            return self.train, self.test
        random = np.random.default_rng(seed)
        labels = np.array([item.label for item in self.train])
        held_out = np.zeros(len(labels), bool)
        for label in range(len(self.class_names)):
            members = random.permutation(np.flatnonzero(labels == label))
            held_out[members[: round(SHARE * len(members))]] = True
        train, test = (tuple(self.train[i] for i in np.flatnonzero(which)) for which in (~held_out, held_out))
        return train, test


def layout(path: Path) -> Layout:
    """The classes and images of a folder or zip. Raises DataError with what is wrong."""
    if path.is_file():
        found = path.stat()
        return _unchanged(path, found.st_mtime_ns, found.st_size)
    return _layout(path)


@lru_cache(maxsize=8)
def _unchanged(path: Path, changed: int, size: int) -> Layout:
    return _layout(path)


def _layout(path: Path) -> Layout:
    files, folders = Source(path).entries()
    images = {PurePosixPath(entry.name): entry for entry in files}
    images = {name: entry for name, entry in images.items() if name.suffix.lower() in SUFFIXES}
    if not images:
        raise refuse(f"{path} holds no images ({', '.join(sorted(SUFFIXES))}). {WANTED}.")
    depth = _above(list(images))
    parts = _parts(path, images, depth)
    _no_empty_class(path, images, [PurePosixPath(name) for name in folders], depth + ("train" in parts))
    train, test = parts.get("train", parts.get("", {})), parts.get("test", {})
    classes = sorted({*train.values(), *test.values()}, key=natural)
    stamp = hashlib.sha256("\n".join(map(str, sorted(images.values()))).encode()).hexdigest()
    return Layout(tuple(classes), _items(train, classes), _items(test, classes), stamp)


def _items(part: dict[str, str], classes: list[str]) -> tuple[Item, ...]:
    return tuple(Item(name, classes.index(part[name])) for name in sorted(part, key=natural))


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which 'class 2' comes before 'class 10'.

    >>> sorted(["b10", "b9", "a"], key=natural)
    ['a', 'b9', 'b10']
    """
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"([0-9]+)", name)]


def _above(names: list[PurePosixPath]) -> int:
    """How many folders there are around everything, as when a zip was made of a folder."""
    first, depth = names[0].parts, 0
    while all(len(name.parts) > depth + 2 and name.parts[depth] == first[depth] for name in names):
        if first[depth] in ("train", "test"):
            break
        depth += 1
    return depth


def _parts(path: Path, images: Iterable[PurePosixPath], depth: int) -> dict[str, dict[str, str]]:
    """{'train', 'test' or '': {name: class}}."""
    parts: dict[str, dict[str, str]] = {}
    for name in images:
        inside = name.parts[depth:]
        part = inside[0] if inside[0] in ("train", "test") and len(inside) > 2 else ""
        if len(inside) < 2 or (inside[0] in ("train", "test") and not part):
            raise refuse(f"{name} in {path} lies in no class folder. {WANTED}.")
        parts.setdefault(part, {})[name.as_posix()] = inside[1 if part else 0]
    if "" in parts and len(parts) > 1:
        raise refuse(f"{next(iter(parts['']))} in {path} lies beside train/ and test/. {WANTED}.")
    if list(parts) == ["test"]:
        raise refuse(f"{path} has test/ but no train/. {WANTED}.")
    return parts


def _no_empty_class(path: Path, images: Iterable[PurePosixPath], folders: list[PurePosixPath], depth: int) -> None:
    filled = {name.parts[: depth + 1] for name in images}
    for folder in folders:
        if len(folder.parts) == depth + 1 and folder.parts not in filled:
            raise refuse(f"The class folder {folder} in {path} holds no images: put some into it, or remove it.")
