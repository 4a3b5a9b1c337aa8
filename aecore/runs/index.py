"""The table of runs, read in one query: no run folder is opened for it."""

import json
import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from aecore.runs import changes, database, rights
from aecore.runs.database import LIVE, WAITS, jobs
from aecore.runs.database import events as events_table
from aecore.runs.database import runs as runs_table
from aecore.runs.lab import Lab


@dataclass(slots=True, unsafe_hash=True)  # a frozen one takes four times as long to make, a thousand times a table
class RunRow:
    """One run as a table shows it. Times are seconds since 1970; what is not known yet is None."""

    id: str
    name: str
    owner: str
    dataset: str
    backbone: str
    bottleneck: str
    code_size: int
    epochs: int
    created: float
    parent: str | None
    state: str
    want: str
    step: int
    total_steps: int | None
    epoch: int
    loss: float | None
    images_per_second: float | None
    started: float | None
    ended: float | None
    device: str | None
    reason_code: str
    reason: str
    job_id: int
    attempt: int
    """Grows whenever the run goes on: its files may have been taken back to a checkpoint then."""
    checkpoint_step: int | None
    """The step of the newest checkpoint; None while there is none."""
    sweep: str | None
    """The group of runs that were queued together to be compared; None for a run on its own."""
    tags: tuple[str, ...]
    note: str
    archived: float | None
    """When it was put out of the way; it is kept, and lists leave it out."""
    tell: bool
    """Whether its owner hears of its end, by mail or webhook."""
    private: bool
    """Whether only its owner and the lab's admins see it."""
    shown: str
    """The state in the user's words: 'stopping' where a live run was asked to stop."""
    eta_seconds: float | None
    """Seconds until its end, from the measured speed; None when it does not run."""

    @property
    def live(self) -> bool:
        """Whether a process works on it."""
        return self.state in LIVE

    @property
    def progress(self) -> float:
        """Share of its steps that are done, 0 to 1."""
        return self.step / self.total_steps if self.total_steps else 0.0


class Event(NamedTuple):
    """One change of a job's state, or of what is wanted of it."""

    at: float
    kind: str
    old: str
    new: str
    by: str
    reason: str


FRESH = 5
"""Seconds for which a table that was read is kept at most: a run's end comes nearer though the database says nothing new."""


def runs(lab: Lab, ids: Sequence[str] | None = None, limit: int | None = None) -> list[RunRow]:
    """The lab's runs, newest first; only those of `ids` where given (unknown ones are left out)."""
    if ids is None and limit is None:
        at = moment(lab)
        return list(_tables.at(at.viewer, at, lambda: _all(lab)))
    some = None if ids is None else set(ids)
    if changes.patience(lab.engine) and (known := _known(lab)) is not None:
        return [row for row in known if some is None or row.id in some][:limit]
    query = QUERY if some is None else QUERY.where(runs_table.c.id.in_(some))
    with database.reading(lab.engine) as connection:
        return _rows(lab, connection.execute(query.where(rights.seen(lab.viewer)).limit(limit)).all())


class Moment(NamedTuple):
    """For as long as it is the same, so is what `runs` says of all of them."""

    viewer: tuple[str, rights.Person | None]
    """The lab's database, and whose eyes it is for."""
    latest: Hashable
    fresh: int


def moment(lab: Lab) -> Moment:
    """This moment. Ask it first: what is read later may be newer."""
    latest = changes.latest(lab.engine)
    return Moment((database.name(lab.engine), lab.viewer), latest, int(time.monotonic() / FRESH))


_tables: changes.Newest[tuple[RunRow, ...]] = changes.Newest(32)


def _all(lab: Lab) -> tuple[RunRow, ...]:
    with database.reading(lab.engine) as connection:
        return tuple(_rows(lab, _at_once(connection, QUERY.where(rights.seen(lab.viewer)))))


def _known(lab: Lab) -> tuple[RunRow, ...] | None:
    """All runs, where somebody has read them at this moment."""
    at = moment(lab)
    return _tables.known(at.viewer, at)


