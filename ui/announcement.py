"""What one measured step says of a configuration before it is queued: whether it fits, when it starts and when it ends."""

import time
from contextlib import suppress

import streamlit as st

from aecore.config import RunConfig
from aecore.jobs import announce, measures
from aecore.jobs.announce import Announced
from aecore.jobs.measures import Place
from aecore.runs.lab import Lab
from ui import estimates
from ui.words import escape

SAID, SEEN = "draft-announced", "draft-announced-since"
"""Keys of the session: what was announced last, with its configuration's key; since when that is looked at."""
STANDING = 1.0
"""Seconds that a configuration stays as it is before it is measured: who turns a knob is not done yet."""
ASKING, REFRESH = 1.0, 15.0
"""Seconds between looks while it is measured, and later, when the queue moves on."""


def line(config: RunConfig, lab: Lab, known: estimates.Data) -> None:
    """A line below the button. It measures nothing itself: it wishes, and shows what came of it."""
    where = measures.place(config, lab)
    if where is None or known.missing(config.data.name) is not None:
        return  # nothing can be measured: several processes, a cluster, or images that are not there yet
    name = measures.key(config, where)
    waits = measures.read(lab, name) is None
    st.fragment(_line, run_every=ASKING if waits else REFRESH, key="announcement")(
        config, lab, where, name, waits, known, known.where(config)
    )


def said_of(config: RunConfig, lab: Lab) -> Announced | None:
    """What this visitor was told of exactly this configuration; None where he was told nothing."""
    where = measures.place(config, lab)
    name, config_then, said = st.session_state.get(SAID, ("", None, None))
    same = where is not None and name == measures.key(config, where) and config_then == _nameless(config)
    return said if same else None


def _line(config: RunConfig, lab: Lab, where: Place, name: str, waited: bool, known: estimates.Data, free: str) -> None:
    answer = measures.read(lab, name)
    if (answer is None) != waited or known.where(config) != free:
        st.rerun()  # the interval is set when the page runs; and what it says of free slots would contradict this line
    if answer is None:
        _wish(config, lab, where, name)
        _show("measuring", "Measuring", "a step of it, to say what it takes and when it ends …")
        return
    if answer.measure is None:
        _show("problem", "It would not run.", answer.problem)
        return
    said = announce.announce(lab, config, answer.measure, measures.room(where.pool))
    st.session_state[SAID] = (name, _nameless(config), said)
    fits, rest = announce.told(said)
    how = f"Measured: {1e3 * answer.measure.step:.3g} ms a step on {answer.measure.device}"
    seldom = announce.rarer(config, answer.measure)
    _show("fits" if fits == "fits" else "problem", f"{fits.capitalize()}:", f"{rest}. {seldom}".strip(), how)


def _wish(config: RunConfig, lab: Lab, where: Place, name: str) -> None:
    seen, since = st.session_state.get(SEEN, ("", 0.0))
    if seen != name:
        st.session_state[SEEN] = (name, time.monotonic())
    elif time.monotonic() - since >= STANDING:
        with suppress(OSError):  # a full disk is said where it matters
            measures.ask(lab, name, config, where)


def _nameless(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"name": ""})


def _show(tone: str, head: str, rest: str, hint: str = "") -> None:
    title = f' title="{escape(hint)}"' if hint else ""
    st.html(f'<p class="announced {tone}" role="status"{title}><b>{escape(head)}</b> {escape(rest)}</p>')
