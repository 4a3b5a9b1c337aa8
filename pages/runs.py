"""Runs: the table of all, and everything about the one that is chosen, which is the newest at first."""

import streamlit as st

from aecore.jobs.forecast import forecast
from aecore.runs import LabError, runs
from aecore.runs.database import OPEN
from ui import disk, run_view
from ui.frame import empty, header, problem
from ui.lab import lab
from ui.runs_table import table

rows = runs(lab())
going = any(row.state in OPEN for row in rows)
known = [rows]  # the first time they need not be read again


@st.fragment(run_every=2 if going else 10)
def overview() -> None:
    """The table, kept up to date; a click on a row chooses it."""
    rows = known.pop() if known else runs(lab())
    if going != any(row.state in OPEN for row in rows):
        st.rerun()  # the interval is set when the page runs
    if rows:
        table(rows, forecast(lab()), st.query_params.get("run"))


header("Runs", "Everything that was trained in this lab, and what trains now.")
if not rows:
    empty("Nothing was trained here yet.", "train", "Set up the first run")
overview()
if chosen := st.query_params.get("run") or (rows[0].id if rows else None):
    try:
        run_view.show(lab().run(chosen))
    except LabError as error:
        problem(error)
disk.panel()
