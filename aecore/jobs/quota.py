"""What one person may have of a lab, by its settings: said in a sentence before anything is queued. Without settings, anything."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from aecore.config import RunConfig, writes
from aecore.config.limits import PersonLimits
from aecore.runs import Lab, LabError, database, usage
from aecore.runs.database import WAITS, in_line, jobs, runs

FULL = f"{WAITS}the disk share of "
"""What a run's reason begins with while it waits for room in its owner's share."""
MARGIN = 1.02
"""Of a share, that what trains may reach: so that a run which left for it does not come back for a few bytes."""
WEIGH, PART = 20.0, 0.05
"""Seconds between two looks at what people's runs take, and the part of the supervisor's time that looking may take."""


def disk(lab: Lab, owner: str) -> int:
    """Bytes that a person's runs take, deleted ones left out; 0 where nothing depends on it, for it reads many folders."""
    if lab.settings.per_person.gigabytes is None:
        return 0
    mine = select(runs.c.id).where(runs.c.owner == owner, runs.c.deleted.is_(None))
    with database.reading(lab.engine) as connection:
        ids = list(connection.execute(mine).scalars())
    return sum(usage.measure(lab, run_id) for run_id in ids)


def check(connection: Connection, limits: PersonLimits, owner: str, taken: int, new: int = 1) -> None:
    """Whether so many more runs of a person may be queued. Raises LabError where a limit would be passed.

    Args:
        taken: what `disk` says.
    """
    if limits.gigabytes is not None and taken >= limits.gigabytes * 1e9:
        raise LabError(
            f"The runs of {owner} take {taken / 1e9:.3g} GB of disk, and a person may take {limits.gigabytes:g} GB here "
            "(per_person.gigabytes): delete some. Nothing was queued."
        )
    if limits.waiting is None:
        return
    mine = (
        in_line() & (jobs.c.owner == owner) & (jobs.c.kind == "train") & (jobs.c.engine.is_distinct_from("foreground"))
    )
    there = connection.execute(select(func.count()).where(mine)).scalar_one()
    if there + new > limits.waiting:
        cure = "wait until one starts, or stop one" if new <= limits.waiting else "make the sweep smaller"
        many = f" With these {new} there would be {there + new}." if new > 1 else ""
        raise LabError(
            f"{owner} has {there} run{'s' * (there != 1)} waiting, and a person may have {limits.waiting} here "
            f"(per_person.waiting): {cure}.{many} Nothing was queued."
        )


def ask(lab: Lab, owner: str, configs: Sequence[RunConfig], nonce: str) -> None:
    """`check` before several runs are queued, those left out that an earlier try has queued. Raises LabError."""
    taken, sent = disk(lab, owner), [fingerprint(owner, nonce, config) for config in configs]
    there = select(func.count()).where(runs.c.submission.in_(sent), runs.c.deleted.is_(None))
    with database.reading(lab.engine) as connection:
        new = len(configs) - connection.execute(there).scalar_one()
        if new:
            check(connection, lab.settings.per_person, owner, taken, new)


def fingerprint(owner: str, nonce: str, config: RunConfig) -> str:
    """What tells two submissions apart."""
    return hashlib.sha256(f"{owner}\n{nonce}\n{writes(config)}".encode()).hexdigest()


def left(limits: PersonLimits, busy: float) -> float | None:
    """Seconds that a run may still hold its slots, of which it held them for `busy` seconds; None for any number."""
    return None if limits.hours is None else max(0.0, limits.hours * 3600 - busy)


@dataclass
class Scale:
    """What the runs of people take on the disk, looked at while they train; nothing where a share is not limited."""

    lab: Lab
    known: dict[str, int] = field(default_factory=dict)
    """Bytes of each run that was weighed."""
    taken: dict[str, int] = field(default_factory=dict)
    """Bytes of each person who has a run that trains or waits."""
    grew: set[str] = field(default_factory=set)
    """Runs that were worked on at the last look."""
    due: float = 0.0

    def look(self, owners: set[str], growing: set[str]) -> None:
        """Where it is time to, weigh what runs of these people take: those that ended once, all where the share is full."""
        limit, begin = self.limit, time.monotonic()
        if limit is None or begin < self.due:
            return
        columns = select(runs.c.id, runs.c.owner).where(runs.c.owner.in_(owners), runs.c.deleted.is_(None))
        with database.reading(self.lab.engine) as connection:
            mine = connection.execute(columns).all()
        old = {row.id for row in mine if row.id in growing | self.grew or self.taken.get(row.owner, 0) >= limit}
        known = {run_id: size for run_id, size in self.known.items() if run_id not in old}
        self.known = {row.id: known[row.id] if row.id in known else usage.measure(self.lab, row.id) for row in mine}
        self.taken, self.grew = dict.fromkeys(owners, 0), growing
        for row in mine:
            self.taken[row.owner] += self.known[row.id]
        now = time.monotonic()
        self.due = now + max(WEIGH, (now - begin) / PART)

    @property
    def limit(self) -> float | None:
        """Bytes that one person may take."""
        gigabytes = self.lab.settings.per_person.gigabytes
        return None if gigabytes is None else gigabytes * 1e9

    def full(self, owner: str, margin: float = 1.0) -> str:
        """Why a run of this person must wait for room, in words; '' where it need not."""
        taken, limit = self.taken.get(owner, 0), self.limit
        if limit is None or taken < margin * limit:
            return ""
        return (
            f"{FULL.removeprefix(WAITS)}{owner} is full: their runs take {taken / 1e9:.3g} GB, and a person may take "
            f"{limit / 1e9:g} GB here (per_person.gigabytes). It goes on when some are deleted"
        )
