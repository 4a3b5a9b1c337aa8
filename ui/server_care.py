"""What the keeper of a lab changes: the banner, maintenance, settings, and what lies on the disk for nothing."""

import shutil
from typing import Any

import streamlit as st

from aecore.config import ConfigError
from aecore.config.fields import FieldAt, walk
from aecore.jobs import care, cleanup, doctor
from aecore.jobs.settings import BY_HAND, by_hand, change
from aecore.runs import Lab, LabError, usage
from aecore.runs.text import size
from ui import server_now, ways, widgets
from ui.frame import problem, section
from ui.lab import lab, who
from ui.words import plain

SAID = "server-said"
"""Session key: what the last click did."""
DRAIN = {"off": "Runs start", "finish": "Finish these", "save": "Save and wait"}
OWN = ("drain", "banner")
"""Settings with a place of their own on the page."""


def told() -> None:
    """What the last click did, or why it did nothing."""
    kind, text = st.session_state.pop(SAID, ("", ""))
    if kind == "problem":
        problem(text)
    elif kind:
        st.success(plain(text), icon=":material/check:")


def _change(values: dict[str, Any], said: str) -> None:
    try:
        if problem := ways.shut_out(lab(), values):
            raise ConfigError({"access.admins": problem})
        changed = change(lab(), values, who())
        st.session_state[SAID] = ("done", said) if changed else ("done", "Nothing was changed.")
    except (ConfigError, LabError) as error:
        st.session_state[SAID] = ("problem", str(error))


