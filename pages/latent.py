"""Latent space: the codes of a run's images as a map, their pictures, and what the decoder draws in between."""

import streamlit as st

from aecore.runs import LabError, RunRow
from aecore.runs import run as read_run
from ui.frame import empty, header, problem
from ui.lab import lab
from ui.late import after_a_while
from ui.latent_below import below
from ui.latent_making import choose_view, offer, working
from ui.latent_map import reading, trust_said
from ui.latent_panel import STYLE, map_and_panel
from ui.latent_points import View
from ui.latent_view import choose_run, choose_source, film, offer_analysis, open_page, opened, wait_for_codes
from ui.words import plain


def page() -> None:
    """A run, which of its codes, and the map of them; to a new visitor first the map, then what it is chosen by."""
    header(
        "Latent space", "Each point is an image, placed by its code. What the model finds alike lies close together."
    )
    st.html(STYLE)
    missing = source = ""
    with st.container(key="latent-head", horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        room = None if opened() else st.html('<div class="latent-room"></div>')
        row = choose_run()
        if row and (source := choose_source(row)):
            view, missing = choose_view(row, source)
    if row is None:
        if room:
            room.empty()
        empty("No model was trained here yet: a map needs one.", "train", "Set up the first run")
    elif not source:
        open_page()
        if row.live:
            st.fragment(wait_for_codes, run_every=1.0)(row)
        else:
            empty(f"{plain(row.name)} has no codes: it ended before its first sample, or its samples were removed.")
    else:
        with st.container(key="latent-offers"):
            if opened():
                offer_analysis(row)
                if missing:
                    offer(row, missing, view.dims)
        moves = row.live or working(st.query_params.get("beside", ""))
        st.fragment(explore, run_every=2.0 if moves else None)(row, view)
        if not opened():
            after_a_while("latent-since", open_page)


def explore(row: RunRow, view: View) -> None:
    """The map, and beside it what was selected in it; below it what else there is.

    A click reruns this part alone; while a run trains it follows.
    """
    try:
        if read_run(lab(), row.id).live != row.live:
            st.rerun()
        if row.live:
            view = film(row)._replace(dims=view.dims, map=view.map, colour=view.colour)
        map_and_panel(view)
        if opened():
            st.caption(f"{reading(view)} {trust_said(view)}")
            if view.step is None:
                below(view)
    except (LabError, FileNotFoundError, ValueError) as error:
        open_page()
        problem(error)


try:
    page()
except (LabError, FileNotFoundError, ValueError) as error:
    open_page()
    problem(error)
