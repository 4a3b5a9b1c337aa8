"""The demo: two models on the same images, one with a code of 2 numbers and one of 16, from one click."""

import secrets

import streamlit as st

from aecore.config import RunConfig, code_size_path, preset, with_values
from aecore.jobs import quota
from aecore.jobs.queue import submit
from aecore.runs import Lab, RunRow, runs
from ui.lab import lab, who
from ui.live import Shown, live_curves, live_pictures
from ui.live import shown as with_colours

CODE_SIZES = (2, 16)
KEY = "demo"
"""Name in the URL: which pair of runs is shown."""


def configs() -> list[RunConfig]:
    """The two configurations, equal but for the size of the code and the name."""
    base = preset("demo").config
    path = code_size_path(base)
    assert path is not None
    return [with_values(base, {path: size, "name": f"demo, code {size}"}) for size in CODE_SIZES]


def start() -> None:
    """Queue the pair, and show it. However often it is clicked, one visit to the page makes one pair."""
    nonce = st.session_state.setdefault("demo-nonce", secrets.token_hex(8))
    wanted = configs()
    quota.ask(lab(), who(), wanted, nonce)
    pair = [submit(lab(), config, who(), nonce=nonce) for config in wanted]
    st.query_params[KEY] = ",".join(pair)


def again() -> None:
    """Forget the pair that is shown, so that the next click makes a new one."""
    st.session_state.pop("demo-nonce", None)
    st.query_params.pop(KEY, None)


def pair_in_url(lab: Lab) -> list[RunRow]:
    """The pair of runs that the URL names, code 2 first; none where it names none or they were deleted."""
    ids = st.query_params.get(KEY, "").split(",")
    found = {row.id: row for row in runs(lab, ids)} if ids != [""] else {}
    return [found[run] for run in ids if run in found]


def recorded() -> list[Shown]:
    """The pair that came with the program: what the first page shows while the lab has none of its own."""
    return with_colours([(f"recorded-{size}", f"Code of {size}") for size in CODE_SIZES])


def latest_pair(rows: list[RunRow]) -> list[Shown]:
    """The newest finished demo of each code size, to show before the first click; empty where there is none."""
    newest = {
        row.code_size: row for row in reversed(rows) if row.state == "completed" and row.name.startswith("demo, ")
    }
    pair = [newest[size] for size in CODE_SIZES if size in newest]
    return named(pair) if len(pair) == len(CODE_SIZES) else []


def named(pair: list[RunRow]) -> list[Shown]:
    """The pair as the live components show it."""
    return with_colours([(row.id, f"Code of {row.code_size}") for row in pair])


def stage(pair: list[RunRow]) -> None:
    """Both curves and both models' pictures, live."""
    left, right = st.columns([46, 54], gap="large")
    with left:
        live_curves(named(pair), key="demo-curves", height=430)
    with right:
        live_pictures(named(pair), key="demo-pictures", lines=2)
