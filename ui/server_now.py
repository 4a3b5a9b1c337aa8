"""What the lab does now: its devices and who is on them, the queue, and people with what they have used."""

import time
from collections.abc import Iterable, Sequence

import streamlit as st

from aecore.jobs import care
from aecore.jobs.devices import devices
from aecore.jobs.forecast import forecast
from aecore.runs import runs
from aecore.runs.text import size
from ui.frame import href
from ui.lab import lab
from ui.queue import device_html
from ui.words import escape, plain, span, when

MOST = 30
"""Lines of the queue that are shown."""
JOBS = {"train": "trains", "analyse": "is analysed", "project": "is mapped"}


def whose() -> str:
    """For those whom a link led here: whom this page is for."""
    admins = ", ".join(map(plain, lab().settings.access.admins))
    return f"This page is for those who keep the lab: {admins or 'its members'}."


def table(head: Sequence[str], rows: Iterable[Sequence[str]], empty: str, key: str) -> None:
    """A table of HTML that is safe already; the last column takes the room that is left."""
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>" if lines else f"<p>{empty}</p>"
    st.html(f'<div class="aelab-table" data-table="{key}">{body}</div>')


def run_link(run_id: str, name: str) -> str:
    """A run's name as a link to its page; without an id the name alone."""
    if not run_id:
        return escape(name)
    return f'<a href="{escape(href("runs", run=run_id))}" target="_self">{escape(name)}</a>'


def machine() -> None:
    """Each device with its bars, and below it its slots and who has them."""
    there = care.places(lab())
    names = {place.name for place in there}  # a job may have gone on a step between two looks
    others = [job for job in care.at_work(lab()) if not names.intersection(job.where.split(", "))]
    parts = []
    for device in devices():
        mine = [place for place in there if place.device == device.uuid]
        parts.append(device_html(device) + _slots(mine))
    st.html('<div class="aelab-devices">' + "".join(parts) + _elsewhere(others) + "</div>")


def _slots(places: Sequence[care.Place]) -> str:
    lines = [f"<li><b>{escape(place.name)}</b> {_who(place.by)}</li>" for place in places]
    return f'<ul class="aelab-slots">{"".join(lines)}</ul>' if lines else ""


def _elsewhere(jobs: Sequence[care.AtWork]) -> str:
    """What runs on no slot of this machine: in the foreground, or on a cluster."""
    lines = [f"<li><b>{escape(job.where or 'no slot')}</b> {_who(job)}</li>" for job in jobs]
    return f'<ul class="aelab-slots">{"".join(lines)}</ul>' if lines else ""


def _who(job: care.AtWork | None) -> str:
    if job is None:
        return "<i>free</i>"
    done = f" {job.step / job.total_steps:.0%}," if job.total_steps and job.kind == "train" else ""
    since = f" for {span(time.time() - job.since)}" if job.since else ""
    return f"<span>{escape(job.owner)}: {run_link(job.run_id, job.name)} {JOBS.get(job.kind, job.kind)},{done}{since}</span>"


def queue() -> None:
    """What waits, in the order in which it starts, and what the rule did to it."""
    expected = forecast(lab())
    rows = {row.id: row for row in runs(lab(), list(expected)[:MOST])}
    lines = []
    for run_id, one in expected.items():
        if row := rows.get(run_id):
            starts = f"in {span(max(0, one.starts - time.time()))}" if one.starts else "not known"
            why = " ".join(filter(None, [one.rule, row.reason if row.reason.startswith("Waits") else ""]))
            why = why or "As it came."
            lines.append([str(one.position), escape(row.owner), run_link(run_id, row.name), starts, escape(why)])
    table(["", "Person", "Run", "Starts", "Why there"], lines, "Nothing waits.", "queue")
    if len(expected) > MOST:
        st.caption(f"and {len(expected) - MOST} more")


def people() -> None:
    """What everybody has; who has used least lately has the next turn."""
    found = care.people(lab())
    most = max((person.used for person in found), default=0) or 1
    lines = [
        [
            escape(person.name),
            str(person.runs),
            str(person.running),
            str(person.waiting),
            f'<i class="bar"><i style="width:{100 * person.used / most:.0f}%"></i></i>'
            f"{span(person.used) if person.used >= 1 else '–'}",
        ]
        for person in found
    ]
    table(["Person", "Runs", "Training", "Waiting", "Slots used lately"], lines, "Nobody has a run yet.", "people")
    st.caption(
        "The next free slot goes to the person who has used least lately; time counts half after a day, and what trains "
        "counts ten minutes from its start on. Of each person the first that was queued starts first, and an idle lab gives everything to whoever asks."
    )


def log() -> None:
    """What happened, newest first: to runs, and to the lab itself."""
    acts = [care.Happened(act.at, act.by, "", act.text) for act in care.acts(lab())]
    found = sorted([*acts, *care.happened(lab())], key=lambda one: -one.at)[:200]
    lines = [
        [
            escape(when(one.at)),
            escape(one.by),
            run_link(one.run_id, one.run_id) if one.run_id else "the lab",
            escape(one.text),
        ]
        for one in found
    ]
    table(["When", "Who", "Of", "What"], lines, "Nothing has happened yet.", "log")


def disk_words(free: int, total: int, taken: int) -> str:
    """How full the lab's disk is."""
    return f"{size(free)} of {size(total)} are free; the runs take {size(taken)}."