def _at_once(connection: Connection, query: Select[Any]) -> Iterable[Sequence[Any]]:
    """What a query finds, of SQLite in one piece: for each row it would let go of the interpreter and, where other threads compute,
    wait for it again, 5 ms at a time."""
    if connection.dialect.name != "sqlite":
        return connection.execute(query).all()
    found = query.subquery()
    rows = connection.execute(select(func.json_group_array(func.json_array(*found.c)))).scalar_one()
    return json.loads(rows)  # type: ignore[no-any-return]


def _rows(lab: Lab, found: Iterable[Sequence[Any]]) -> list[RunRow]:
    now = time.time()
    return [_same(_row(lab, row, now)) for row in found]


_last: dict[str, RunRow] = {}
"""By run, as it was last read."""
MANY = 20_000


def _same(row: RunRow) -> RunRow:
    """The object that this row was before, where it says nothing new: a thousand new ones every few seconds, some of which stay, leave
    holes in the interpreter's memory."""
    last = _last.get(row.id)
    if last is not None and last == row:
        return last
    if len(_last) >= MANY:
        _last.clear()
    _last[row.id] = row
    return row


def run(lab: Lab, run_id: str) -> RunRow:
    """One run. Raises LabError where there is none, or it was deleted."""
    found = runs(lab, [run_id])
    if not found:
        raise lab.missing(run_id)
    return found[0]


def events(lab: Lab, run_id: str) -> list[Event]:
    """What happened to a run and its jobs, oldest first."""
    if lab.viewer is not None:
        run(lab, run_id)
    c = events_table.c
    query = (
        select(c.at, jobs.c.kind, c.old, c.new, c.by, c.reason)
        .join(jobs, jobs.c.id == c.job_id)
        .where(c.run_id == run_id)
        .order_by(c.id)
    )
    with database.reading(lab.engine) as connection:
        return [Event(*row) for row in connection.execute(query)]


def owned_by(row: RunRow, who: str) -> bool:
    """Whether a run is this person's own: only then it is stopped or deleted without asking."""
    return row.owner == who


def _query() -> Select[Any]:
    r, j, above = runs_table.c, jobs.c, runs_table.alias()
    columns: list[Any] = [r.id, r.name, r.owner, r.dataset, r.backbone, r.bottleneck, r.code_size, r.epochs]
    columns += [r.created, r.parent, j.state, j.want, j.step, j.total_steps, j.epoch, j.loss, j.images_per_second]
    columns += [j.started, j.ended, j.device, j.reason_code, j.reason, j.id, j.attempt]
    columns += [j.checkpoint_step, j.sweep, r.tags, r.note, r.archived, r.tell, r.private]
    columns += [j.steps_per_second, j.heartbeat, above.c.owner, above.c.private]
    joined = runs_table.join(jobs, j.id == r.job_id).outerjoin(above, above.c.id == r.parent)
    return select(*columns).select_from(joined).where(r.deleted.is_(None)).order_by(r.seq.desc())


QUERY = _query()


def _row(lab: Lab, values: Sequence[Any], now: float) -> RunRow:
    *fields, speed, heartbeat, owner, hidden = values
    if not rights.there(lab.viewer, fields[9]) or (hidden and not rights.sees(lab.viewer, owner, private=True)):
        fields[9] = None  # its parent
    state, want, step, total = fields[10:14]
    eta, waits = None, fields[20] == "disk_full"
    if state == "running" and speed and total is not None and not waits:
        eta = max(0.0, (total - step) / speed - (now - heartbeat))
    shown = _shown(state, want, fields[21])
    *fields, tags, note, archived, tell, private = fields
    marks = (tuple(tags.split(",")) if tags else (), note, archived, bool(tell), bool(private))
    return RunRow(*(*fields, *marks, shown, eta))


def _shown(state: str, want: str, reason: str) -> str:
    if state in LIVE and want != "run":
        return {"cancel": "stopping", "pause": "pausing"}[want]
    return "queued" if state == "starting" and reason.startswith(WAITS) else state
