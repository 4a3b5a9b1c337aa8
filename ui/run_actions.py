"""What can be done with a run: buttons and links; whatever touches somebody else's run asks first."""

from collections.abc import Callable
from typing import Any, NamedTuple

import streamlit as st

from aecore.jobs import marks, queue, steer, trash
from aecore.runs import LabError, RunRow, owned_by, rights
from aecore.runs.database import LIVE, OPEN
from aecore.runs.rights import Verb
from ui import telling
from ui.frame import page_link, problem
from ui.lab import lab, visitor, who
from ui.words import plain

PROBLEM = "run-problem"
"""Session key: why the last click did nothing."""
ASKED = "run-asked"
"""Session key: of which run, and for what, somebody was asked; until there is an answer, also when the run gets on meanwhile."""


class Act(NamedTuple):
    """Something that is done to a run by a person."""

    label: str
    icon: str
    verb: Verb
    do: Callable[..., Any]
    then: str
    """What will happen, for the question."""


ACTS = {
    "pause": Act(
        "Pause", ":material/pause:", Verb.PAUSE, steer.pause, "It saves what it has learnt and frees its place."
    ),
    "resume": Act(
        "Resume", ":material/play_arrow:", Verb.RESUME, steer.resume, "It waits for a place, and goes on where it was."
    ),
    "stop": Act("Stop", ":material/stop:", Verb.STOP, queue.stop, "It saves what it has learnt, then ends."),
    "delete": Act(
        "Delete",
        ":material/delete:",
        Verb.DELETE,
        trash.delete,
        "It disappears for everybody; for some days it can be brought back, at the end of this page.",
    ),
    "archive": Act(
        "Archive",
        ":material/archive:",
        Verb.ARCHIVE,
        lambda lab, run, by: marks.archive(lab, [run], by),
        "Lists leave it out; nothing of it is deleted.",
    ),
    "unarchive": Act(
        "Take out of the archive",
        ":material/unarchive:",
        Verb.ARCHIVE,
        lambda lab, run, by: marks.unarchive(lab, [run], by),
        "Lists show it again.",
    ),
}
EARLIER = ("earlier", ":material/arrow_upward:", steer.earlier, "Earlier among your own waiting runs")
LATER = ("later", ":material/arrow_downward:", steer.later, "Later among your own waiting runs")


def actions(row: RunRow) -> None:
    """Everything that can be done with this run as it stands, in a row."""
    with st.container(key="run-actions", horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if row.step:
            page_link("compare", "Compare", ":material/compare:", runs=row.id)
            page_link("latent", "Latent space", ":material/scatter_plot:", run=row.id)
        if row.state != "failed":  # there it stands beside the cause
            clone(row)
        _order(row)
        telling.box(row)
        if row.state in ("queued", *LIVE):
            button(row, "pause", disabled=row.want != "run")
        if row.state in ("paused", "cancelled"):
            button(row, "resume")
        if row.state in OPEN:
            button(row, "stop", disabled=row.want == "cancel")
        if row.state == "completed" and rights.allowed(visitor(), Verb.EXTEND, row.owner):
            _longer(row)
        if row.state not in OPEN:
            button(row, "archive" if row.archived is None else "unarchive")
        button(row, "delete")


def told_problem() -> None:
    """Why the last click did nothing, where that is so."""
    if sentence := st.session_state.pop(PROBLEM, None):
        problem(sentence)


def clone(row: RunRow, label: str = "Clone") -> None:
    """The way to the form, filled as this run was."""
    page_link("train", label, ":material/content_copy:", clone=row.id)


def button(row: RunRow, name: str, label: str = "", disabled: bool = False, main: bool = False) -> None:
    """Do one of ACTS, for those who may; with somebody else's run after a question."""
    act = ACTS[name]
    if not rights.allowed(visitor(), act.verb, row.owner):
        return
    kind: Any = "primary" if main else "secondary"
    if st.button(label or act.label, key=name, icon=act.icon, disabled=disabled, type=kind):
        if owned_by(row, who()):
            _do(row, name)
        else:
            st.session_state[ASKED] = (row.id, name)
    if st.session_state.get(ASKED) == (row.id, name):
        _ask(row, name)


def _do(row: RunRow, name: str) -> None:
    _answered()
    try:
        ACTS[name].do(lab(), row.id, who())
        if name == "delete":
            st.query_params.pop("run", None)
            st.toast(f"**{plain(row.name)}** ({row.id}) was deleted. It can be brought back, at the end of this page.")
    except LabError as error:  # it has ended, or somebody was quicker
        st.session_state[PROBLEM] = str(error)
    st.rerun()


def _ask(row: RunRow, name: str) -> None:
    """Before something is done to somebody else's run: whose it is, and what will happen."""

    @st.dialog(f"This run belongs to {plain(row.owner)}", on_dismiss=_answered)
    def question() -> None:
        st.markdown(f"**{plain(row.name)}** is not yours. {ACTS[name].then} Its history will say that it was you.")
        with st.container(horizontal=True):
            verb = "Take it out" if name == "unarchive" else f"{name.capitalize()} it"
            if st.button(f"{verb} all the same", key=f"{name}-anyway", type="primary"):
                _do(row, name)
            if st.button("Leave it", key="leave"):
                _answered()
                st.rerun()

    question()


def _answered() -> None:
    st.session_state.pop(ASKED, None)


def _order(row: RunRow) -> None:
    """Up and down among one's own waiting runs."""
    if row.shown != "queued" or not owned_by(row, who()) or not rights.allowed(visitor(), Verb.MOVE, row.owner):
        return
    for name, icon, move, help in (EARLIER, LATER):
        if st.button("", key=name, icon=icon, help=help):
            try:
                if not move(lab(), row.id, who()):
                    st.session_state[PROBLEM] = (
                        f"It is the {'first' if name == 'earlier' else 'last'} of yours already."
                    )
            except LabError as error:
                st.session_state[PROBLEM] = str(error)
            st.rerun()


def _longer(row: RunRow) -> None:
    """More epochs, as a new run of one's own: nobody needs to be asked."""
    with st.popover("Train longer", icon=":material/more_time:", key="longer"):
        st.markdown("A new run goes on where this one ended, with the state of its optimiser. This one stays as it is.")
        epochs = st.number_input("More epochs", 1, 100_000, max(1, min(row.epochs, 10)), key="more-epochs")
        if st.button("Queue it", key="extend", type="primary", icon=":material/play_arrow:"):
            try:
                st.query_params["run"] = _extended(str(lab().path), row.id, who(), int(epochs))
            except LabError as error:
                st.session_state[PROBLEM] = str(error)
            st.rerun()


@st.cache_resource(ttl=5, max_entries=64, show_spinner=False)
def _extended(path: str, run_id: str, owner: str, epochs: int) -> str:
    """The new run's id; a second click that follows the first at once gives the same."""
    return steer.extend(lab(), run_id, owner, epochs)
