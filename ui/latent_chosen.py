"""A selection of images on another page: what a run makes of them, and whether they are harder than the others."""

import numpy as np
import streamlit as st

from aecore.runs import RunRow
from ui import latent_points
from ui.frame import page_link
from ui.lab import lab, latest_stamp
from ui.latent_map import picture_address
from ui.latent_panel import STYLE
from ui.latent_points import View
from ui.latent_selection import NAME, kept, split_of, title

SHOWN = 36


def show(row: RunRow) -> None:
    """The selection that the address names, in a run that has these images; nothing otherwise."""
    name = st.query_params.get(NAME, "")
    part = split_of(name)
    indices = kept(row.id, part, name) if part else np.empty(0, int)
    if not len(indices):
        return
    st.html(STYLE)
    with st.container(key="run-selection", horizontal=True, vertical_alignment="center", gap="medium"):
        st.subheader(f"Selection: {len(indices):,} {part} images", anchor=False, width="content")
        page_link("latent", "In the map", ":material/scatter_plot:", run=row.id, split=part, selection=name)
        said = title(row.id, name)
        page_link("compare", "Through other models", ":material/compare:", runs=row.id, images=said, selection=name)
        if st.button("Clear", icon=":material/close:", type="tertiary", key="run-selection-clear"):
            st.query_params.pop(NAME, None)
            st.rerun()
    if said := errors(View(row.id, part), indices):
        st.markdown(said)
    view, weights = View(row.id, part), latest_stamp(row.id)
    pictures = [
        f'<img src="{picture_address(view, int(index), weights)}" alt="image {index}">' for index in indices[:SHOWN]
    ]
    st.html(f'<div class="latent-tiles{"" if weights else " single"}">{"".join(pictures)}</div>')


def errors(view: View, indices: np.ndarray) -> str:
    """Their mean error beside that of all images, in a sentence; '' where the split was not analysed."""
    if view.split not in latent_points.analysed(lab().run(view.run)):
        return ""
    found = latent_points.cloud(view)
    mine = found.errors[np.isin(found.indices, indices)]
    if not len(mine) or not np.isfinite(found.errors).all():
        return ""
    times = float(mine.mean() / max(found.errors.mean(), 1e-12))
    return f"Mean squared error {mine.mean():.3g}: {times:.2g} times that of all {len(found.errors):,} {view.split} images."
