"""What one person may have of a lab, by its settings: said in a sentence before anything is queued. Without settings, anything."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from aecore.config import RunConfig, writes
from aecore.config.limits import PersonLimits
from aecore.runs import Lab, LabError, database, usage
from aecore.runs.database import in_line, jobs, runs


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
        many = f" With these {new} there would be {there + new}." if new > 1 else ""
        raise LabError(
            f"{owner} has {there} run{'s' * (there != 1)} waiting, and a person may have {limits.waiting} here "
            f"(per_person.waiting): wait until one starts, or stop one.{many} Nothing was queued."
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
