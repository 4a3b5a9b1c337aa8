"""The demo: two models on the same images, one with a code of 2 numbers and one of 16, from one click."""

import secrets

import streamlit as st

from aecore.config import RunConfig, code_size_path, preset, with_values
from aecore.jobs import quota
from aecore.jobs.queue import submit
from aecore.runs import Lab, RunRow, rights, runs
from aecore.runs.rights import Verb
from ui.frame import page_link
from ui.lab import lab, visitor, who
from ui.live import Shown, live_curves, live_pictures
from ui.live import shown as with_colours

CODE_SIZES = (2, 16)
LABEL = f"Train the demo: code size {CODE_SIZES[0]} against {CODE_SIZES[1]}"
RECENT = 50
"""Among so many runs the last demo is looked for."""
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


def may() -> bool:
    """Whether this visitor may train: a guest looks only."""
    return rights.allowed(visitor(), Verb.SUBMIT)


def button() -> bool:
    """The one click: whether it was made."""
    icon = ":material/play_arrow:"
    return st.button(LABEL, key="demo", type="primary", icon=icon, width="stretch", disabled=not may())


def otherwise() -> None:
    """The way on without the demo."""
    if may():
        page_link("train", "or set up a model of your own", icon=":material/tune:")
    else:
        page_link("runs", "You are a guest: look at what was trained", icon=":material/monitoring:")


def again() -> None:
    """Forget the pair that is shown, so that the next click makes a new one."""
    st.session_state.pop("demo-nonce", None)
    st.query_params.pop(KEY, None)


def pair_in_url(lab: Lab) -> list[RunRow]:
    """The pair of runs that the URL names, code 2 first; none where it names none or they were deleted."""
    ids = st.query_params.get(KEY, "").split(",")
    found = {row.id: row for row in runs(lab, ids)} if ids != [""] else {}
    return [found[run] for run in ids if run in found]


def before_the_click(rows: list[RunRow]) -> list[Shown]:
    """What Home shows to begin with: the newest pair of the lab, else the one that came with the program."""
    return latest_pair(rows) or recorded()


def recorded() -> list[Shown]:
    """The pair that came with the program."""
    return with_colours([(f"recorded-{size}", f"Code of {size}") for size in CODE_SIZES])


def latest_pair(rows: list[RunRow]) -> list[Shown]:
    """The newest finished demo of each code size, to show before the first click; empty where there is none."""
    ours = [row for row in rows if row.state == "completed" and row.name.startswith("demo, ") and not row.sweep]
    newest = {row.code_size: row for row in reversed(ours)}
    pair = [newest[size] for size in CODE_SIZES if size in newest]
    return named(pair) if len(pair) == len(CODE_SIZES) else []


def named(pair: list[RunRow]) -> list[Shown]:
    """The pair as the live components show it."""
    return with_colours([(row.id, f"Code of {row.code_size:,}") for row in pair])


def stage(pair: list[RunRow]) -> None:
    """Both curves and both models' pictures, live."""
    left, right = st.columns([46, 54], gap="large")
    with left:
        live_curves(named(pair), key="demo-curves", height=430)
    with right:
        live_pictures(named(pair), key="demo-pictures", lines=2)
