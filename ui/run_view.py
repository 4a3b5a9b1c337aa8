"""One run: where it stands, its curves and pictures, and what can be done with it."""

import re

import pandas as pd
import streamlit as st

from aecore.config import ConfigError, flat, writes
from aecore.jobs import announce, marks
from aecore.jobs.forecast import forecast
from aecore.runs import LabError, RunFolder, RunRow, events, rights, runs
from aecore.runs import run as read_row
from aecore.runs.database import WAITS
from aecore.runs.history import history
from aecore.runs.rights import Verb
from aecore.runs.text import isolated
from ui import files, kiosk, private, tickets, ways
from ui.frame import page_link, problem
from ui.healing import run_health
from ui.lab import lab, visitor
from ui.latent_selection import NAME
from ui.live import live_curves, live_moment, live_pictures, shown
from ui.palette import TONES
from ui.pulse import pulse, run_stamp
from ui.queue import badge
from ui.run_actions import PROBLEM, actions, button, clone, told_problem
from ui.words import advice, figures, needs_room, plain, standing, what_is_kept, when
from ui.words import shown as value_words

KEPT = re.compile(r" The checkpoint of step [\d,]+ is kept\.$")


def show(folder: RunFolder) -> None:
    """The whole view. Raises LabError where the run was deleted."""
    row = read_row(lab(), folder.id)
    pulse(tickets.signed(f"api/pulse/{row.id}", row.id), run_stamp(row), key=f"pulse-{row.id}")
    with st.container(key="run-head", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        name(row)
        actions(row)
    told_problem()
    standing_line(row)
    with st.container(key="run-figures", horizontal=True, vertical_alignment="center"):
        figures_line(row)
        marked(row)
    if row.note:
        st.text(row.note)
    parent(row)
    if outcome := announce.outcome(lab(), row):
        st.markdown(f":gray[{plain(outcome)}]")
    if row.state == "failed":
        failure(row)
    charts(row)
    if NAME in st.query_params:
        from ui import latent_chosen  # with all that the latent map needs

        latent_chosen.show(row)
    parts = {
        "History": lambda: past_events(row),
        "Configuration": lambda: configuration(folder),
        "Log": lambda: printed(row),
    }
    if not kiosk.chosen():  # what stands there is to be looked at, not to be taken along
        parts["Files"] = lambda: files.panel(row)
    for tab, part in zip(st.tabs(list(parts)), parts.values(), strict=True):
        with tab:
            part()


def name(row: RunRow) -> None:
    """The run's name and its state."""
    st.header(f"{plain(row.name)}&ensp;{badge(row)}", anchor=False, width="content")


def standing_line(row: RunRow) -> None:
    """Where it stands and why, in words, and what it is."""
    expected = forecast(lab()).get(row.id) if row.shown == "queued" else None
    sentence = standing(row, expected)
    if needs_room(row):
        why = row.reason.removeprefix(WAITS)
        st.warning(plain(why[:1].upper() + why[1:]), icon=":material/hard_drive:")
        sentence = ""
    why = " ".join(filter(None, [expected.rule, expected.why])).removesuffix(".") if expected else ""
    quiet = f"{why} · {facts(row)}" if why else facts(row)
    st.markdown(f"{plain(sentence)}{'&ensp;' * bool(sentence)}:gray[{plain(quiet)}]")


def marked(row: RunRow) -> None:
    """Its tags and its note, as they were typed, and the box to change them."""
    with st.container(key="run-marks", horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if row.archived:
            st.badge("archived", icon=":material/archive:", color="gray")
        if row.private:
            st.badge("private", icon=":material/visibility_off:", color="gray")
        for tag in row.tags:
            st.markdown(f":blue-badge[:material/sell: {plain(tag)}]", width="content")  # `st.badge` escapes once more
        if rights.allowed(visitor(), Verb.MARK, row.owner):
            with st.popover("Tags and note", icon=":material/edit_note:", key="run-mark", type="tertiary"):
                _mark(row)
        if ways.way(lab()) and rights.allowed(visitor(), Verb.HIDE, row.owner):
            with st.popover("Who sees it", icon=":material/group:", key="run-private", type="tertiary"):
                private.panel(row)


def _mark(row: RunRow) -> None:
    box, read = f"note-{row.id}", f"read-note-{row.id}"
    if box not in st.session_state or read not in st.session_state:
        st.session_state[read] = row.note
    with st.form(f"mark-{row.id}", border=False):
        tags = st.text_input("Tags", ", ".join(row.tags), key=f"tags-{row.id}", help="Separated by commas")
        note = st.text_area("Note", row.note, key=box, max_chars=marks.LONGEST_NOTE)
        if st.form_submit_button("Keep", type="primary"):
            wanted = [text for text in tags.split(",") if text.strip()]
            try:
                marks.tag(lab(), [row.id], wanted, set(row.tags) - {text.strip() for text in wanted})
                if note != (before := st.session_state.pop(read)):
                    marks.annotate(lab(), row.id, note, before)
            except LabError as error:
                st.session_state[PROBLEM] = str(error)
            st.rerun()


def parent(row: RunRow) -> None:
    """The run that this one goes on from."""
    if row.parent is None:
        return
    if runs(lab(), [row.parent]):
        page_link("runs", f"goes on from {plain(row.parent)}", ":material/subdirectory_arrow_right:", run=row.parent)
    else:
        st.markdown(f":gray[goes on from {plain(row.parent)}, which was deleted]")


def failure(row: RunRow) -> None:
    """Of a failed run side by side: the cause, what was kept, and what to do."""
    cause, _, lines = row.reason.partition("\n")
    cause = KEPT.sub("", cause)  # it stands in its own column
    with st.container(key="failure", border=True):
        happened, kept, next_step = st.columns([40, 27, 33], gap="large")
        happened.markdown(f"**What happened**\n\n{plain(cause)}")
        kept.markdown(f"**What is kept**\n\n{plain(what_is_kept(row))}")
        sentence, again = advice(row)
        next_step.markdown(f"**What to do**\n\n{plain(sentence)}")
        with next_step.container(horizontal=True, vertical_alignment="center", gap="small"):
            button(row, "resume", "Resume" if row.checkpoint_step else "Try again", main=again)
            clone(row, "Clone and change")
        if lines:
            st.code(lines, language=None)


def figures_line(row: RunRow) -> None:
    """What was measured of the model: on the test images once it is analysed, until then on those that were watched."""
    folder = lab().run(row.id)
    metrics = folder.analysis_metrics() or {}
    if text := figures(metrics.get("test") or folder.result() or {}, metrics.get("anomalies")):
        st.markdown(f":gray[{plain(text)}]")


def printed(row: RunRow) -> None:
    """The end of the run's log."""
    st.code(lab().run(row.id).log() or "Nothing was printed.", language=None, height=320)


def past_events(row: RunRow) -> None:
    """What happened to the run, a line each."""
    for line in history(events(lab(), row.id)):
        colour, icon = TONES[line.tone]
        st.markdown(f":gray[{when(line.at)}]&ensp;:{colour}[:material/{icon}:]&ensp;{plain(line.sentence)}")


def facts(row: RunRow) -> str:
    """Owner, data, model and time in one line."""
    model = f"{row.backbone} with a {row.bottleneck.replace('_', ' ')} code of {row.code_size:,}"
    return f"{isolated(row.owner)} · {row.dataset} · {model} · queued {when(row.created)}"


def charts(row: RunRow) -> None:
    """Live curves beside live pictures, and below both what the moment of the slider looks like."""
    left, right = st.columns([46, 54], gap="large")
    with left:
        live_curves(shown([(row.id, row.name)]), key=f"curves-{row.id}", shared=True)
    with right:
        live_pictures(shown([(row.id, "Reconstruction")]), key=f"pictures-{row.id}", lines=1, shared=True)
        findings(row)
    live_moment(shown([(row.id, row.name)])[0], key=f"moment-{row.id}")


def findings(row: RunRow) -> None:
    """How it does, in words, each with the control that cures it."""
    for found in run_health(row):
        colour, icon = TONES[found.tone]
        with st.container(key=f"health-{found.rule.replace(' ', '-')}", horizontal=True, vertical_alignment="center"):
            st.markdown(f":{colour}[:material/{icon}:]&ensp;{plain(found.sentence)} :gray[{plain(found.cure)}]")
            if found.change is not None:
                change = found.change.assignment
                page_link("train", "Clone with that", ":material/healing:", clone=row.id, set=change)


def configuration(folder: RunFolder) -> None:
    """Every field by its path, and the file itself."""
    try:
        config = folder.config()
    except ConfigError as error:
        problem(error)
        return
    values = {path: value_words(value) for path, value in flat(config).items()}
    table = pd.DataFrame({"field": values.keys(), "value": values.values()})
    st.dataframe(table, hide_index=True, height=320, key="config-table")
    name = f"{folder.id}.json"
    st.download_button("Download as JSON", writes(config), name, "application/json", icon=":material/download:")
