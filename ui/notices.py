"""What everybody reads at the top of every page: the keeper's banner, and that the lab is drained. Plain text."""

from html import escape

import streamlit as st

from aecore.jobs.care import DRAINING
from aecore.runs import LabError, rights
from ui.lab import lab, visitor


def keeper() -> bool:
    """Whether this visitor sees the server page."""
    try:
        return rights.allowed(visitor(), rights.Verb.SERVER)
    except LabError:
        return False  # the lab cannot be opened: each page says so


def notices() -> None:
    """Nothing where there is nothing to say."""
    settings = lab().settings
    said = [settings.banner] if settings.banner else []
    said += [DRAINING[settings.drain]] if settings.drain != "off" else []
    if said:
        lines = "".join(f'<p role="status">{escape(text)}</p>' for text in said)
        st.html(f'<div class="aelab-notices">{lines}</div>')
