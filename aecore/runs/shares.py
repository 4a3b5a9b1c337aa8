"""What each person has used of the slots lately: seconds, of which those of a day ago count half."""

import math
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from aecore.runs.tables import jobs, used

HALF_LIFE = 86_400.0
"""Seconds after which what was used counts half."""


class Used(NamedTuple):
    """Seconds of slots that a person has used, as they counted at a moment."""

    seconds: float
    at: float


class Spell(NamedTuple):
    """Slots that somebody holds from a moment on; `ends` is infinite where nobody knows."""

    began: float
    ends: float
    slots: int


def added(before: Used | None, spell: Spell, moment: float) -> Used:
    """What a person has used with a spell that has ended."""
    return Used(left(before, moment) + counts(spell, moment), moment)


def left(seen: Used | None, moment: float) -> float:
    """What of it counts at a later moment."""
    return 0.0 if seen is None else seen.seconds * 2 ** (-max(0.0, moment - seen.at) / HALF_LIFE)


def counts(spell: Spell, moment: float) -> float:
    """The integral over the spell of 2 ** (-age / HALF_LIFE)."""
    begin, end = max(0.0, moment - spell.began), max(0.0, moment - spell.ends)
    rate = math.log(2) / HALF_LIFE
    return spell.slots * max(0.0, math.expm1(-rate * end) - math.expm1(-rate * begin)) / rate


def read(connection: Connection) -> dict[str, Used]:
    """What each person has used with jobs that have left their slots."""
    return {row.owner: Used(row.seconds, row.at) for row in connection.execute(select(used))}


def charge(connection: Connection, owner: str, spell: Spell, now: float) -> None:
    """Note that somebody's job has left its slots."""
    mine = used.c.owner == owner
    row = connection.execute(select(used).where(mine)).one_or_none()
    total = added(Used(row.seconds, row.at) if row else None, spell, now)
    values = {"seconds": total.seconds, "at": total.at}
    connection.execute(update(used).where(mine).values(values) if row else insert(used).values(owner=owner, **values))


def rebuild(connection: Connection) -> None:
    """Fill the empty table from the jobs' own times, as far as these still tell."""
    ended = func.coalesce(jobs.c.ended, jobs.c.heartbeat, jobs.c.created)
    columns = (jobs.c.owner, jobs.c.busy, jobs.c.slots, ended.label("ended"))
    for job in connection.execute(select(*columns).where(jobs.c.busy > 0).order_by(ended)).all():
        charge(connection, job.owner, Spell(job.ended - job.busy, job.ended, job.slots), job.ended)
