"""What is done with several runs at once; whatever touches somebody else's asks first."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import streamlit as st

from aecore.jobs import marks, owners, queue
from aecore.runs import LabError, RunRow, owned_by, rights
from aecore.runs.database import OPEN
from aecore.runs.rights import Verb
from ui import ways
from ui.frame import page_link
from ui.lab import lab, visitor, who
from ui.run_actions import PROBLEM
from ui.runs_table import TICKED
from ui.words import plain


class Bulk(NamedTuple):
    """Something that is done to several runs: what the button says, and to which of them it can be done."""

    label: str
    icon: str
    verb: Verb
    do: Callable[[Sequence[RunRow]], None]
    fits: Callable[[RunRow], bool]


def _stop(rows: Sequence[RunRow]) -> None:
    for row in rows:
        queue.stop(lab(), row.id, who())


ACTS = {
    "stop": Bulk("Stop", ":material/stop:", Verb.STOP, _stop, lambda row: row.state in OPEN and row.want != "cancel"),
    "archive": Bulk(
        "Archive",
        ":material/archive:",
        Verb.ARCHIVE,
        lambda rows: _none(marks.archive(lab(), [row.id for row in rows], who())),
        lambda row: row.state not in OPEN and row.archived is None,
    ),
    "unarchive": Bulk(
        "Take out of the archive",
        ":material/unarchive:",
        Verb.ARCHIVE,
        lambda rows: marks.unarchive(lab(), [row.id for row in rows], who()),
        lambda row: row.archived is not None,
    ),
}


def _none(_: object) -> None: ...


def bar(rows: Sequence[RunRow], every: Sequence[RunRow]) -> None:
    """What can be done with those of the shown rows that are ticked; where none is, a hint, and how many of all are shown."""
    ticked = set(st.session_state.get(TICKED, ()))
    chosen = [row for row in rows if row.id in ticked]
    with st.container(key="runs-bulk", horizontal=True, vertical_alignment="center", gap="small"):
        if not chosen:
            put = sum(row.archived is not None for row in every) - sum(row.archived is not None for row in rows)
            away = f", {put:,} in the archive" if put else ""
            some = f"{len(rows):,} of {len(every):,} runs{away}. " if len(rows) < len(every) else ""
            what = "compare, tag, archive or stop" if rights.allowed(visitor(), Verb.SUBMIT) else "compare"
            click = f"Click a run to open it; tick several to {what} them." if rows else ""
            st.markdown(f":gray[{some}{click}]")
            return
        st.markdown(f"**{len(chosen)} ticked**", width="content")
        if any(row.step for row in chosen):
            runs = ",".join(row.id for row in chosen if row.step)
            page_link("compare", "Compare", ":material/compare:", runs=runs)
        if _may(Verb.MARK, chosen):
            with st.popover("Tag", icon=":material/sell:", key="bulk-tag"):
                _tags(chosen)
        for name, act in ACTS.items():
            if fitting := [row for row in chosen if act.fits(row) and _may(act.verb, [row])]:
                some_of = "" if len(fitting) == len(chosen) else f" {len(fitting)}"
                if st.button(f"{act.label}{some_of}", key=f"bulk-{name}", icon=act.icon):
                    _ask(name, fitting)
        if ways.way(lab()) and _may(Verb.HAND_OVER, chosen):
            with st.popover("Give away", icon=":material/group:", key="bulk-give"):
                _give(chosen)
        st.button("Untick", key="bulk-none", type="tertiary", on_click=_untick)


def _may(verb: Verb, rows: Sequence[RunRow]) -> bool:
    return all(rights.allowed(visitor(), verb, row.owner) for row in rows)


def _give(rows: Sequence[RunRow]) -> None:
    """Another owner, where somebody has left."""
    with st.form("bulk-give-to", border=False, clear_on_submit=True):
        to = " ".join(st.text_input("Give them to", key="bulk-owner", placeholder="A name").split())
        if st.form_submit_button("Give them away", type="primary") and to:
            _done(lambda: owners.hand_over(lab(), [row.id for row in rows], to, who()))


def _untick() -> None:
    st.session_state[TICKED] = []
    for key in [key for key in st.session_state if str(key).startswith("runs-table-")]:
        del st.session_state[key]


def _tags(rows: Sequence[RunRow]) -> None:
    there = sorted({tag for row in rows for tag in row.tags})
    with st.form("bulk-tags", border=False, clear_on_submit=True):
        new = st.text_input("Add tags", key="bulk-add", placeholder="demo, for the paper", help="Separated by commas")
        gone = st.multiselect("Take away", there, key="bulk-remove") if there else []
        if st.form_submit_button("Apply", type="primary"):
            added = [text for text in new.split(",") if text.strip()]
            _done(lambda: marks.tag(lab(), [row.id for row in rows], added, gone))


def _ask(name: str, rows: Sequence[RunRow]) -> None:
    """Do it; where some are somebody else's, after a question."""
    others = sorted({row.owner for row in rows if not owned_by(row, who())})
    if not others:
        _done(lambda: ACTS[name].do(rows))

    @st.dialog("Not all of these runs are yours")
    def question() -> None:
        whose = sum(row.owner in others for row in rows)
        st.markdown(
            f"{whose} of {len(rows)} belong{'s' * (whose == 1)} to {plain(', '.join(others))}. Their history will say that it was you."
        )
        with st.container(horizontal=True):
            if st.button(f"{ACTS[name].label} all the same", key=f"bulk-{name}-anyway", type="primary"):
                _done(lambda: ACTS[name].do(rows))
            mine = [row for row in rows if owned_by(row, who())]
            if mine and st.button("Only mine", key=f"bulk-{name}-mine"):
                _done(lambda: ACTS[name].do(mine))
            if st.button("Leave them", key="bulk-leave"):
                st.rerun()

    question()


def _done(act: Callable[[], None]) -> None:
    try:
        with st.spinner("Just a moment …"):
            act()
    except LabError as error:
        st.session_state[PROBLEM] = str(error)
    st.rerun()
