"""One run: where it stands, its curves and pictures, and what can be done with it."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from aecore.config import flat, writes
from aecore.jobs import queue, trash
from aecore.runs import LabError, RunFolder, RunRow, events, owned_by
from aecore.runs import run as read_row
from aecore.runs.database import OPEN
from ui.frame import page_link
from ui.lab import lab, who
from ui.live import live_curves, live_pictures, shown
from ui.queue import badge, plain
from ui.words import history, standing, when
from ui.words import shown as value_words


def show(folder: RunFolder) -> None:
    """The whole view. Raises LabError where the run was deleted."""
    row = read_row(lab(), folder.id)
    with st.container(key="run-head", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        live(name, row)
        actions(row)
    live(standing_line, row)
    charts(row)
    config, log, past = st.tabs(["Configuration", "Log", "History"])
    with config:
        configuration(folder)
    with log:
        live(printed, row)
    with past:
        live(past_events, row)


def live(part: Callable[[RunRow], None], row: RunRow) -> None:
    """Show a part of the view, and again every two seconds for as long as the run goes on."""

    known = [row]  # the first time it need not be read again

    def newest() -> None:
        try:
            part(known.pop() if known else read_row(lab(), row.id))
        except LabError:  # somebody deleted it: the whole page says so
            st.rerun()

    st.fragment(newest, run_every=2 if row.state in OPEN else None)()


def name(row: RunRow) -> None:
    """The run's name and its state."""
    st.header(f"{plain(row.name)}&ensp;{badge(row)}", anchor=False, width="content")


def standing_line(row: RunRow) -> None:
    """Where it stands and why, in words, and what it is."""
    st.markdown(f"{plain(standing(row))}&ensp;:gray[{plain(facts(row))}]")


def printed(row: RunRow) -> None:
    """The end of the run's log."""
    st.code(lab().run(row.id).log() or "Nothing was printed yet.", language=None, height=320)


def past_events(row: RunRow) -> None:
    """What happened to the run, a line each."""
    for event in events(lab(), row.id):
        st.markdown(f":gray[{when(event.at)}]&ensp;{plain(history(event))}")


def facts(row: RunRow) -> str:
    """Owner, data, model and time in one line."""
    model = f"{row.backbone} with a {row.bottleneck.replace('_', ' ')} code of {row.code_size}"
    return f"{row.owner} · {row.dataset} · {model} · queued {when(row.created)}"


def actions(row: RunRow) -> None:
    """What can be done with a run; somebody else's is stopped or deleted only after a question."""
    with st.container(key="run-actions", horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if row.state not in ("queued", "starting"):
            page_link("compare", "Compare", ":material/compare:", runs=row.id)
            page_link("latent", "Latent space", ":material/scatter_plot:", run=row.id)
        page_link("train", "Clone", ":material/content_copy:", clone=row.id)
        if row.state in OPEN and st.button("Stop", key="stop", icon=":material/stop:", disabled=row.want == "cancel"):
            stop(row) if owned_by(row, who()) else ask(row, "stop")
        if st.button("Delete", key="delete", icon=":material/delete:"):
            delete(row) if owned_by(row, who()) else ask(row, "delete")


def stop(row: RunRow) -> None:
    queue.stop(lab(), row.id, who())
    st.rerun()


def delete(row: RunRow) -> None:
    trash.delete(lab(), row.id, who())
    st.query_params.pop("run", None)
    st.rerun()


def ask(row: RunRow, what: str) -> None:
    """Before something is done to somebody else's run: whose it is, and what will happen."""

    @st.dialog(f"This run belongs to {plain(row.owner)}")
    def question() -> None:
        then = "It saves what it has learnt, then ends." if what == "stop" else "It disappears for everybody."
        st.markdown(f"**{plain(row.name)}** is not yours. {then} Its history will say that it was you.")
        with st.container(horizontal=True):
            if st.button(f"{what.capitalize()} it all the same", key=f"{what}-anyway", type="primary"):
                (stop if what == "stop" else delete)(row)
            if st.button("Leave it", key="leave"):
                st.rerun()

    question()


def charts(row: RunRow) -> None:
    """Live curves beside live pictures."""
    left, right = st.columns([46, 54], gap="large")
    with left:
        live_curves(shown([(row.id, row.name)]), key=f"curves-{row.id}")
    with right:
        live_pictures(shown([(row.id, "Reconstruction")]), key=f"pictures-{row.id}", lines=2)


def configuration(folder: RunFolder) -> None:
    """Every field by its path, and the file itself."""
    config = folder.config()
    values = {path: value_words(value) for path, value in flat(config).items()}
    table = pd.DataFrame({"field": values.keys(), "value": values.values()})
    st.dataframe(table, hide_index=True, height=320, key="config-table")
    name = f"{folder.id}.json"
    st.download_button("Download as JSON", writes(config), name, "application/json", icon=":material/download:")
