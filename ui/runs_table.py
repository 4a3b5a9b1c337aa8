"""The table of runs: one a row, or one a configuration with all its seeds."""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from aecore.analysis.quality_words import FACTORS, FIGURES
from aecore.jobs.forecast import Forecast
from aecore.runs import RunRow
from aecore.runs.changes import Newest
from aecore.runs.groups import by_seed, interval, once
from aecore.runs.index import Moment
from aecore.runs.text import isolated
from aecore.runs.values import RESULTS, SEED, Values, config_values
from ui.lab import lab
from ui.palette import STATES
from ui.runs_tools import TITLES, View
from ui.words import ends, shown, starts

ROW_HEIGHT = 38
ROWS, ROWS_WITH_RUN = 12, 5
TICKED = "runs-ticked"
"""Session key: ids of the runs that are ticked."""


def table(
    rows: Sequence[RunRow],
    found: Sequence[Values],
    expected: Mapping[str, Forecast],
    chosen: str | None,
    now: View,
    at: Moment,
) -> None:
    """The rows of a view, as they were at a moment. A click on a cell puts the run's id into the URL; ticked rows are kept in the session under TICKED."""
    here = lab()
    groups = by_seed([row.id for row in rows], [config_values(here, row) for row in rows]) if now.seeds else None
    ids = groups or [[row.id] for row in rows]
    if groups:
        made = grouped(rows, found, groups, now.columns)
    else:  # once for all who look at the same
        made = _frames.at((at.viewer, now), at, lambda: frame(rows, found, expected, now.columns))
    if groups and (name := now.sort.removeprefix("-")) in made.columns and name != "state":
        made = made.sort_values(name, ascending=not now.sort.startswith("-"), kind="stable", na_position="last")
        ids = [ids[place] for place in made.index]  # by the mean over the seeds, not by the best of them
    ticked = st.session_state.get(TICKED, ())
    places = [place for place, group in enumerate(ids) if set(group) <= set(ticked)]
    # a row's number is another run's after each change of the list
    key = f"runs-table-{zlib.crc32(','.join(group[0] for group in ids).encode())}-{len(ids)}"
    st.dataframe(
        made,
        column_config=columns(made),
        hide_index=True,
        key=key,
        on_select=lambda: _selected(key, ids),
        selection_mode=["multi-row", "single-cell"],
        selection_default={"selection": {"rows": places}},
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * (max(1, min(len(ids), ROWS_WITH_RUN if chosen else ROWS)) + 1) + 3,
        placeholder="",
        alt="The runs of this lab",
    )


def _selected(key: str, ids: Sequence[Sequence[str]]) -> None:
    """A cell was clicked, or rows were ticked."""
    selection = st.session_state[key]["selection"]
    st.session_state[TICKED] = [run for place in selection["rows"] for run in ids[place]]
    if selection["cells"]:
        st.query_params["run"] = ids[selection["cells"][0][0]][0]
        st.query_params.pop("at", None)


_frames: Newest[pd.DataFrame] = Newest(8)


def frame(
    rows: Sequence[RunRow], found: Sequence[Values], expected: Mapping[str, Forecast], names: Sequence[str]
) -> pd.DataFrame:
    """One row a run, with these columns."""
    made = {name: [_cell(name, row, one, expected) for row, one in zip(rows, found, strict=True)] for name in names}
    if "owner" in made:
        made["owner"] = _short(made["owner"])
    return pd.DataFrame(made)


def _short(owners: list[str]) -> list[str]:
    """Owners in the width of their column: where all are addresses of one domain, without it."""
    domains = {owner.partition("@")[2] for owner in owners}
    return [owner.partition("@")[0] for owner in owners] if len(domains) == 1 and "" not in domains else owners


def _cell(name: str, row: RunRow, known: Values, expected: Mapping[str, Forecast]) -> Any:
    match name:
        case "state":
            return [row.shown]
        case "model":
            return f"{row.backbone}, {row.bottleneck.replace('_', ' ')}"
        case "progress":
            return 100 * row.progress
        case "speed":
            return row.images_per_second and round(row.images_per_second)
        case "starts":
            return starts(row, expected.get(row.id))
        case "ends":
            return ends(row, expected.get(row.id))
        case "tags" | "tag":
            return [*["archived"] * (row.archived is not None), *row.tags]  # as on the run's own page
    value = known.get(name)
    return isolated(value) if isinstance(value, str) else shown(value) if isinstance(value, tuple | list) else value


