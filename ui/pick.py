"""Choosing runs. What is chosen stands in the URL, so that every view can be sent to a colleague."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from aecore.runs import Lab, RunRow, runs
from aecore.runs.text import isolated
from ui import comparison, sweeps
from ui.words import plain, sized, when

Keep = Callable[[RunRow], bool]


def label(row: RunRow) -> str:
    """A run in one line: name, code size, data, owner, when."""
    return f"{sized(row, ' · ')} · {row.dataset} · {isolated(row.owner)} · {when(row.created)}"


def told_apart(rows: Mapping[str, RunRow]) -> Callable[[str], str]:
    """What a box writes for a run id: its line, with the id behind it where two would read the same.

    A box sends back what it wrote, so that of two equal lines only the first could be chosen.
    """
    lines = {name: label(row) for name, row in rows.items()}
    count = Counter(lines.values())
    return {name: line if count[line] == 1 else f"{line} · {name}" for name, line in lines.items()}.__getitem__


def _offered(rows: Sequence[RunRow], keep: Keep | None, wanted: Sequence[str]) -> dict[str, RunRow]:
    """The runs that can be chosen; archived ones where they were asked for."""
    there = (row for row in rows if row.archived is None or row.id in wanted)
    return {row.id: row for row in there if keep is None or keep(row)}


def pick_run(lab: Lab, keep: Keep | None = None, boxed: bool = True) -> RunRow | None:
    """A box to choose one run, bound to `?run=`; the newest where the URL names none. None where there is no run to choose.

    Without the box where it is not `boxed`.
    """
    found = _offered(runs(lab), keep, [st.query_params.get("run", "")])
    if not found:
        return None
    wanted, widget = st.query_params.get("run"), "pick-run"
    if not boxed:
        return found.get(wanted or "", next(iter(found.values())))
    if wanted and wanted not in found:
        st.info(f"The run {plain(wanted)} cannot be shown here: this is the newest one.", icon=":material/info:")
    st.session_state[widget] = wanted if wanted in found else next(iter(found))

    def chosen() -> None:
        st.query_params["run"] = st.session_state[widget]

    name = st.selectbox("Run", list(found), format_func=told_apart(found), key=widget, on_change=chosen)
    return found[name]


def compared(lab: Lab, rows: Sequence[RunRow]) -> tuple[str, list[RunRow], list[str]]:
    """What the address names to be compared: a sweep (`?sweep=`) or several runs (`?runs=a,b`, in this order).

    Returns: the sweep or '', the runs, and a sentence for each one that is named and not there.
    """
    name, known = st.query_params.get("sweep", ""), sweeps.known(rows)
    if name in known:
        return name, [row for row in known[name] if row.step], []
    said = [f"There is no sweep {name} here, or its runs were deleted."] * bool(name)
    wanted = _wanted(rows)
    found = _comparable(rows, wanted)
    return (
        "",
        [found[run] for run in wanted if run in found],
        said + comparison.missing(lab, wanted, list(found.values())),
    )


def compared_boxes(rows: Sequence[RunRow]) -> None:
    """The boxes that choose the same, and write it into the address."""
    known, name = sweeps.known(rows), st.query_params.get("sweep", "")
    place = st.container()
    if known:
        place, beside = st.columns([3.2, 1], gap="medium")
        _sweep_box(known, name if name in known else "", beside)
    if name in known:
        place.markdown(f"**{len(known[name])} runs** of this sweep, {sweeps.order(known[name])}.")
    else:
        with place:
            _runs_box(rows)


def _sweep_box(known: dict[str, list[RunRow]], name: str, place: st.delta_generator.DeltaGenerator) -> None:
    st.session_state["pick-sweep"] = name

    def chosen() -> None:
        st.query_params.clear()
        if st.session_state["pick-sweep"]:
            st.query_params["sweep"] = st.session_state["pick-sweep"]

    said = {"": "No sweep: runs of my choice", **{one: f"{one} ({len(known[one])} runs)" for one in known}}
    place.selectbox("Sweep", list(said), format_func=said.__getitem__, key="pick-sweep", on_change=chosen)


def _runs_box(rows: Sequence[RunRow]) -> None:
    wanted = _wanted(rows)
    found = _comparable(rows, wanted)
    st.session_state["pick-runs"] = [run for run in wanted if run in found]

    def chosen() -> None:
        st.query_params["runs"] = ",".join(st.session_state["pick-runs"])

    st.multiselect("Runs", list(found), format_func=told_apart(found), key="pick-runs", on_change=chosen, wrap=True)


def _wanted(rows: Sequence[RunRow]) -> list[str]:
    """The runs that the address names, once each; without any the newest two that go together."""
    if "runs" in st.query_params:
        return [run for run in dict.fromkeys(st.query_params["runs"].split(",")) if run]
    return comparison.default([row for row in rows if row.archived is None])


def _comparable(rows: Sequence[RunRow], wanted: Sequence[str]) -> dict[str, RunRow]:
    return _offered(rows, lambda row: row.step > 0, wanted)
