"""New images: from the prior, from a Gaussian mixture of the codes, near a selection; each beside its nearest training image."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import data
from aecore.analysis.neighbours import nearest
from ui import latent_points, latent_walk
from ui.lab import lab, split
from ui.latent_map import weights_of
from ui.latent_model import model
from ui.latent_points import View
from ui.latent_selection import NAME, kept
from ui.latent_view import bound
from ui.pictures import data_url, wall
from ui.words import escape

if TYPE_CHECKING:
    from aecore.analysis.generation import Mixture

COUNT, ALONE = 18, 8
"""New images, and neighbours that are taken with an image that is selected alone."""
SOURCES = {"prior": "From the prior", "mixture": "From a Gaussian mixture of the codes", "near": "Near the selection"}


def show(view: View) -> None:
    """COUNT new images, and a button for others."""
    weights, chosen = weights_of(view), kept(view.run, view.split, st.query_params.get(NAME, ""))
    from aecore.analysis import latent

    ready = latent.has_prior(model(view.run, weights).model)
    sources = ["prior"] * ready + ["mixture"] + ["near"] * bool(len(chosen))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        with bound("samples", sources, sources[0]) as (key, changed):
            source = st.segmented_control(
                "Codes", sources, format_func=SOURCES.__getitem__, required=True, key=key, on_change=changed
            )
        turn = st.session_state.setdefault("latent-samples-turn", 0)
        if st.button("Others", icon=":material/casino:", key="latent-samples-again"):
            turn = st.session_state["latent-samples-turn"] = turn + 1
    name = st.query_params.get(NAME, "") if source == "near" else ""
    with st.spinner("Drawing and looking for copies …"):
        plain = View(view.run, view.split, view.step)
        images, copies, indices, away = _made(plain, latent_points.stamp(view), weights, str(source), turn, name)
    said = ""
    if source == "near":
        said = f"Between the images that are selected{f': the one and its {ALONE} nearest' * (len(chosen) == 1)}. "
    elif not ready:
        said = (
            "Without a prior the codes have no place of their own to be drawn from: a mixture of Gaussians is fitted. "
        )
    st.caption(
        f"{said}Left the new image, right the nearest training image by its pixels: where both are the same, the model copies. "
        "Below them how far apart their pixels are: 0 is the same, 1 is black against white."
    )
    parts = [
        f'<figure><img src="{data_url(wall(np.stack([new, old])[None]))}" alt="">'
        f"<figcaption>{escape(f'train image {index:,}')} · {far:.3f}</figcaption></figure>"
        for new, old, index, far in zip(images, copies, indices, away, strict=True)
    ]
    st.html(f'<div class="latent-pairs">{"".join(parts)}</div>')


@lru_cache(maxsize=32)
def _made(view: View, stamp: str, weights: str, source: str, turn: int, name: str) -> tuple[np.ndarray, ...]:
    """New images (n, C, H, W), their nearest training images, the places of those, and root mean squared distances of a pixel."""
    from aecore.analysis import generation, latent  # torch and scikit-learn: not when the page is opened

    if source == "prior":
        codes = latent.prior(model(view.run, weights).model, COUNT, turn)
    elif source == "mixture":
        codes = generation.sample(_mixture(view, stamp), COUNT, turn)
    else:
        codes = generation.near(_selected(view, name), COUNT, turn)
    images = latent_walk.decode(view, codes)
    config = lab().run(view.run).config()
    whole = split(config.data.model_dump_json(), "train")
    learnt = data.chosen(whole, config.training)
    train = model(view.run, weights).wanted(data.choose(whole, config.training).images)
    nearest, away = generation.nearest_images(train, images)
    return images, train[nearest], learnt[nearest], away


def _selected(view: View, name: str) -> np.ndarray:
    """Codes (n, D) of a selection; of one image alone, between which and itself there is nothing, with its ALONE nearest."""
    codes = latent_points.codes(view)
    chosen = np.isin(latent_points.cloud(view).indices, kept(view.run, view.split, name))
    if chosen.sum() != 1:
        return codes[chosen]
    return codes[nearest(codes, codes[chosen], min(ALONE + 1, len(codes))).indices[0]]


@lru_cache(maxsize=4)
def _mixture(view: View, stamp: str) -> "Mixture":
    from aecore.analysis import generation

    return generation.fit_mixture(latent_points.codes(view))