def maintenance() -> None:
    """Drain, banner and restart, in a row."""
    settings = lab().settings
    for name in OWN:
        if st.session_state.get(f"seen:{name}") != getattr(settings, name):
            st.session_state[f"seen:{name}"] = st.session_state[f"server:{name}"] = getattr(settings, name)
    with st.container(key="server-care", horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control(
            "New runs",
            list(DRAIN),
            format_func=DRAIN.__getitem__,
            required=True,
            key="server:drain",
            on_change=lambda: _change({"drain": st.session_state["server:drain"]}, _drained()),
            help="Before maintenance: **Finish these** starts nothing new; **Save and wait** also saves what trains. "
            "Both go on where they were, with **Runs start**.",
            width="content",
        )
        st.text_input(
            "Banner for all",
            key="server:banner",
            max_chars=300,
            placeholder="Nothing is said. For example: restart on Friday at 18:00",
            on_change=lambda: _change({"banner": st.session_state["server:banner"].strip()}, "The banner is set."),
        )
        st.button("Restart the supervisor", icon=":material/restart_alt:", key="restart", on_click=_restart)


def _drained() -> str:
    there = [job for job in care.at_work(lab()) if job.kind == "train"]
    how = st.session_state["server:drain"]
    return "Runs start as usual." if how == "off" else f"{care.DRAINING[how]} {len(there)} train now."


def _restart() -> None:
    """Runs go on; it takes over a program or a setting that was changed by hand."""
    with st.spinner("Restarting …"):
        care.restart(lab(), who())
    st.session_state[SAID] = ("done", "The supervisor was restarted; runs go on.")


def settings() -> None:
    """Every setting that may be changed while the lab runs, as its declaration says; what is wrong is said and nothing is written."""
    fields = [f for f in walk(lab().settings) if not by_hand(f.path) and f.path not in OWN and f.info.repr]
    st.caption(
        f"Kept in `settings.json` of the lab's folder; {', '.join(BY_HAND)} stand there only. "
        "An empty limit is none. Everything takes a change over within a second."
    )
    with st.form("settings", border=False):
        columns = st.columns(4, gap="medium")
        for place, field in enumerate(fields):
            with columns[place % 4]:
                _field(field)
        if st.form_submit_button("Save the settings", type="primary", icon=":material/save:"):
            _save(fields)
            st.rerun()


def _field(field: FieldAt) -> None:
    key = f"setting:{field.path}"
    st.session_state.setdefault(key, _shown(field))
    group = "One person: " if field.path.startswith("per_person.") else ""
    label, help = f"{group}{field.info.title or field.path}", field.info.description
    if what := widgets.numeric(field.info.annotation, field.info.metadata):
        # No bounds here: the sentence of the settings says more than a box that does not move.
        st.number_input(label, key=key, value=None, step=1 if what.type is int else None, format="%d" if what.type is int else "%g", help=help, placeholder="None")  # fmt: skip
    elif widgets.item_of(field.info.annotation) is str:
        st.multiselect(label, field.value, key=key, accept_new_options=True, help=help, placeholder="Nobody")
    elif choices := widgets.choices_of(field.info.annotation):
        st.selectbox(label, choices, key=key, format_func=widgets.say, help=help)
    else:
        widgets.plain(widgets.Ask(label, key, help or "", lambda: None), field.info.annotation)


def _shown(field: FieldAt) -> Any:
    plain = widgets.numeric(field.info.annotation) or widgets.choices_of(field.info.annotation)
    what = widgets.numeric(field.info.annotation)
    if what and field.value is not None:
        return what.type(field.value)
    if widgets.item_of(field.info.annotation) is str:
        return list(field.value)
    return (
        field.value if plain or field.info.annotation is bool else widgets.as_text(field.value, field.info.annotation)
    )


def _save(fields: list[FieldAt]) -> None:
    typed = {field.path: st.session_state[f"setting:{field.path}"] for field in fields}
    new = {f.path: typed[f.path] for f in fields if typed[f.path] != _shown(f)}
    texts = {f.path: f.info.annotation for f in fields if isinstance(typed[f.path], str)}
    values = {
        path: widgets.from_text(value, texts[path]) if path in texts and not widgets.choices_of(texts[path]) else value
        for path, value in new.items()
    }
    _change(values, f"Saved: {', '.join(values)}.")


def disk() -> None:
    """Room by person and by run, and what could be freed."""
    found, room = _usage(str(lab().path), who(), lab()), shutil.disk_usage(lab().path)
    st.markdown(server_now.disk_words(room.free, room.total, sum(run.bytes for run in found)))
    people, runs, free = st.columns([26, 37, 37], gap="large")
    with people:
        rows = [[server_now.escape(name), size(taken)] for name, taken in usage.by_owner(found).items()]
        server_now.table(["Person", "Disk"], rows, "No run yet.", "disk-people")
    with runs:
        rows = [
            [server_now.run_link(run.id, run.id) if not run.deleted else f"{run.id} (deleted)", server_now.escape(run.owner), size(run.bytes)]
            for run in found[:15]
        ]  # fmt: skip
        server_now.table(["Run", "Person", "Disk"], rows, "No run yet.", "disk-runs")
    with free:
        _clean()


def _clean() -> None:
    """Tick, read what it would free, press."""
    section("Clean up")
    parts = _parts(str(lab().path), who(), lab())
    chosen = []
    for kind, words in cleanup.KINDS.items():
        mine = [part for part in parts if part.kind == kind]
        count = len({part.run_id for part in mine})
        label = f"**{size(sum(part.bytes for part in mine))}** of {count} run{'s' * (count != 1)}"
        if st.checkbox(label, key=f"clean-{kind}", disabled=not mine):
            chosen += mine
        st.caption(words)
    label = f"Free {size(sum(part.bytes for part in chosen))}" if chosen else "Free nothing"
    free: dict[str, Any] = {"on_click": _free, "args": [chosen], "disabled": not chosen}
    st.button(label, key="clean", type="primary", icon=":material/mop:", **free)


def _free(chosen: list[cleanup.Part]) -> None:
    """Before the page is made anew, so that no box stays ticked."""
    try:
        st.session_state[SAID] = ("done", f"{size(cleanup.clean(lab(), chosen, who()))} are free again.")
    except LabError as error:
        st.session_state[SAID] = ("problem", str(error))
    _usage.clear()
    _parts.clear()
    for kind in cleanup.KINDS:
        st.session_state[f"clean-{kind}"] = False


@st.cache_data(ttl=60, max_entries=8, show_spinner="Looking at the disk …")
def _usage(path: str, viewer: str, _lab: Lab) -> list[usage.RunUsage]:
    return usage.usage(_lab)


@st.cache_data(ttl=60, max_entries=8, show_spinner="Looking for what could go …")
def _parts(path: str, viewer: str, _lab: Lab) -> list[cleanup.Part]:
    return cleanup.parts(_lab)


def health() -> None:
    """What is fine and what is not: versions, disk, database, clock; what is red comes first."""
    order = {False: 0, None: 1, True: 2}
    marks = {False: '<b class="bad">✗</b>', None: "–", True: '<b class="good">✓</b>'}
    found = sorted(_checks(str(lab().path), who(), lab()), key=lambda check: order[check.fine])
    rows = [[marks[one.fine], server_now.escape(one.name), server_now.escape(one.text)] for one in found]
    server_now.table(["", "What", ""], rows, "", "health")
    if st.button("Look again", key="look-again", icon=":material/refresh:"):
        _checks.clear()
        st.rerun()


@st.cache_data(ttl=60, max_entries=8, show_spinner="Looking at versions, disk, database and clock …")
def _checks(path: str, viewer: str, _lab: Lab) -> list[doctor.Check]:
    return doctor.without_torch(_lab)
