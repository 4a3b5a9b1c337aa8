"""Home: what this is, the demo from one click, and what the machine is doing."""

import streamlit as st

from aecore.config import ConfigError
from aecore.data import DataError
from aecore.jobs.forecast import forecast
from aecore.runs import LabError, RunRow, runs
from aecore.runs.database import OPEN
from ui import demo, queue, tickets
from ui.frame import page_link, problem, section
from ui.lab import lab
from ui.live import live_pictures
from ui.opening import STORY, TITLE
from ui.pulse import pulse, table_stamp_now

recent = runs(lab(), limit=demo.RECENT)
going = any(row.state in OPEN for row in recent)


def introduction(rows: list[RunRow]) -> None:
    """What a visitor sees before the first click: two sentences, the button, and pictures that learn."""
    with st.container(key="hero"):
        left, right = st.columns([37, 63], gap="medium", vertical_alignment="center")
    with left.container(key="hero-words", gap="medium"):
        st.title(TITLE, anchor=False)
        st.markdown(STORY)
        if demo.button():
            try:
                demo.start()
                st.rerun()
            except (ConfigError, DataError, LabError) as error:
                problem(error)
        demo.otherwise()
    with right.container(key="hero-pictures"):
        live_pictures(demo.before_the_click(rows), key="film", loop=True)


def story(pair: list[RunRow]) -> None:
    """After the click: both runs live, and where the story goes on when they are done."""
    with st.container(key="story", horizontal=True, vertical_alignment="center", gap="medium"):
        st.header("Two numbers against sixteen", anchor=False)
        done = all(row.state not in OPEN for row in pair)
        with st.container(key="next", horizontal=True, width="content", vertical_alignment="center"):
            if done:
                page_link("compare", "Compare the two", ":material/compare:", runs=",".join(row.id for row in pair))
                page_link("latent", "Walk through the latent space", ":material/scatter_plot:", run=pair[0].id)
            st.button("Again", key="again", on_click=demo.again, icon=":material/replay:")
    demo.stage(pair)


@st.fragment
def machine() -> None:
    """Devices, queue and latest runs, made again when they would say something else."""
    pulse(tickets.signed("api/pulse", "pulse"), table_stamp_now(), key="machine-pulse")
    rows = runs(lab(), limit=demo.RECENT)
    now = [row for row in rows if row.state in OPEN]
    if bool(now) != going:
        st.rerun()  # the story goes on
    devices, waiting, latest = st.columns(3, gap="medium")
    with devices.container(key="devices", border=True, height="stretch"):
        section("This machine")
        queue.device_card()
    with waiting.container(key="queue", border=True, height="stretch"):
        section("Running and waiting")
        queue.queue_card(now, forecast(lab()))
    with latest.container(key="latest", border=True, height="stretch"):
        section("Latest runs")
        queue.latest_card([row for row in rows if row.state not in OPEN and row.archived is None])


pair = demo.pair_in_url(lab())
story(pair) if pair else introduction(recent)
machine()
