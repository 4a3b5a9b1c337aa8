"""Tell me when it ends: in this browser, and by what the lab's settings offer."""

import streamlit as st

from aecore.jobs import channels, news
from aecore.runs import LabError, RunRow, owned_by
from aecore.runs.database import OPEN
from aecore.runs.text import isolated
from ui import kiosk, tickets
from ui.frame import problem
from ui.lab import lab, who
from ui.live import component
from ui.remembered import remember
from ui.words import plain

_tell = component("tell")
ALWAYS = "tell"
"""What is remembered of a person: whether new runs are told."""


def listen() -> None:
    """On every page: this browser tells of the runs for which somebody asked it."""
    with st.container(key="tell-listens"):
        _tell(data={"run": "", "path": tickets.signed("api/told", "told")}, key="tell-listener")


def box(row: RunRow, always: bool = False) -> None:
    """The choice for one run that has not ended. `always`: new runs of this person begin with it."""
    if row.state not in OPEN or kiosk.chosen():
        return
    icon = ":material/notifications_active:" if row.tell else ":material/notifications:"
    with st.popover("Tell me", icon=icon, key="tell-box"):
        st.markdown("**When this run ends**, or waits for somebody")
        _tell(data={"run": row.id, "name": isolated(row.name)}, key=f"tell-here-{row.id}")
        _by_post(row, always)


def ways(row: RunRow) -> list[str]:
    """How the lab itself can reach the owner of a run, in words."""
    settings = news.settings(lab())
    mail = settings.mail.address(row.owner) if settings.mail.server else ""
    hook = channels.there("webhook", settings, row.private)
    return [f"by mail to {mail}"] * bool(mail) + [f"by the webhook at {settings.webhook_host}"] * hook


def _by_post(row: RunRow, always: bool) -> None:
    found, own = ways(row), owned_by(row, who())
    if not found:
        st.markdown(":gray[:small[By mail or webhook: once the lab's `settings.json` has them under `tell`.]]")
        return
    key = f"tell-{row.id}"

    def changed() -> None:
        on = bool(st.session_state[key])
        try:
            news.ask(lab(), row.id, on)
        except LabError as error:
            st.session_state["tell-problem"] = str(error)
        if always:
            remember(ALWAYS, on)

    st.toggle(plain(" and ".join(found)).replace("by", "By", 1), row.tell, key=key, on_change=changed, disabled=not own)
    if not own:
        st.markdown(f":gray[:small[The lab writes to its owner, {plain(row.owner)}.]]")
    if said := st.session_state.pop("tell-problem", None):
        problem(said)
