"""An image of the visitor's own, from a file or drawn: encoded, marked in the map, beside what the model makes of it."""

import base64
import binascii
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
from ui.live import component

KEY, DRAWN, BOX = "latent-own", "latent-drawn-image", "latent-image"
LARGEST = 40_000_000
"""Pixels of an image that is read."""
PNG = "data:image/png;base64,"

_board = component("draw")


def offer(view: View) -> None:
    """Where an image is put, and where one is drawn."""
    with st.popover(
        "",
        icon=":material/add_photo_alternate:",
        help="Put an image of your own into the map",
        key=BOX,
        on_change="rerun",
    ):
        st.file_uploader("An image of your own", ["png", "jpg", "jpeg", "gif", "bmp", "webp"], key=KEY, on_change=_shut)
    with st.popover("", icon=":material/draw:", help="Draw an image and see where it lands", key="latent-draw"):
        if told := board(view):
            _board(data=told, key=DRAWN, on_drawing_change=lambda: None)


def _shut() -> None:
    """Close the box over an image that came: what the model makes of it, or why it is none, stands below. A drawing goes before it."""
    st.session_state[BOX] = st.session_state[KEY] is None or bool(_drawn())


def board(view: View) -> dict[str, object]:
    """What the canvas is told: the shape of the run's images, their background, and ink that stands out from it."""
    facts, inputs = lab().run(view.run).facts(), lab().run(view.run).inputs()
    if facts is None or inputs is None:
        return {}
    edges = np.concatenate(
        [inputs.images[:, :, at].reshape(len(inputs.images), facts.shape[0], -1) for at in (0, -1)], 2
    )
    paper = np.median(edges, axis=(0, 2)).astype(int)
    ink = np.full_like(paper, 255 if paper.mean() < 128 else 0)
    paper, ink = (np.resize(colour, 3) for colour in (paper, ink))
    told = {"shape": list(facts.shape[1:]), "colours": facts.shape[0] == 3}
    return told | {"paper": _hex(paper), "ink": _hex(ink), "made": f"{facts.shape} {_hex(paper)}"}


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(value):02x}" for value in colour)


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
    said = "your drawing" if _drawn() else "your image"
    return ((said, latent_places.place(view, found)[0, : view.dims].tolist()),)


def show(view: View) -> bool:
    """The visitor's image, its reconstruction, and the nearest images in the full code; whether there is one.

    Raises ValueError with a sentence.
    """
    image, found = pixels(view), code(view)
    if image is None or found is None:
        return False
    weights = weights_of(view)
    label = latent_places.labels(view, found, weights)
    st.markdown("#### Your drawing" if _drawn() else "#### Your image")
    st.html(
        f'<div class="latent-own">{row(np.concatenate([image, computed(view.run, weights, "decode", found, label)]))}</div>'
    )
    st.caption("As the model sees it, and its reconstruction.")
    latent_panel.near(view, found[0], weights)
    return True


def pixels(view: View) -> np.ndarray | None:
    """The visitor's image (1, C, H, W) uint8 at the shape of the run's images: cut to its middle, resized, grey or in colour.

    What is drawn goes before what was put there. Raises ValueError with a sentence where it is no image.
    """
    file, facts, drawn = st.session_state.get(KEY), lab().run(view.run).facts(), _drawn()
    if facts is not None and drawn:
        return shaped(drawn, "The drawing", facts.shape)
    if facts is not None and file is not None:
        return shaped(file.getvalue(), file.name, facts.shape)
    return None


def shaped(content: bytes, name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """A file's content as an image (1, C, H, W) uint8. Raises ValueError with a sentence where it is none."""
    channels, height, width = shape
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError(f"This image has {opened.width:,} x {opened.height:,} pixels: use a smaller one.")
            image = ImageOps.fit(
                opened.convert("L" if channels == 1 else "RGB"), (width, height), Image.Resampling.BILINEAR
            )
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        raise ValueError(f"{name} cannot be read as an image.") from None
    return np.asarray(image, np.uint8).reshape(height, width, channels).transpose(2, 0, 1)[None].copy()


def _drawn() -> bytes:
    """What is drawn, as a PNG; b'' where nothing is."""
    text = (st.session_state.get(DRAWN) or {}).get("drawing") or ""
    try:
        return base64.b64decode(text[len(PNG) :], validate=True) if str(text).startswith(PNG) else b""
    except (binascii.Error, ValueError):
        return b""
