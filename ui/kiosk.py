"""A read-only address for demos and lectures: chosen runs, no queue, nothing that can be broken, and a tour through the pages.

A dashboard of its own, started with `python -m ui.serve --kiosk RUN,RUN`, whose every visitor is a guest for whom only these runs
are there. What a guest may not do is refused beneath the pages, as everywhere (`runs.rights`).
"""

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from aecore.runs import Lab, LabError, RunRow
from aecore.runs import runs as read_runs
from aecore.runs.rights import Person, Role

VARIABLE = "AELAB_KIOSK"
"""Environment variable: the runs that are shown, separated by commas."""
PAGES = ("tour", "runs", "compare", "latent")
STEP, WALKING = "tour", "walking"
"""In the URL: which stop of the tour this is; in the session: whether it goes on by itself."""
SECONDS = 45
"""At a stop, where the tour walks by itself: four of them are three minutes."""


class Stop(NamedTuple):
    """One stop of the tour."""

    page: str
    title: str
    words: str


STOPS = (
    Stop("runs", "Watch it learn", "The curve is the error. Drag the slider, and see the reconstructions sharpen."),
    Stop("compare", "What each code kept", "The same images through every model, the error below each picture."),
    Stop("latent", "Walk through the codes", "Each point is an image. Point at an empty place: it is decoded, too."),
    Stop("tour", "Your turn", "Everything here can be touched, and nothing can be broken."),
)


def chosen() -> tuple[str, ...]:
    """The runs of the kiosk; none where this is no kiosk."""
    return tuple(part.strip() for part in os.environ.get(VARIABLE, "").split(",") if part.strip())


def scratch(lab: Lab) -> Path:
    """Where pages keep what a visitor selects: the lab, or a folder that goes with the kiosk, which writes nothing into the lab."""
    return Path(_own().name) if chosen() else lab.path


@cache
def _own() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="aelab-kiosk-")


def guest() -> Person | None:
    """Who looks at a kiosk, whoever it is; None where this is none."""
    runs = chosen()
    return Person("visitor", Role.GUEST, frozenset(runs)) if runs else None


def problem(lab: Lab, wanted: str) -> str:
    """Why these runs cannot be shown, in a sentence; '' where they can."""
    names = [part.strip() for part in wanted.split(",") if part.strip()]
    if not names:
        return "A kiosk needs runs to show: --kiosk RUN,RUN."
    rows = {row.id: row for row in read_runs(lab, names)}
    for name in names:
        if name not in rows:
            return str(lab.missing(name))
        if rows[name].private:
            return f"{name} is private: make it visible to all first, or choose another run."
        if not rows[name].step:
            return f"{name} has not trained yet: choose a run that has something to show."
    return ""


def rows(lab: Lab) -> list[RunRow]:
    """The chosen runs in their order."""
    found = {row.id: row for row in read_runs(lab, chosen())}
    return [found[run_id] for run_id in chosen() if run_id in found]


def query(lab: Lab, place: int) -> dict[str, Any]:
    """What the address of a stop says besides its page."""
    there, page = [row.id for row in rows(lab)], STOPS[place].page
    what = {"runs": ",".join(there)} if page == "compare" else {"run": there[0]} if page != "tour" and there else {}
    return {STEP: place + 1, **what}


def place() -> int | None:
    """Which stop this is, counted from 0; None where nobody is on the tour."""
    known = {str(number + 1): number for number in range(len(STOPS))} if chosen() else {}
    return known.get(st.query_params.get(STEP, ""))


def why_not(lab: Lab) -> str:
    """Why there is nothing to see, in a sentence; '' where there is."""
    try:
        return "" if rows(lab) else "The runs of this kiosk are not there any more: start it with others."
    except LabError as error:
        return str(error)
