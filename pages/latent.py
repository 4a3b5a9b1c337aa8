"""Latent space: the codes of a run's images as a map, their pictures, and what the decoder draws in between."""

import streamlit as st

from aecore.runs import LabError, RunRow
from aecore.runs import run as read_run
from ui.frame import empty, header, problem
from ui.lab import lab
from ui.latent_below import below
from ui.latent_making import choose_colour, choose_map, offer, working
from ui.latent_map import opened, reading, trust_said
from ui.latent_panel import STYLE, map_and_panel
from ui.latent_points import View, cloud
from ui.latent_view import (
    FILM,
    choose_count,
    choose_dims,
    choose_run,
    choose_source,
    film,
    offer_analysis,
    wait_for_codes,
)


def page() -> None:
    """A run, which of its codes, and the map of them."""
    header(
        "Latent space", "Each point is an image, placed by its code. What the model finds alike lies close together."
    )
    st.html(STYLE)
    missing = ""
    with st.container(key="latent-head", horizontal=True, vertical_alignment="bottom", gap="small"):
        row = choose_run()
        if row and (source := choose_source(row)):
            view = film(row) if source == FILM else View(row.id, source, only=st.query_params.get("only", ""))
            with st.spinner("Reading the codes …"):
                size = cloud(view).code_size
            view = view._replace(dims=choose_dims(row.id, size))
            view, wanted = choose_map(view, size)
            view, around = choose_colour(view)
            view = view._replace(n=choose_count(row, source))
            missing = wanted or around
    if row is None:
        empty("No model was trained here yet: a map needs one.", "train", "Set up the first run")
    elif not source:
        st.fragment(wait_for_codes, run_every=1.0)(row)
    else:
        offer_analysis(row)
        if missing:
            offer(row, missing, view.dims)
        moves = row.live or working(st.query_params.get("beside", ""))
        st.fragment(explore, run_every=2.0 if moves else None)(row, view)


def explore(row: RunRow, view: View) -> None:
    """The map, and beside it what was selected in it; below it, once it is drawn, what else there is.

    A click reruns this part alone; while a run trains it follows.
    """
    if read_run(lab(), row.id).live != row.live:
        st.rerun()
    if row.live:
        view = film(row)._replace(dims=view.dims, map=view.map, colour=view.colour)
    try:
        map_and_panel(view)
        st.caption(f"{reading(view)} {trust_said(view)}")
        if view.step is None and opened():
            below(view)
    except (LabError, FileNotFoundError, ValueError) as error:
        problem(error)


try:
    page()
except (LabError, FileNotFoundError, ValueError) as error:
    problem(error)
