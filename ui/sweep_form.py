"""One press that queues many runs: which fields are varied, over which values, with how many seeds, how many at once."""

import streamlit as st

from aecore.config import ConfigError, RunConfig, code_size_path
from aecore.data import DataError
from aecore.jobs import sweep
from aecore.runs import rights
from aecore.runs.lab import Lab, LabError
from aecore.runs.rights import Verb
from ui import frame, private, start
from ui.form import APART, Form
from ui.lab import lab, who
from ui.words import escape

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
        _button(config, chosen, sample, int(count), int(at_once), here)


def _fields(form: Form, config: RunConfig | None) -> dict[str, str]:
    """{path: title} of what can be varied, the code size first."""
    own = code_size_path(config) if config else None
    first = {sweep.CODE_SIZE: "Code size"} if own else {}
    rest = {f.path: f"{f.info.title} ({f.path})" for f in form.at.values() if f.path not in APART and f.path != own}
    return first | rest


def _button(
    config: RunConfig | None, fields: dict[str, str], sample: int | None, seeds: int, at_once: int, here: Lab
) -> None:
    try:
        configs = [] if config is None else sweep.plan(config, fields, sample, seeds)
    except ConfigError as error:
        configs = []
        st.html(f'<p class="field-problem" role="alert">{escape(str(error))}</p>')
    label = f"Queue {len(configs)} runs" if configs else "Queue the sweep"
    arguments = [configs, at_once]
    st.button(
        label,
        type="primary",
        key="sweep-queue",
        disabled=not configs or not rights.allowed(here.viewer, Verb.SUBMIT),
        on_click=_submit,
        args=arguments,
        icon=":material/play_arrow:",
    )
    if problem := st.session_state.pop("sweep-failed", None):
        frame.problem(problem)
    if sent := st.session_state.get(SENT):
        frame.page_link("compare", "Watch the sweep fill its plot", icon=":material/monitoring:", sweep=sent)


def _submit(configs: list[RunConfig], at_once: int) -> None:
    """One sweep for this nonce and these configurations, however many clicks arrive."""
    try:
        st.session_state[SENT] = sweep.submit(
            lab(), configs, who(), at_once, st.session_state[start.NONCE], private.chosen()
        )[0]
    except (ConfigError, DataError, LabError) as error:
        st.session_state["sweep-failed"] = str(error)
