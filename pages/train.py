"""Train: data, architecture, code size and loss, the network that they make, and the button that queues the run."""

from pathlib import Path

import streamlit as st

from aecore.config import RunConfig
from ui import drawings, estimates, frame, network, start, submit
from ui.form import Form
from ui.lab import lab

here = lab()
known = estimates.Data(here)
st.html(Path(frame.__file__).parent / "assets/train.css")
st.html(drawings.style())
start.enter(here)
frame.header("Train", start.lesson(here))
form = Form(start.DRAFT, known, start.base().config)
config: RunConfig | None = None if form.problems else form.draft.config()

start.notes(form, here, known)
left, right = st.columns([0.44, 0.56], gap="large")
with left, st.container(key="train-form", gap="xsmall"):
    with st.grid(2, gap="small"):
        start.preset_box(form, here)
        form.field("data.name")
        if form.draft.content["data"]["name"] == "folder":
            form.field("data.path")
    form.basic()
    for sentence in form.unplaced():
        frame.problem(sentence)
    if form.folded():
        st.session_state["more"] = True
    with st.expander("More", icon=":material/tune:", key="more", on_change="rerun"):
        form.more()
with right, st.container(key="train-network", gap="xsmall"):
    network.draw(config, known)
    submit.bar(form, config, here, known)
    if config is not None:
        network.table(config, known)
