"""Runs: the table of all, and everything about the one that is chosen."""

import streamlit as st

from aecore.runs import LabError, runs
from aecore.runs.database import OPEN
from ui import run_view
from ui.frame import empty, header, problem
from ui.lab import lab
from ui.runs_table import table

going = any(row.state in OPEN for row in runs(lab(), limit=200))


@st.fragment(run_every=2 if going else 10)
def overview() -> None:
    """The table, kept up to date; a click on a row chooses it."""
    rows = runs(lab())
    if going != any(row.state in OPEN for row in rows[:200]):
        st.rerun()
    table(rows, st.query_params.get("run"))


header("Runs", "Everything that was trained in this lab, and what trains now.")
if not runs(lab(), limit=1):
    empty("Nothing was trained here yet.", "train", "Set up the first run")
else:
    overview()
    if chosen := st.query_params.get("run"):
        try:
            run_view.show(lab().run(chosen))
        except LabError as error:
            problem(error)
    else:
        st.markdown(":gray[Choose a row to see its curves, its pictures and its log.]")
