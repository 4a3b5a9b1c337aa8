"""Server: devices and who is on them, the queue, people, disk, settings, health, and what happened."""

import streamlit as st

from ui import server_care, server_now
from ui.frame import empty, header, section
from ui.notices import keeper

PARTS = ("Now", "Disk", "Settings", "Health", "Event log")
"""As they stand in the address, too."""


@st.fragment(run_every=3)
def now() -> None:
    """Kept up to date without a rerun of the page."""
    left, right = st.columns([38, 62], gap="medium")
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


if not keeper():
    header("Server")
    empty(server_now.whose(), "home", "Home")
    st.stop()
with st.container(key="server-head", horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    header("Server")
    part = st.segmented_control(
        "Part", PARTS, default="Now", required=True, key="part", bind="query-params", width="content",
        label_visibility="collapsed",
    )  # fmt: skip
server_care.told()
match part:
    case "Disk":
        server_care.disk()
    case "Settings":
        server_care.settings()
    case "Health":
        server_care.health()
    case "Event log":
        server_now.log()
    case _:
        server_care.maintenance()
        now()
