"""What everybody reads at the top of every page: the keeper's banner, and that the lab is drained. Plain text."""

import streamlit as st

from aecore.jobs.care import DRAINING
from aecore.runs import LabError, rights
from ui import kiosk, tickets
from ui.lab import lab, visitor
from ui.pulse import pulse, stamp_of
from ui.words import escape

SECONDS = 10
"""Until a page that is open says what is new."""


def keeper() -> bool:
    """Whether this visitor sees the server page."""
    try:
        return rights.allowed(visitor(), rights.Verb.SERVER)
    except LabError:
        return False  # the lab cannot be opened: each page says so


@st.fragment
def notices() -> None:
    """Nothing where there is nothing to say."""
    if said := _said():
        lines = "".join(f'<p role="status">{escape(text)}</p>' for text in said)
        st.html(f'<div class="aelab-notices">{lines}</div>')
    with st.container(key="notices-pulse"):
        pulse(tickets.signed("api/notices", "notices"), stamp(), key="notices", seconds=SECONDS)


def _said() -> list[str]:
    """A kiosk starts nothing, so that only the banner concerns it."""
    settings = lab().settings
    drained = settings.drain != "off" and not kiosk.chosen()
    return [settings.banner] * bool(settings.banner) + ([DRAINING[settings.drain]] if drained else [])


def stamp() -> str:
    return stamp_of(_said())
