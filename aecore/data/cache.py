"""Drawn and decoded images are kept as .npy files, so that the second time costs only the reading."""

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from aecore.data.alone import alone
from aecore.data.base import Roots, Split


def generated(roots: Roots, name: str) -> Path:
    """Where drawn and decoded images of this name are kept."""
    return roots[-1] / "generated" / name


def cached(folder: Path, make: Callable[[], Split]) -> Split:
    """What lies in `folder`; where nothing or something damaged lies there, `make()`, which is then kept.

    Of several processes that need it at once, one makes it and the others wait. A folder that cannot be written costs
    only the keeping: the images are returned all the same.
    """
    if found := _found(folder):
        return found
    with ExitStack() as stack:
        with suppress(OSError):
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(folder.with_name(f".{folder.name}.lock")))
        return _found(folder) or _made(folder, make)


def _found(folder: Path) -> Split | None:
    with suppress(OSError, EOFError, ValueError, KeyError, TypeError):
        return _read(folder)
    return None


def _made(folder: Path, make: Callable[[], Split]) -> Split:
    split = make()
    with suppress(OSError):
        _keep(folder, split)
    return split


def _read(folder: Path) -> Split:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    arrays = {name: _array(folder / f"{name}.npy", crc) for name, crc in index["crc32"].items()}
    factors = {name: arrays[f"factor-{name}"] for name in index["factors"]}
    return Split(arrays["images"], arrays["labels"], tuple(index["class_names"]), factors)


def _array(path: Path, crc: int) -> np.ndarray:
    array = np.load(path, allow_pickle=False)
    if zlib.crc32(array.data) != crc:
        raise ValueError(f"{path} is damaged.")
    return array


def _keep(folder: Path, split: Split) -> None:
    """Write beside, then rename: a reader sees all of it or nothing. Who comes second finds the first one's and leaves."""
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write(beside, split)
        if folder.exists():  # it could not be read
            shutil.rmtree(folder, ignore_errors=True)
        os.rename(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(folder: Path, split: Split) -> None:
    arrays = {"images": split.images, "labels": split.labels}
    arrays |= {f"factor-{name}": values for name, values in split.factors.items()}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    index = {
        "class_names": split.class_names,
        "factors": list(split.factors),
        "crc32": {name: zlib.crc32(array.data) for name, array in arrays.items()},
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
