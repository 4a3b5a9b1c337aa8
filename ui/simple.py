"""What simple methods make of images for which no analysis has kept it: a selection, another data set."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore.data import choose
from ui.comparison import Compared
from ui.lab import lab, latest_stamp, split, trained

if TYPE_CHECKING:
    from aecore.analysis.simple import Simple

MOST = 1 << 26
"""Numbers in the training images that principal components are fitted to at most, while a page waits: of more, every so many-th."""


def made(run: Compared, images: np.ndarray, key: str) -> dict[str, np.ndarray]:
    """Images (n, C, H, W) uint8 by each method at the code size of a run, as an analysis keeps them; `key` says which they are."""
    return _made(run.row.id, latest_stamp(run.row.id), key, len(images), images)


def sampled(run: Compared) -> list[str]:
    """A sentence where PCA was not fitted to all training images."""
    _, fitted, of = _methods(run.row.id, latest_stamp(run.row.id))
    return [f"PCA is fitted to {fitted:,} of the {of:,} training images here."] * (fitted < of)


@st.cache_resource(max_entries=32, show_spinner="Running the simple methods on these images …")
def _made(run_id: str, stamp: str, key: str, count: int, _images: np.ndarray) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for method in _methods(run_id, stamp)[0]:
        x_hat, size = method.apply(_images)
        found |= {method.name: x_hat} | ({} if size is None else {f"{method.name}.bytes": size})
    return found


@st.cache_resource(max_entries=8, show_spinner="Fitting PCA to the training images …")
def _methods(run_id: str, stamp: str) -> "tuple[list[Simple], int, int]":
    """The methods, to how many training images they were fitted, and of how many."""
    from aecore.analysis.columns import fit  # torch: not when the page is opened
    from aecore.analysis.simple import simple_methods

    config, model = lab().run(run_id).config(), trained(run_id, stamp)
    images = choose(split(config.data.model_dump_json(), "train"), config.training).images
    train, size = model.wanted(images[:: -(-images.size // MOST)]), model.code_bytes
    return simple_methods(train, size, fit(train, size)), len(train), len(images)
