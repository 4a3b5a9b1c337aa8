"""An image of the visitor's own: encoded, marked in the map, beside what the model makes of it and the nearest images."""

import io

import numpy as np
import streamlit as st
from PIL import Image, ImageOps, UnidentifiedImageError

from ui import latent_panel, latent_places
from ui.lab import lab
from ui.latent_map import Marks, weights_of
from ui.latent_model import computed
from ui.latent_points import View
from ui.latent_walk import row

KEY = "latent-own"
LARGEST = 40_000_000
"""Pixels of an image that is read."""


def upload() -> None:
    """Where an image is put."""
    with st.popover("", icon=":material/add_photo_alternate:", help="Put an image of your own into the map"):
        st.file_uploader("An image of your own", ["png", "jpg", "jpeg", "gif", "bmp", "webp"], key=KEY)


def code(view: View) -> np.ndarray | None:
    """The code (1, D) of the visitor's image; None where there is none, or no model. Raises ValueError with a sentence."""
    image, weights = pixels(view), weights_of(view)
    if image is None or not weights:
        return None
    return computed(view.run, weights, "encode", computed(view.run, weights, "see", image))


def marks(view: View) -> Marks:
    """Where the visitor's image lands in the map; nowhere where it cannot be read."""
    try:
        found = code(view)
    except (ValueError, FileNotFoundError):
        return ()
    if found is None:
        return ()
    return (("your image", latent_places.place(view, found)[0, : view.dims].tolist()),)


def show(view: View) -> None:
    """The visitor's image, its reconstruction, and the nearest images in the full code. Raises ValueError with a sentence."""
    image, found = pixels(view), code(view)
    if image is None or found is None:
        return
    weights = weights_of(view)
    label = latent_places.labels(view, found)
    st.markdown("#### Your image")
    st.html(
        f'<div class="latent-own">{row(np.concatenate([image, computed(view.run, weights, "decode", found, label)]))}</div>'
    )
    st.caption("As the model sees it, and its reconstruction.")
    latent_panel.near(view, found[0], weights)


def pixels(view: View) -> np.ndarray | None:
    """The visitor's image (1, C, H, W) uint8 at the shape of the run's images: cut to its middle, resized, grey or in colour.

    Raises ValueError with a sentence where it is no image.
    """
    file, facts = st.session_state.get(KEY), lab().run(view.run).facts()
    if file is None or facts is None:
        return None
    channels, height, width = facts.shape
    try:
        with Image.open(io.BytesIO(file.getvalue())) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError(f"This image has {opened.width:,} x {opened.height:,} pixels: use a smaller one.")
            image = ImageOps.fit(
                opened.convert("L" if channels == 1 else "RGB"), (width, height), Image.Resampling.BILINEAR
            )
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        raise ValueError(f"{file.name} cannot be read as an image.") from None
    return np.asarray(image, np.uint8).reshape(height, width, channels).transpose(2, 0, 1)[None].copy()
