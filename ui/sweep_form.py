"""One press that queues many runs: which fields are varied, over which values, with how many seeds, how many at once."""

from typing import Any

import streamlit as st

from aecore.config import ConfigError, RunConfig, code_size_path
from aecore.jobs import sweep
from aecore.runs import rights
from aecore.runs.lab import Lab, LabError
from aecore.runs.rights import Verb
from ui import frame, private, start
from ui.form import APART, Form
from ui.lab import lab, who
from ui.words import escape, plain

SENT, BOX = "sweep-sent", "sweep-box"
NONE = "–"
DEFAULT = "2, 4, 8, 16, 32"


def popover(form: Form, config: RunConfig | None, here: Lab) -> None:
    """The box beside the button that queues one run; open where a link asks for it."""
    if st.query_params.get("sweep") == "open":
        st.session_state[BOX] = True
        del st.query_params["sweep"]
    with st.popover("Sweep", icon=":material/stacked_line_chart:", key=BOX, on_change="rerun"):
        st.markdown("Queue this configuration many times, with one or two fields varied.")
        fields = _fields(form, config)
        first, values = st.columns([1, 1.2])
        path = first.selectbox("Field", list(fields), format_func=fields.__getitem__, key="sweep-field")
        given = values.text_input(
            "Values", DEFAULT, key="sweep-values", help="As in 2, 4, 8; a range as in 1e-4 .. 1e-2 for a random sample."
        )
        second, more = st.columns([1, 1.2])
        options = {NONE: "No second field", **{p: title for p, title in fields.items() if p != path}}
        other = second.selectbox("And", list(options), format_func=options.__getitem__, key="sweep-second")
        others = more.text_input("Its values", key="sweep-more", disabled=other == NONE)
        seeds, drawn, most = st.columns(3)
        count = seeds.number_input("Seeds", 1, 20, 1, key="sweep-seeds", help="Each combination with so many seeds.")
        sample = drawn.number_input(
            "Random sample",
            1,
            200,
            None,
            placeholder="All",
            key="sweep-sample",
            help="So many of the combinations, drawn at random; empty: all.",
        )
        at_once = most.number_input(
            "At once, at most", 1, 64, 2, key="sweep-at-once", help="The rest of the lab's places stay free for others."
        )
        chosen = {str(path): given} | ({str(other): others} if other != NONE else {})
        configs = _configs(form, config, chosen, sample, int(count))
        _button(form, configs, int(at_once), here)


def _fields(form: Form, config: RunConfig | None) -> dict[str, str]:
    """{path: title} of what can be varied, the code size first."""
    own = code_size_path(config) if config else None
    first = {sweep.CODE_SIZE: "Code size"} if own else {}
    return first | {path: f"{form.titles[path]} ({path})" for path in form.at if path not in APART and path != own}


def _configs(
    form: Form, config: RunConfig | None, fields: dict[str, str], sample: int | None, seeds: int
) -> list[RunConfig]:
    """What is to be queued; none, and the reason, where something is wrong."""
    try:
        return [] if config is None else sweep.plan(config, fields, sample, seeds)
    except ConfigError as error:
        reasons = " ".join(form.draft.said(error).values())
        st.html(f'<p class="field-problem" role="alert">{escape(reasons)}</p>')
        return []


def _button(form: Form, configs: list[RunConfig], at_once: int, here: Lab) -> None:
    """Queue them; and, once that was done with just these, that it was."""
    nonce, queued, name = st.session_state.get(SENT, ("", [], ""))
    sent = bool(configs) and (nonce, queued) == (st.session_state[start.NONCE], configs)
    label = (
        "Queued" if sent else f"Queue {len(configs)} run{'s' * (len(configs) != 1)}" if configs else "Queue the sweep"
    )
    icon = ":material/check:" if sent else ":material/play_arrow:"
    may = bool(configs) and rights.allowed(here.viewer, Verb.SUBMIT)
    click: dict[str, Any] = {"on_click": _submit, "args": [form, configs, at_once], "disabled": not may}
    st.button(label, type="primary", key="sweep-queue", icon=icon, **click)
    if problem := st.session_state.pop("sweep-failed", None):
        frame.problem(problem)
    if sent:
        st.markdown(
            f"{len(configs)} run{'s are' if len(configs) != 1 else ' is'} queued, as the sweep **{plain(name)}**."
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            frame.page_link("compare", "Watch the sweep fill its plot", icon=":material/monitoring:", sweep=name)
            st.button("New sweep", key="new-sweep", type="tertiary", icon=":material/add:", on_click=start.new_run)


def _submit(form: Form, configs: list[RunConfig], at_once: int) -> None:
    """One sweep for this nonce and these configurations, however many clicks arrive."""
    nonce = st.session_state[start.NONCE]
    try:
        name, _ = sweep.submit(lab(), configs, who(), at_once, nonce, private.chosen())
        st.session_state[SENT] = (nonce, configs, name)
    except ConfigError as error:
        st.session_state["sweep-failed"] = "\n".join(form.draft.said(error).values())
    except LabError as error:
        st.session_state["sweep-failed"] = str(error)
