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
from ui import kiosk
from ui.lab import lab

NAME = "selection"
"""Of the parameter of an address that names one, on every page."""
MOST, RECENT = 2_000, 6
"""Selections that are kept in a lab, the oldest go first; and those that a visitor made last, to take one from another."""


def keep(run: str, split: str, indices: np.ndarray) -> str:
    """Keep the places (n,) of images in their split. Returns the selection's hash; '' for none."""
    if not len(indices):
        return ""
    indices, images = np.unique(indices).astype(np.int64), images_of(run, split)
    name = hashlib.sha256(images.encode() + indices.tobytes()).hexdigest()[:16]
    folder = kiosk.scratch(lab()) / "selections"
    if not (folder / f"{name}.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        files.write_arrays(folder / f"{name}.npz", images=np.array(images), indices=indices)
        for old in sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)[:-MOST]:
            old.unlink(missing_ok=True)
    return name


def address(name: str) -> None:
    """Let the page's address name a selection, or none."""
    if name:
        st.query_params[NAME] = name
    else:
        st.query_params.pop(NAME, None)


def title(run: str, name: str) -> str:
    """A selection in words, as a box of choices and the address name it; '' where it is unknown, or of other images than the run's."""
    part = split_of(name)
    count = len(kept(run, part, name)) if part else 0
    return f"Selection: {count:,} {part} images" if count else ""


def recent(run: str, split: str) -> dict[str, np.ndarray]:
    """{title: places} of the selection that the address names, and of those that this visitor had before it."""
    now, before = st.query_params.get(NAME, ""), st.session_state.setdefault("latent-recent", [])
    if now and now not in before[:1]:
        before[:] = [now, *(name for name in before if name != now)][:RECENT]
    found = {name: indices for name in before if len(indices := kept(run, split, name))}
    titles = {
        name: "the selection" if name == now else f"an earlier selection, {len(indices):,} images"
        for name, indices in found.items()
    }
    twice = {title for title in titles.values() if list(titles.values()).count(title) > 1}
    return {f"{title} ({name[:4]})" if title in twice else title: found[name] for name, title in titles.items()}


def split_of(name: str) -> str:
    """The split of a selection's images; '' where it is unknown."""
    if not name.isalnum() or len(name) != 16:
        return ""
    return _kept(str(kiosk.scratch(lab())), name)[0].partition("\n")[0]


def kept(run: str, split: str, name: str) -> np.ndarray:
    """The places (n,) int64, ascending, of a selection's images; none where it is unknown, or of other images than the run's."""
    if not name.isalnum() or len(name) != 16:
        return np.empty(0, np.int64)
    images, indices = _kept(str(kiosk.scratch(lab())), name)
    return indices if images == images_of(run, split) else indices[:0]


@lru_cache(maxsize=32)
def _kept(place: str, name: str) -> tuple[str, np.ndarray]:
    found = files.read_arrays(Path(place) / "selections" / f"{name}.npz")
    return ("", np.empty(0, np.int64)) if found is None else (str(found["images"]), found["indices"])


def images_of(run: str, split: str) -> str:
    """Which images a run's split has, in words that two runs on the same images share."""
    plain, data = DataConfig(), lab().run(run).config().data
    data = data.model_copy(update={"value_range": plain.value_range})
    if split == "test":  # what is held out of the training images does not change it
        data = data.model_copy(update={"validation": plain.validation})
    return f"{split}\n{data.model_dump_json()}\n"
