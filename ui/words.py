"""Times, sizes and what happened, in the words of the pages."""

import time
from typing import Any

from aecore.runs import Event, RunRow
from aecore.runs.times import span, when


def size(count: float) -> str:
    """Bytes in gigabytes, or megabytes below a tenth of one.

    >>> size(8.2e9), size(5e6)
    ('8.2 GB', '5 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"


def shown(value: Any) -> str:
    """A config's value for a table: lists with commas, nothing as a dash."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "") else str(value)


def ends(row: RunRow, now: float | None = None) -> str:
    """When a run ended, will end, or starts."""
    now = time.time() if now is None else now
    if row.ended:
        return when(row.ended, now)
    if row.eta_seconds is not None:
        return f"{when(now + row.eta_seconds, now)}, in {span(row.eta_seconds)}"
    return f"waits, number {row.position}" if row.position else ""


def standing(row: RunRow) -> str:
    """A sentence on where a run stands; the reason where it has ended with one."""
    if row.shown == "queued":
        return f"It waits for a free slot, as number {row.position} in the queue." if row.position else "It waits."
    if row.shown in ("running", "starting"):
        return f"{row.shown.capitalize()} on {row.device}." if row.device else f"{row.shown.capitalize()}."
    if row.reason:
        return row.reason
    took = f" in {span(row.ended - row.started)}" if row.started and row.ended else ""
    return f"{row.shown.capitalize()}{took}."


HISTORY = {
    "queued": "queued by {by}",
    "starting": "taken from the queue by the {by}",
    "running": "started training",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled by {by}",
    "deleted": "deleted by {by}",
}


def history(event: Event) -> str:
    """One line on what happened to a run."""
    told = HISTORY.get(event.new, event.new).format(by=event.by) if event.old != event.new else "asked for"
    kind = "" if event.kind == "train" else f"{event.kind}: "
    reason = f": {event.reason}" if event.reason else ""
    return f"{kind}{told}{reason}"
