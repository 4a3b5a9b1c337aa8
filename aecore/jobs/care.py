"""Who is on the lab's devices, who waits, and who has used how much: what its keeper looks at."""

import time
from collections import Counter
from typing import Any, NamedTuple

from sqlalchemy import select

from aecore.jobs import supervisor, turns
from aecore.jobs.devices import gpus
from aecore.jobs.slots import slots
from aecore.runs import Lab, database, diary, rights, shares
from aecore.runs.database import LIVE, events, in_line, jobs, runs
from aecore.runs.history import SIDE
from aecore.runs.rights import Verb

DRAINING = {
    "finish": "No new runs start: the lab is being made ready for maintenance. Those that train go on to their end.",
    "save": "The lab is being made ready for maintenance: what trains is saved and goes on afterwards, nothing new starts.",
}
"""What everybody reads while the lab is drained."""


class AtWork(NamedTuple):
    """A job that has a place."""

    run_id: str
    name: str
    owner: str
    kind: str
    state: str
    where: str
    """Its slots, such as 'gpu-0'; of another engine its name there."""
    since: float | None
    step: int
    total_steps: int | None


class Place(NamedTuple):
    """A slot of this machine, and who has it."""

    name: str
    device: str
    """The GPU's UUID, '' for the processor."""
    by: AtWork | None


class Person(NamedTuple):
    """What somebody has of the lab."""

    name: str
    running: int
    waiting: int
    runs: int
    used: float
    """Seconds of slots lately, see `turns`."""


class Happened(NamedTuple):
    """An event of a run or of the lab, at a time in seconds since 1970."""

    at: float
    by: str
    run_id: str
    """'' for the lab itself."""
    text: str


def at_work(lab: Lab) -> list[AtWork]:
    """The jobs that have a place, the longest there first. Of a run that the viewer does not see, only whose it is.

    Raises:
        Forbidden: where the viewer may not see what the lab's keepers see, as everything here.
    """
    lab.demand(Verb.SERVER)
    j = jobs.c
    columns: list[Any] = [j.run_id, runs.c.name, j.owner, j.kind, j.state, j.slot, j.engine, j.engine_ref, j.device]
    columns += [j.since, j.step, j.total_steps, runs.c.private]
    query = select(*columns).join(runs, runs.c.id == j.run_id).where(j.state.in_(LIVE), ~in_line())
    with database.reading(lab.engine) as connection:
        rows = connection.execute(query.order_by(j.since, j.id)).all()
    return [AtWork(*_named(lab, r), r.owner, r.kind, r.state, _where(r), r.since, r.step, r.total_steps) for r in rows]


def _named(lab: Lab, row: Any) -> tuple[str, str]:
    return (row.run_id, row.name) if rights.sees(lab.viewer, row.owner, row.private) else ("", "a private run")


def _where(row: Any) -> str:
    if row.engine == "local" and row.slot:
        return str(row.slot)
    return {"local": "", "foreground": "in the foreground"}.get(row.engine, row.engine_ref or row.engine or "")


def places(lab: Lab) -> list[Place]:
    """The slots of this machine with whoever has them."""
    by = {name: job for job in at_work(lab) for name in job.where.split(", ")}
    return [Place(slot.name, slot.device, by.get(slot.name)) for slot in slots(lab, [gpu.uuid for gpu in gpus()])]


def restart(lab: Lab, by: str) -> None:
    """Start the supervisor anew; runs go on. Raises Forbidden."""
    lab.demand(Verb.DRAIN)
    supervisor.stop_supervisor(lab)
    supervisor.ensure_supervisor(lab)
    diary.write(lab, by, "restarted the supervisor")


def people(lab: Lab, now: float | None = None) -> list[Person]:
    """Everybody who has a run, or has used slots lately; who used most lately first."""
    lab.demand(Verb.SERVER)
    now = time.time() if now is None else now
    j = jobs.c
    with database.reading(lab.engine) as connection:
        used = shares.read(connection)
        open_ones = connection.execute(
            select(j.owner, j.kind, j.state, j.reason, j.since, j.slots, in_line().label("waits")).where(
                j.state.in_(("queued", *LIVE))
            )
        ).all()
        owned = Counter(
            connection.execute(select(runs.c.owner).where(runs.c.deleted.is_(None), rights.seen(lab.viewer))).scalars()
        )
    counted = turns.Shares.now(used, [job for job in open_ones if not job.waits], now)
    trains = [job for job in open_ones if job.kind == "train"]
    running = Counter(job.owner for job in trains if not job.waits)
    waiting = Counter(job.owner for job in trains if job.waits)
    found = [
        Person(name, running[name], waiting[name], owned[name], counted.of(name, now))
        for name in {*owned, *used, *running}
    ]
    return sorted(found, key=lambda person: (-person.used, person.name))


def happened(lab: Lab, most: int = 200) -> list[Happened]:
    """The latest events of all runs, newest first."""
    lab.demand(Verb.SERVER)
    e = events.c
    query = select(e.at, e.by, e.run_id, jobs.c.kind, e.new, e.reason).join(runs, runs.c.id == e.run_id)
    query = query.outerjoin(jobs, jobs.c.id == e.job_id)
    query = query.where(rights.seen(lab.viewer)).order_by(e.id.desc()).limit(most)
    with database.reading(lab.engine) as connection:
        rows = connection.execute(query).all()
    return [Happened(row.at, row.by, row.run_id, row.reason.partition("\n")[0] or _became(row)) for row in rows]


def _became(event: Any) -> str:
    """A job's new state; of what is no training, with what it is: a run that has ended is queued no more."""
    return event.new if event.kind in (None, "train") else f"{SIDE.get(event.kind, event.kind)} {event.new}"


def acts(lab: Lab) -> list[diary.Act]:
    """What was done to the lab itself, newest first."""
    lab.demand(Verb.SERVER)
    return diary.read(lab)
