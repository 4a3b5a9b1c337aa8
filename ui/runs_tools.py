"""Above the table of runs: the filter, the columns, the order, seeds together, the archive. All of it stands in the URL."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import streamlit as st

from aecore.runs import RunRow, runs
from aecore.runs.changes import Newest
from aecore.runs.filters import FilterError, holds, parse
from aecore.runs.index import Moment, moment
from aecore.runs.values import Values, all_values, names
from ui.lab import lab
from ui.remembered import recall, remember

STANDARD = ("state", "name", "owner", "data", "model", "code", "progress", "loss", "speed", "starts", "ends", "tags")
OTHERS = ("note", "device", "epoch", "id")
TITLES = {name: name.capitalize() for name in (*STANDARD, *OTHERS)} | {
    "code": "Code size",
    "speed": "Images/s",
    "id": "ID",
}
TITLES |= {"tag": "Tags", "seeds": "Seeds"}
"""Of the columns that no path names, above the table and where they are chosen."""
HELP = """Words are looked for in name, id, data, owner, tags and note. A field is compared by `=`, `!=`, `<`, `<=`, `>`, `>=`
or `~` (contains), and named by its path or the end of it. Examples:

`mnist code<=8` · `tag=demo` · `state=failed owner=ada` · `objective.kind=elbo beta>1` · `test.psnr>20` · `note~"first try"`"""


class View(NamedTuple):
    """How the table is shown."""

    filter: str
    columns: tuple[str, ...]
    sort: str
    """A column, with a minus before it where the largest come first; '' for the newest first."""
    seeds: bool
    archived: bool


def view() -> View:
    """From the URL, else as this visitor left it."""
    asked = st.query_params
    kept = recall("columns", list(STANDARD))
    columns = asked["cols"].split(",") if asked.get("cols") else [str(name) for name in kept]
    return View(
        asked.get("filter", ""),
        tuple(dict.fromkeys(filter(None, columns))) or STANDARD,
        asked.get("sort", ""),
        asked.get("seeds") == "together",
        asked.get("archived") == "shown",
    )


def _put(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def tools(rows: Sequence[RunRow], now: View, found: Sequence[Values]) -> None:
    """The widgets; each writes into the URL."""
    with st.container(key="runs-tools", horizontal=True, vertical_alignment="center", gap="small"):
        _typed(now)
        with st.popover("Columns", icon=":material/view_column:", key="runs-columns"):
            others = (name for name in names(found) if name != "tag")  # which is what a filter calls the tags
            _columns(now, list(dict.fromkeys([*STANDARD, *OTHERS, *others, *now.columns])))
        _switch("seeds", "Seeds together", now.seeds, "together", "One row for runs that differ in their seed alone")
        if now.archived or any(row.archived for row in rows):
            _switch("archived", "Archive", now.archived, "shown", "Show the runs that were archived")


def _typed(now: View) -> None:
    key = "runs-filter"
    st.session_state[key] = now.filter

    def changed() -> None:
        _put("filter", st.session_state[key].strip())

    st.text_input(
        "Filter", key=key, placeholder="Filter: mnist code<=8 tag=demo beta>1 …", label_visibility="collapsed",
        on_change=changed, help=HELP, width="stretch",
    )  # fmt: skip


def _switch(name: str, label: str, on: bool, word: str, help: str) -> None:
    key = f"runs-{name}"
    st.session_state[key] = on

    def changed() -> None:
        _put(name, word if st.session_state[key] else "")

    st.toggle(label, key=key, help=help, on_change=changed)


def _columns(now: View, known: list[str]) -> None:
    st.session_state["runs-cols"] = list(now.columns)
    shown, said = now.sort.removeprefix("-"), lambda name: TITLES.get(name, name or "newest first")
    st.session_state["runs-sort"] = shown if shown in known else ""
    st.session_state["runs-falling"] = now.sort.startswith("-")

    def columns() -> None:
        chosen = st.session_state["runs-cols"] or list(STANDARD)
        remember("columns", chosen)
        _put("cols", ",".join(chosen) if tuple(chosen) != STANDARD else "")

    def order() -> None:
        sort = st.session_state["runs-sort"]
        _put("sort", f"{'-' * bool(st.session_state['runs-falling'])}{sort}" if sort else "")

    st.multiselect(
        "Columns", known, key="runs-cols", on_change=columns, format_func=said,
        help="Any field of the configuration and any result.",
    )  # fmt: skip
    st.selectbox("Order", ["", *known], key="runs-sort", on_change=order, format_func=said)
    st.checkbox("Largest first", key="runs-falling", on_change=order, disabled=not shown)


class Known(NamedTuple):
    """All runs, and what is known of each: config and results, so that every name of them can be chosen."""

    at: Moment
    """The moment at which it was read."""
    rows: list[RunRow]
    found: list[Values]


def read() -> Known:
    """Once for all who see the same."""
    here = lab()
    at = moment(here)
    return _known.at(at.viewer, at, lambda: Known(at, rows := runs(here), all_values(here, rows)))


_known: Newest[Known] = Newest(32)


def chosen_of(rows: Sequence[RunRow], found: Sequence[Values], now: View) -> tuple[list[RunRow], list[Values], str]:
    """The rows that the filter leaves, and their values, in order; all, and a sentence, where the filter cannot be read."""
    pairs, sentence = [pair for pair in zip(rows, found, strict=True) if now.archived or pair[0].archived is None], ""
    try:
        conditions = parse(now.filter, names(found)) if now.filter else []
        pairs = [pair for pair in pairs if holds(conditions, pair[1])]
    except FilterError as error:
        sentence = str(error)
    if name := now.sort.removeprefix("-"):
        pairs = _sorted(pairs, name, now.sort.startswith("-"))
    return [row for row, _ in pairs], [one for _, one in pairs], sentence


SAME = {"model": "model.backbone.kind", "progress": "step", "tags": "tag", "starts": "created", "ends": "ended"}


def _sorted(pairs: list[tuple[RunRow, Values]], name: str, falling: bool) -> list[tuple[RunRow, Values]]:
    """By one value; numbers before words, what is not known last."""

    def value(pair: tuple[RunRow, Values]) -> Any:
        found = {"starts": pair[0].created, "ends": pair[0].ended}.get(name, pair[1].get(SAME.get(name, name)))
        return found if isinstance(found, int | float) else str(found).lower() if found else None

    known = [pair for pair in pairs if value(pair) is not None]
    known.sort(key=lambda pair: (isinstance(value(pair), str), value(pair)), reverse=falling)
    return known + [pair for pair in pairs if value(pair) is None]
