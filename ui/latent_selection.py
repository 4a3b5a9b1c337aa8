"""Selections of images: kept in the run's folder under their hash, so that an address can name them, and so that they survive
another map, another colour and another page. They hold places of images in their split, never positions on the screen."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from aecore.runs import files
from ui.lab import lab

MOST = 500
"""Selections that are kept of a run; the oldest go first."""


def keep(run: str, split: str, indices: np.ndarray) -> str:
    """Keep the places (n,) of images in their split. Returns the selection's hash; '' for none."""
    if not len(indices):
        return ""
    indices = np.unique(indices).astype(np.int64)
    name = hashlib.sha256(f"{split}\n".encode() + indices.tobytes()).hexdigest()[:16]
    folder = lab().run(run).path / "selections"
    if not (folder / f"{name}.npz").exists():
        folder.mkdir(exist_ok=True)
        files.write_arrays(folder / f"{name}.npz", split=np.array(split), indices=indices)
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
    """The places (n,) int64, ascending, of a selection's images; none where it is unknown, or of another split."""
    if not name.isalnum() or len(name) != 16:
        return np.empty(0, np.int64)
    return _kept(str(lab().run(run).path), split, name)


@lru_cache(maxsize=32)
def _kept(path: str, split: str, name: str) -> np.ndarray:
    found = files.read_arrays(Path(path) / "selections" / f"{name}.npz")
    if found is None or str(found["split"]) != split:
        return np.empty(0, np.int64)
    return found["indices"]
