"""Runs: the table of all, and everything about the one that is chosen, which is the newest at first."""

import streamlit as st

from aecore.jobs.forecast import forecast
from aecore.runs import LabError
from aecore.runs.database import OPEN
from ui import bulk, disk, kiosk, run_view, runs_tools, tickets
from ui.frame import empty, header, problem
from ui.lab import lab
from ui.pulse import pulse, table_stamp
from ui.runs_table import TICKED, table

first = runs_tools.read()
_, rows, found = first
going = any(row.state in OPEN for row in rows)
known = [first]  # the first time they need not be read again
opened, ticked = st.query_params.get("run"), st.session_state.get(TICKED)


@st.fragment
def overview() -> None:
    """The table, made again when it would say something else; a click on a cell opens its run."""
    at, rows, found = known.pop() if known else runs_tools.read()
    seen = (any(row.state in OPEN for row in rows), st.query_params.get("run"), st.session_state.get(TICKED))
    if seen != (going, opened, ticked):
        st.rerun()  # the rest of the page is shown there
    expected = forecast(lab())
    pulse(tickets.signed("api/pulse", "pulse"), table_stamp(rows, expected), key="table-pulse")
    table(*runs_tools.chosen_of(rows, found, now)[:2], expected, opened, now, at)


every = "Everything that was trained in this lab, and what trains now."
header("Runs", "What was trained, step by step." if kiosk.chosen() else every)
if rows and kiosk.place() is None:  # the tour shows one run, and room is short
    now = runs_tools.view()
    runs_tools.tools(rows, now, found)
    shown, _, sentence = runs_tools.chosen_of(rows, found, now)
    if sentence:
        problem(sentence)
    overview()
    bulk.bar(shown, rows)
elif not rows:
    empty("Nothing was trained here yet.", "train", "Set up the first run")
newest = next((row.id for row in rows if row.archived is None), None)
if chosen := opened or newest:
    try:
        run_view.show(lab().run(chosen))
    except LabError as error:
        problem(error)
disk.panel()
