"""Who sees a run: the choice when it is queued, and the one on its page, where it can be given to somebody else, too."""

from collections.abc import Callable

import streamlit as st

from aecore.jobs import owners
from aecore.runs import LabError, RunRow, rights
from aecore.runs.rights import Verb
from ui import ways
from ui.lab import lab, visitor, who
from ui.run_actions import PROBLEM

KEY = "queue-private"


def choice() -> None:
    """Private or visible to all, before a run is queued; nothing where everyone is one user."""
    if ways.way(lab()):
        st.checkbox("Private", key=KEY, help="Only you and the lab's admins see it. You can change that later.")


def chosen() -> bool:
    return bool(st.session_state.get(KEY))


def panel(row: RunRow) -> None:
    """Who sees this run and whose it is, for those who may change that."""
    if rights.allowed(visitor(), Verb.HIDE, row.owner):
        label, icon = ("Show it to all", "visibility") if row.private else ("Make it private", "visibility_off")
        if st.button(label, icon=f":material/{icon}:", key="hide", width="stretch"):
            _do(lambda: owners.hide(lab(), [row.id], not row.private, who()))
    if rights.allowed(visitor(), Verb.HAND_OVER, row.owner):
        with st.form(f"give-{row.id}", border=False):
            to = st.text_input("Give it to", key=f"give-to-{row.id}", placeholder="A name: whose it is from then on")
            if st.form_submit_button("Give it away") and to.strip():
                _do(lambda: owners.hand_over(lab(), [row.id], " ".join(to.split()), who()))


def _do(act: Callable[[], None]) -> None:
    try:
        act()
    except LabError as error:
        st.session_state[PROBLEM] = str(error)
    st.rerun()
