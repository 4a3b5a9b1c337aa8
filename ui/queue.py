"""Cards of what the machine is and does: its devices, what runs and waits, the latest runs."""

import time
from collections.abc import Mapping, Sequence

import streamlit as st

from aecore.jobs.devices import Device, devices
from aecore.jobs.forecast import Forecast
from aecore.runs import RunRow
from aecore.runs.text import size
from ui import tickets
from ui.frame import page_link
from ui.live import component
from ui.palette import STATES
from ui.words import escape, needs_room, plain, soon, when

MOST = 5
"""Lines in a card."""


def badge(row: RunRow) -> str:
    """A run's state as Streamlit's markdown for a coloured badge."""
    colour, icon = STATES.get(row.shown, ("gray", "help"))
    return f":{colour}-badge[:material/{icon}: {row.shown}]"


_devices = component("devices", isolated=False)


def device_card() -> None:
    """The host's devices with a bar of their memory and of their load, which the browser keeps up to date."""
    _devices(data={"html": devices_html(), "path": tickets.signed("api/devices", "devices")}, key="devices-now")


def devices_html() -> str:
    return "".join(map(device_html, devices()))


def device_html(device: Device) -> str:
    """A device with its bars."""
    memory = device.memory_used / max(device.memory_total, 1)
    used = f"{size(device.memory_used)} of {size(device.memory_total)}"
    load = _bar("load", device.load, f"{device.load:.0%}") if device.load is not None else ""
    kind = {"cuda": "GPU", "mps": "GPU", "cpu": "Processor"}[device.kind]
    head = f"<header><b>{kind}</b><span>{escape(device.name)}</span></header>"
    return f"<section>{head}{_bar('memory', memory, used)}{load}</section>"


def _bar(name: str, share: float, text: str) -> str:
    return f'<div><span>{name}</span><i><i style="width:{100 * min(share, 1):.0f}%"></i></i><span>{text}</span></div>'


def queue_card(rows: Sequence[RunRow], expected: Mapping[str, Forecast]) -> None:
    """What runs and what waits, in the order in which it will be done."""
    if not rows:
        st.markdown(":gray[Nothing runs and nothing waits.]")
    position = {run_id: one.position for run_id, one in expected.items()}
    for row in sorted(rows, key=lambda row: (row.state == "paused", position.get(row.id, 0), row.created))[:MOST]:
        _line(row, _progress(row, expected.get(row.id)))
    if len(rows) > MOST:
        page_link("runs", f"and {len(rows) - MOST} more", wide=True)


def _progress(row: RunRow, expected: Forecast | None) -> str:
    if needs_room(row):
        return "the disk is full, it waits" if row.live else "the owner's share of the disk is full, it waits"
    if row.eta_seconds is not None and row.shown == "running":
        return f"{row.progress:.0%} · ends {when(time.time() + row.eta_seconds)}"
    if expected is not None:
        return soon(expected)
    return f"{row.shown} at {row.progress:.0%}" if row.step and row.total_steps else row.shown


def latest_card(rows: Sequence[RunRow]) -> None:
    """The latest runs that have ended."""
    if not rows:
        st.markdown(":gray[No run has ended yet.]")
    for row in rows[:MOST]:
        loss = f"loss {row.loss:.3g} · " if row.loss is not None and row.state == "completed" else ""
        _line(row, f"{loss}{when(row.ended)}" if row.state == "completed" else f"{row.shown} · {when(row.ended)}")


def _line(row: RunRow, told: str) -> None:
    colour, icon = STATES.get(row.shown, ("gray", "help"))
    page_link(
        "runs", f":{colour}[:material/{icon}:]&ensp;**{plain(row.name)}**&ensp;:gray[{told}]", wide=True, run=row.id
    )
