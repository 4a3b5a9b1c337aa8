"""The button that queues a run, and what can be done with a configuration besides."""

from typing import Any

import streamlit as st

from aecore.config import ConfigError, RunConfig, writes
from aecore.jobs import announce, queue
from aecore.runs import rights, runs
from aecore.runs.lab import Lab, LabError
from aecore.runs.rights import Verb
from ui import announcement, estimates, frame, private, start, sweep_form, telling
from ui.form import Form
from ui.lab import lab, who
from ui.remembered import recall
from ui.words import escape

FAILED = "draft-failed"
"""Session key of why the last click queued nothing."""


def bar(form: Form, config: RunConfig | None, here: Lab, known: estimates.Data) -> None:
    """Name, queue button, and the box of other things to do; the reason where nothing can be queued."""
    named = None if config is None else _named(form, config, known)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="queue-bar"):
        _name(form, named)
        private.choice()
        label = "Queue this run" if not _sent(named) else "Queued"
        icon = ":material/play_arrow:" if not _sent(named) else ":material/check:"
        may = named is not None and rights.allowed(here.viewer, Verb.SUBMIT)
        click: dict[str, Any] = {"on_click": _submit, "args": [form, known], "disabled": not may}
        st.button(label, type="primary", icon=icon, key="queue-run", width="content", **click)
        sweep_form.popover(form, named, here)
        with st.popover("Save", icon=":material/bookmark:", key="keep"):
            _keep(form, named, here)
    if named is None:
        at = ", ".join(f"“{title}”" for title in form.wrong())
        why = escape(f"What is wrong is said at {at}.") if at else ""
        st.html(f'<p class="field-problem" role="alert"><b>This cannot be queued yet.</b> {why}</p>')
    elif run_id := _sent(named):
        _queued(run_id, here)
    elif not rights.allowed(here.viewer, Verb.SUBMIT):
        st.markdown(":gray[You are a guest of this lab: you can set up a run and save it as a file, but not queue it.]")
    else:
        announcement.line(named, here, known)
    if failed := st.session_state.pop(FAILED, None):
        frame.problem(failed)


def _submit(form: Form, known: estimates.Data) -> None:
    """One run for this nonce and config, however many clicks arrive. A callback, so that the page below already knows.

    It takes what was typed last: the page may not have run since.
    """
    try:
        config = _named(form, form.draft.config(), known)
        said = announcement.said_of(config, lab())
        begin = None if said is None else lambda folder: announce.keep(folder, said)
        mine = {"nonce": st.session_state[start.NONCE], "private": private.chosen(), "begin": begin}
        run_id = queue.submit(lab(), config, who(), tell=bool(recall(telling.ALWAYS, False)), **mine)
        st.session_state[start.SENT] = (writes(config), run_id)
    except ConfigError as error:
        st.session_state[FAILED] = "\n".join(form.draft.said(error).values())
    except LabError as error:
        st.session_state[FAILED] = str(error)


def _sent(config: RunConfig | None) -> str:
    """The run that this configuration was queued as, '' before; a change after it makes the next click a new run."""
    sent = st.session_state.get(start.SENT)
    if sent and config and sent[0] != writes(config):
        start.new_run()
        return ""
    return str(sent[1]) if sent and config else ""


def _queued(run_id: str, lab: Lab) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="queued", gap="small"):
        st.html(f"<p>Queued as <b>{escape(run_id)}</b></p>", width="content")
        frame.page_link("runs", "Watch it learn", icon=":material/monitoring:", run=run_id)
        for row in runs(lab, [run_id]):
            telling.box(row, always=True)
        st.button("New run", key="new-run", type="tertiary", icon=":material/add:", on_click=start.new_run)


def _name(form: Form, named: RunConfig | None) -> None:
    key = "draft:name"
    if key not in st.session_state or st.session_state[key] != form.draft.content["name"]:
        st.session_state[key] = form.draft.content["name"]

    def change() -> None:
        form.draft = form.draft.put("name", st.session_state[key].strip())

    shown = f"Name: {named.name}" if named else "Name of the run"
    st.text_input("Name", key=key, max_chars=80, placeholder=shown, on_change=change, label_visibility="collapsed")


def _named(form: Form, config: RunConfig, known: estimates.Data) -> RunConfig:
    """The config under its name: the one that was given, else the preset's, else one that says what it is."""
    if config.name:
        return config
    before = start.base()
    if not start.changes(form.draft) and (before.preset or before.config.name):
        return config.model_copy(update={"name": before.preset or before.config.name})
    size = config.model.code_size(known.facts(config.data).shape)
    return config.model_copy(update={"name": f"{config.data.name}-{config.model.backbone.kind}-{size}"})


def _keep(form: Form, named: RunConfig | None, here: Lab) -> None:
    """Save as one's own preset, download, upload."""
    st.text_input("Keep as my own preset", key="own-name", placeholder="a-name-of-your-own")
    if st.button("Save preset", key="own-save", disabled=named is None) and named is not None:
        try:
            here.keep_preset(st.session_state["own-name"].strip(), named)
            st.success("Saved: it stands in the box of presets now.", icon=":material/check:")
        except (ConfigError, LabError) as error:
            frame.problem(error)
        except OSError as error:
            frame.problem(f"The preset could not be saved{here.where}: {error.strerror}.")
    text = writes(named) if named else ""
    name = f"{named.name if named else 'config'}.json"
    st.download_button("Download as JSON", text, name, "application/json", on_click="ignore", disabled=named is None)
    start.upload()
