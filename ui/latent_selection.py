"""Selections of images: kept in the lab under their hash, so that an address can name them, and so that they survive another
map, another colour, another page and another run on the same images. They hold places of images in their split, never positions
on the screen."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from aecore.config import DataConfig
from aecore.runs import files
from ui.lab import lab

MOST = 2_000
"""Selections that are kept in a lab; the oldest go first."""


def keep(run: str, split: str, indices: np.ndarray) -> str:
    """Keep the places (n,) of images in their split. Returns the selection's hash; '' for none."""
    if not len(indices):
        return ""
    indices, images = np.unique(indices).astype(np.int64), images_of(run, split)
    name = hashlib.sha256(images.encode() + indices.tobytes()).hexdigest()[:16]
    folder = lab().path / "selections"
    if not (folder / f"{name}.npz").exists():
        folder.mkdir(exist_ok=True)
        files.write_arrays(folder / f"{name}.npz", images=np.array(images), indices=indices)
        for old in sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)[:-MOST]:
            old.unlink(missing_ok=True)
    return name


def address(name: str) -> None:
    """Let the page's address name a selection, or none."""
    if name:
        st.query_params["sel"] = name
    else:
        st.query_params.pop("sel", None)


def kept(run: str, split: str, name: str) -> np.ndarray:
    """The places (n,) int64, ascending, of a selection's images; none where it is unknown, or of other images than the run's."""
    if not name.isalnum() or len(name) != 16:
        return np.empty(0, np.int64)
    images, indices = _kept(str(lab().path), name)
    return indices if images == images_of(run, split) else indices[:0]


@lru_cache(maxsize=32)
def _kept(lab_path: str, name: str) -> tuple[str, np.ndarray]:
    found = files.read_arrays(Path(lab_path) / "selections" / f"{name}.npz")
    return ("", np.empty(0, np.int64)) if found is None else (str(found["images"]), found["indices"])


def images_of(run: str, split: str) -> str:
    """Which images a run's split has, in words that two runs on the same images share."""
    plain, data = DataConfig(), lab().run(run).config().data
    data = data.model_copy(update={"value_range": plain.value_range})
    if split == "test":  # what is held out of the training images does not change it
        data = data.model_copy(update={"validation": plain.validation})
    return f"{split}\n{data.model_dump_json()}\n"
