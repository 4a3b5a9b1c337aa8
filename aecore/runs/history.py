"""What happened to a run, as sentences for its page: events that say one thing together are one line."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from aecore.runs.index import Event
from aecore.runs.text import isolated
from aecore.runs.times import span

AT_ONCE = 60
"""Seconds in the queue that are not worth a line of their own."""
ONWARD = re.compile(r" ?It (?:goes on from step ([\d,]+)|begins again)\.$")
GOES_ON = re.compile(r"Goes on from step ([\d,]+)\.$")
BAD_NEWS = ("The disk is full", "The checkpoint of step")
HEARD = {"told": "", "retold": "warning", "untold": "warning"}
"""What became of telling somebody, and its tone."""
OF_OWNERS = "owner"
"""The `new` of an event that says who sees a run, or whose it is from now on."""
SIDE = {"analyse": "analysis", "project": "map of the codes"}
"""What a side job makes."""


class Line(NamedTuple):
    """One thing that happened, at a time in seconds since 1970."""

    at: float
    sentence: str
    tone: str = ""
    """'' for what is as it should be, 'good', 'warning' or 'bad'."""


def history(events: Sequence[Event]) -> list[Line]:
    """The events of a run and its jobs, oldest first, in words."""
    story = _Story()
    for event in events:
        if event.kind == "train" or event.new == "deleted":
            story.take(event)
    story.flush()
    return sorted(
        [*story.lines, *_aside([event for event in events if event.kind != "train"])], key=lambda line: line.at
    )


def _aside(events: Sequence[Event]) -> list[Line]:
    """A line for each side job that ended, and for one that is still open."""
    lines = []
    for place, event in enumerate(events):
        what = f"the {SIDE.get(event.kind, event.kind)}"
        if event.new == "completed":
            lines.append(Line(event.at, f"{what} is done"))
        elif event.new == "failed":
            lines.append(Line(event.at, f"{what} failed: {_clause(event.reason)}", "bad"))
        elif event.new == "cancelled":
            lines.append(Line(event.at, f"{what} was stopped"))
        elif place == len(events) - 1 and event.new != "deleted":
            lines.append(Line(event.at, f"{what} waits" if event.new == "queued" else f"{what} is under way"))
    return lines


class _Story:
    """The lines of a training job so far, and what is not told yet because the next event may complete it."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.queued: Event | None = None  # it is in the queue, since this event
        self.asked: Line | None = None  # somebody asked for something that has not happened yet
        self.resumed: int | None = None  # place of the line that says from which step it goes on

    def take(self, event: Event) -> None:
        if event.new == "starting" or (event.old == "starting" and event.new == "queued"):
            return  # on its way into a slot
        if event.new in HEARD:
            self.lines.append(Line(event.at, _clause(event.reason), HEARD[event.new]))
        elif event.old in ("deleted", "archived") or event.new == OF_OWNERS:
            self.lines.append(Line(event.at, _clause(event.reason)))
        elif event.new == "queued":
            self._enqueue(event)
        elif event.new == "running" and event.old == "running" and event.reason:
            self._remark(event)
        elif event.new == "running":
            self._start(event)
        else:
            self._end(event)

    def _enqueue(self, event: Event) -> None:
        if self.queued is not None and self.queued[2:] == event[2:]:
            self.queued = None  # the same once more: moved up, and up again
        self.flush()
        self.queued = event

    def _start(self, event: Event) -> None:
        """It has a place: one line with what put it into the queue, unless it waited there for long."""
        before, self.queued = self.queued, None
        if before is None:
            self._resume(event.at, "started again", "")
        elif event.at - before.at >= AT_ONCE:
            self._wait(before)
            self._resume(event.at, f"started after {span(event.at - before.at)} in the queue", "")
        elif before.old == "":
            self.lines.append(Line(event.at, f"queued by {isolated(before.by)} and started"))
        elif before.old == "queued":
            self._wait(before)
            self._resume(event.at, "started", "")
        elif before.by in ("supervisor", "trainer"):
            cause, step = _cause(before.reason)
            self._resume(event.at, f"{_onward(step)} after {cause}", "warning")
        else:
            self._resume(event.at, _clause(before.reason), "")

    def _resume(self, at: float, sentence: str, tone: str) -> None:
        self.resumed = len(self.lines)
        self.lines.append(Line(at, sentence, tone))

    def _wait(self, event: Event) -> None:
        """Why it is in the queue."""
        if event.old == "":
            self.lines.append(Line(event.at, f"queued by {isolated(event.by)}"))
        elif event.by in ("supervisor", "trainer"):
            cause, step = _cause(event.reason)
            then = f"it goes on from step {step}" if step else "it begins again"
            self.lines.append(Line(event.at, f"{cause}; {then} as soon as a slot is free", "warning"))
        else:
            self.lines.append(Line(event.at, _clause(event.reason)))

    def _remark(self, event: Event) -> None:
        """Something that was said or asked for while it ran."""
        if onward := GOES_ON.match(event.reason):
            self._from(event, onward[1])
            return
        tone = "warning" if event.reason.startswith(BAD_NEWS) else ""
        line = Line(event.at, _clause(event.reason), tone)
        self.lines.append(line)
        if event.by not in ("supervisor", "trainer"):
            self.asked = line

    def _from(self, event: Event, step: str) -> None:
        """The step that it really goes on from: where a checkpoint was damaged, not the one that was announced."""
        if self.resumed is None:
            self.lines.append(Line(event.at, f"goes on from step {step}"))
            return
        line = self.lines[self.resumed]
        changed, found = re.subn(r"from step [\d,]+", f"from step {step}", line.sentence)
        self.lines[self.resumed] = line._replace(sentence=changed if found else f"{line.sentence}, from step {step}")

    def _end(self, event: Event) -> None:
        self.flush()
        if self.asked in self.lines and event.new in ("paused", "cancelled"):
            self.lines.remove(self.asked)  # what was asked for has happened
        self.asked = self.resumed = None
        if event.new == "failed":
            self.lines.append(Line(event.at, f"failed: {_clause(event.reason)}", "bad"))
        else:
            tone = "good" if event.new == "completed" else ""
            self.lines.append(Line(event.at, _clause(event.reason) or f"{event.new} by {isolated(event.by)}", tone))

    def flush(self) -> None:
        """Tell what is still to be told."""
        if self.queued is not None:
            self._wait(self.queued)
            self.queued = None


def _cause(reason: str) -> tuple[str, str]:
    """Why a process left, and the step that it goes on from, '' for the start."""
    onward = ONWARD.search(reason)
    return _clause(ONWARD.sub("", reason)), (onward[1] or "") if onward else ""


def _onward(step: str) -> str:
    return f"resumed from step {step}" if step else "began again"


def _clause(reason: str) -> str:
    """The first line of a reason as part of a sentence: small at its start, without the full stop."""
    first = reason.strip().partition("\n")[0].removesuffix(".")
    return first[:1].lower() + first[1:] if first[1:2].islower() else first