def grouped(
    rows: Sequence[RunRow], found: Sequence[Values], groups: Sequence[Sequence[str]], names: Sequence[str]
) -> pd.DataFrame:
    """One row a configuration: how many seeds; of each number that is shown the mean over them and half the 95 % interval."""
    by_id = {row.id: (row, one) for row, one in zip(rows, found, strict=True)}
    members = [[by_id[run] for run in group] for group in groups]
    seeds = [[one.get(SEED) for _, one in group] for group in members]
    content: dict[str, list[Any]] = {"seeds": [len(set(group)) for group in seeds]}
    for name in names:
        if name in ("starts", "ends", SEED):
            continue
        cells = [[_cell(name, row, one, {}) for row, one in group] for group in members]
        if name in MEASURED or name.startswith(RESULTS):
            means = [interval(once(group, of)) for group, of in zip(cells, seeds, strict=True)]
            content[name] = [mean and mean.mean for mean in means]
            content[f"{name} ±"] = [mean and mean.half for mean in means]
        else:
            content[name] = [_together(group) for group in cells]
    return pd.DataFrame(content)


MEASURED = ("loss", "speed")
"""Columns that differ from seed to seed; results do, too."""


SEEDED = re.compile(r", seed \d+$")
"""How the runs of a sweep are called apart."""


def _together(cells: Sequence[Any]) -> Any:
    """What the runs of a group have in common."""
    if isinstance(cells[0], list):
        return list(dict.fromkeys(part for cell in cells for part in cell))
    if len(set(cells)) > 1 and all(isinstance(cell, str) for cell in cells):
        cells = [SEEDED.sub("", cell) for cell in cells]
    if all(cell == cells[0] for cell in cells):
        return cells[0]
    if all(isinstance(cell, int | float) for cell in cells):
        return sum(cells) / len(cells)
    return ", ".join(dict.fromkeys(map(str, cells)))


def columns(made: pd.DataFrame) -> dict[str, Any]:
    """Titles, widths and formats of the columns that there are."""
    of = st.column_config
    colours = [colour for colour, _ in STATES.values()]
    known: dict[str, Any] = {
        "state": of.MultiselectColumn(options=list(STATES), color=colours, width=100),
        "seeds": of.NumberColumn(width=60),
        "name": of.TextColumn(width=_width_of_names(made)),
        "owner": of.TextColumn(width=72),
        "data": of.TextColumn(width=82),
        "model": of.TextColumn(width=125),
        "code": of.NumberColumn(width=82, format="localized"),
        "progress": of.ProgressColumn(format="%.0f%%", min_value=0, max_value=100, width=100),
        "loss": of.NumberColumn(format="%.4g", width=70),
        "speed": of.NumberColumn(format="localized", width=80),
        "starts": of.TextColumn(width=70),
        "ends": of.TextColumn(width=108),
        "tags": of.ListColumn(width=100 if any(made.get("tags", ())) else 50),
        "tag": of.ListColumn(width=140),
        "note": of.TextColumn(width=220),
        "device": of.TextColumn(),
    }
    return {
        name: known[name] | {"label": TITLES[name]} if name in known else _column(name, made[name])
        for name in made.columns
    }


def _width_of_names(made: pd.DataFrame) -> int:
    """Pixels: runs of a sweep differ in the last words of a long name."""
    longest = max(map(len, made.get("name", ())), default=0)
    return min(max(150, 7 * longest + 16), 290)


def _column(name: str, cells: "pd.Series[Any]") -> Any:
    """A field of the configuration, or a result: its last word is the title."""
    of, title = st.column_config, name if name.startswith(RESULTS) else TITLES.get(name, name.rpartition(".")[2])
    if name.endswith(" ±"):
        return of.NumberColumn(
            "± 95 %", format="%.2g", width=70, help=f"{name[:-2]}: half the 95 % interval, Student's t"
        )
    if pd.api.types.is_bool_dtype(cells):
        return of.CheckboxColumn(title, help=name)
    if pd.api.types.is_numeric_dtype(cells):
        figure = (FIGURES | FACTORS).get(name.partition(".")[2]) if name.startswith(("quality.", "factors.")) else None
        if figure:
            return of.NumberColumn(figure.title, help=f"{name}: {figure.read}", format=f"%{figure.form}")
        return of.NumberColumn(title, help=name, format="%.4g")
    return of.TextColumn(title, help=name)
