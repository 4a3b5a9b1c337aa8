"""The table of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from aecore.jobs.forecast import Forecast
from aecore.runs import RunRow
from ui.palette import STATES
from ui.words import ends, starts

ROW_HEIGHT = 38
ROWS, ROWS_WITH_RUN = 12, 4


def table(rows: Sequence[RunRow], expected: Mapping[str, Forecast], chosen: str | None) -> None:
    """All runs, one a row; a click on a row puts its id into the URL and reruns the page."""
    ids = [row.id for row in rows]
    most = ROWS_WITH_RUN if chosen else ROWS
    event = st.dataframe(
        frame(rows, expected),
        column_config=columns(),
        hide_index=True,
        key=f"runs-table-{len(ids)}-{ids[0]}-{chosen}",  # a row's number is another run's after each change of the list
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        selection_default={"selection": {"rows": [ids.index(chosen)] if chosen in ids else []}},
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * (min(len(ids), most) + 1) + 3,
        placeholder="",
        alt="All runs of this lab",
    )
    picked = [ids[place] for place, _ in event.selection.cells] or [ids[place] for place in event.selection.rows]
    if picked and picked[0] != chosen:
        st.query_params.from_dict({"run": picked[0]})
        st.rerun()


def frame(rows: Sequence[RunRow], expected: Mapping[str, Forecast]) -> pd.DataFrame:
    """One row a run, as the columns below show them."""
    return pd.DataFrame(
        {
            "state": [[row.shown] for row in rows],
            "name": [row.name for row in rows],
            "owner": [row.owner for row in rows],
            "data": [row.dataset for row in rows],
            "model": [f"{row.backbone}, {row.bottleneck.replace('_', ' ')}" for row in rows],
            "code": [row.code_size for row in rows],
            "progress": [100 * row.progress for row in rows],
            "loss": [row.loss for row in rows],
            "speed": [row.images_per_second and round(row.images_per_second) for row in rows],
            "starts": [starts(row, expected.get(row.id)) for row in rows],
            "ends": [ends(row, expected.get(row.id)) for row in rows],
        }
    )


def columns() -> dict[str, Any]:
    """Titles, widths and formats of the columns."""
    of = st.column_config
    colours = [colour for colour, _ in STATES.values()]
    return {
        "state": of.MultiselectColumn("State", options=list(STATES), color=colours, width=105),
        "name": of.TextColumn("Name", width=175),
        "owner": of.TextColumn("Owner", width=80),
        "data": of.TextColumn("Data", width=95),
        "model": of.TextColumn("Model", width=125),
        "code": of.NumberColumn("Code size", width=88, format="localized"),
        "progress": of.ProgressColumn("Progress", format="%d%%", min_value=0, max_value=100, width=120),
        "loss": of.NumberColumn("Loss", format="%.4g", width=75),
        "speed": of.NumberColumn("Images/s", format="localized", width=85),
        "starts": of.TextColumn("Starts", width=90),
        "ends": of.TextColumn("Ends", width=140),
    }
