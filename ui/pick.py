"""Choosing runs. What is chosen stands in the URL, so that every view can be sent to a colleague."""

from collections.abc import Callable, Sequence

import streamlit as st

from aecore.runs import Lab, RunRow, runs
from ui.words import when

Keep = Callable[[RunRow], bool]


def label(row: RunRow) -> str:
    """A run in one line: name, data, code size, owner, when."""
    return f"{row.name} · {row.dataset} · code {row.code_size} · {row.owner} · {when(row.created)}"


def _offered(rows: Sequence[RunRow], keep: Keep | None, wanted: Sequence[str]) -> dict[str, RunRow]:
    """The runs that can be chosen; archived ones where they were asked for."""
    there = (row for row in rows if row.archived is None or row.id in wanted)
    return {row.id: row for row in there if keep is None or keep(row)}


def pick_run(
    lab: Lab, key: str = "run", keep: Keep | None = None, title: str = "Run", rows: Sequence[RunRow] | None = None
) -> RunRow | None:
    """A box to choose one run, bound to `?run=`; the newest where the URL names none. None where there is no run to choose."""
    found = _offered(runs(lab) if rows is None else rows, keep, [st.query_params.get(key, "")])
    if not found:
        return None
    wanted, widget = st.query_params.get(key), f"pick-{key}"
    if wanted and wanted not in found:
        st.info(f"The run {wanted} cannot be shown here: this is the newest one.", icon=":material/info:")
    st.session_state[widget] = wanted if wanted in found else next(iter(found))

    def chosen() -> None:
        st.query_params[key] = st.session_state[widget]

    name = st.selectbox(title, list(found), format_func=lambda run: label(found[run]), key=widget, on_change=chosen)
    return found[name]


def pick_runs(
    lab: Lab,
    key: str = "runs",
    keep: Keep | None = None,
    title: str = "Runs",
    default: Sequence[str] = (),
    rows: Sequence[RunRow] | None = None,
) -> list[RunRow]:
    """A box to choose several runs, bound to `?runs=a,b`, in the order of the choice; `default` where the URL names none."""
    widget = f"pick-{key}"
    wanted = st.query_params[key].split(",") if key in st.query_params else default
    found = _offered(runs(lab) if rows is None else rows, keep, wanted)
    st.session_state[widget] = [run for run in dict.fromkeys(wanted) if run in found]

    def chosen() -> None:
        st.query_params[key] = ",".join(st.session_state[widget])

    names = st.multiselect(title, list(found), format_func=lambda run: label(found[run]), key=widget, on_change=chosen)
    return [found[name] for name in names]
