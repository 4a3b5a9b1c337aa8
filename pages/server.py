"""Server: devices and who is on them, the queue, people, disk, settings, health, and what happened."""

import streamlit as st

from ui import server_care, server_now
from ui.frame import header, section

PARTS = {"now": "Now", "disk": "Disk", "settings": "Settings", "health": "Health", "log": "Event log"}


@st.fragment(run_every=3)
def now() -> None:
    """Kept up to date without a rerun of the page."""
    left, right = st.columns([42, 58], gap="medium")
    with left.container(key="server-devices", border=True, height="stretch"):
        section("Devices")
        server_now.machine()
    with right:
        with st.container(key="server-queue", border=True):
            section("Queue")
            server_now.queue()
        with st.container(key="server-people", border=True):
            section("People")
            server_now.people()


with st.container(key="server-head", horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    header("Server")
    part = st.segmented_control(
        "Part", list(PARTS), default="now", required=True, format_func=PARTS.__getitem__, key="part",
        bind="query-params", label_visibility="collapsed", width="content",
    )  # fmt: skip
server_care.told()
match part:
    case "disk":
        server_care.disk()
    case "settings":
        server_care.settings()
    case "health":
        server_care.health()
    case "log":
        server_now.log()
    case _:
        server_care.maintenance()
        now()
