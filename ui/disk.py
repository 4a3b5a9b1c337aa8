"""The room that runs take on the disk, by person and by run, and the deleted ones that can still be brought back."""

import time

import pandas as pd
import streamlit as st

from aecore.jobs import trash
from aecore.runs import LabError, rights, usage
from aecore.runs.lab import Lab
from aecore.runs.rights import Person
from aecore.runs.text import isolated, size
from ui import kiosk
from ui.frame import problem
from ui.lab import lab, visitor, who

LARGEST = 5
KEY = "runs-disk"
"""Of the session: whether the box is open."""


@st.fragment
def panel() -> None:
    """Folded away at the end of the page: nobody needs it every day, and it looks at every file."""
    if kiosk.chosen():
        return
    with st.expander(
        "Disk, and runs that were deleted", icon=":material/hard_drive:", key=KEY, on_change="rerun"
    ) as box:
        if box.open:
            _content()


def _content() -> None:
    found, gone = _usage(str(lab().path), visitor(), lab()), trash.deleted(lab())
    if not found:
        st.markdown(":gray[Nothing lies here yet.]")
        return
    kept = f", {len(gone)} deleted" if gone else ""
    st.markdown(f"{size(sum(run.bytes for run in found))} in {len(found) - len(gone)} runs{kept}")
    people, runs = st.columns(2)
    people.dataframe(_table("Person", usage.by_owner(found)), hide_index=True)
    largest = {run.id: run.bytes for run in found if not run.deleted}
    runs.dataframe(_table("Largest runs", dict(list(largest.items())[:LARGEST])), hide_index=True)
    for run in gone:
        _deleted(run)


@st.cache_data(ttl=60, max_entries=8, show_spinner="Looking at all files …")
def _usage(path: str, viewer: Person, _lab: Lab) -> list[usage.RunUsage]:
    return usage.usage(_lab)


def _table(title: str, sizes: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame({title: list(sizes), "Disk": [size(amount) for amount in sizes.values()]})


def _deleted(run: trash.Deleted) -> None:
    """One deleted run with what brings it back."""
    words, button = st.columns([5, 1], vertical_alignment="center")
    days = max(0.0, run.until - time.time()) / 86400
    words.text(f"{run.id}, {isolated(run.owner)}'s, {size(run.bytes)}: kept for {days:.0f} more days")
    if not rights.allowed(visitor(), rights.Verb.UNDELETE, run.owner):
        return
    if button.button("Bring back", key=f"undelete-{run.id}", width="stretch"):
        try:
            trash.undelete(lab(), run.id, who())
        except LabError as error:
            problem(error)
        else:
            st.query_params["run"] = run.id
            st.rerun()
