"""Whether a run has room on a GPU: what it will take is known from runs like it, never guessed."""

from collections.abc import Sequence

from sqlalchemy import func, select

from aecore.jobs import locks
from aecore.jobs.devices import Device
from aecore.jobs.queue import Job
from aecore.jobs.slots import Slot
from aecore.runs import Lab, database
from aecore.runs.database import jobs, runs
from aecore.runs.text import size

SPARE = 1.1
"""A run like another one takes about as much memory."""
BUSY = 0.5
"""Share of a GPU's memory from which on it counts as somebody else's."""


def measured(lab: Lab, run_id: str) -> int | None:
    """The most memory, in bytes, that a run on the same data with the same parts and code has taken on a GPU."""
    this = runs.alias()
    same = [runs.c[name] == this.c[name] for name in ("dataset", "backbone", "bottleneck", "code_size")]
    query = (
        select(func.max(jobs.c.memory))
        .select_from(jobs.join(runs, runs.c.id == jobs.c.run_id).join(this, this.c.id == run_id))
        .where(jobs.c.kind == "train", jobs.c.device.not_like("CPU%"), *same)
    )
    with database.reading(lab.engine) as connection:
        found: int | None = connection.execute(query).scalar_one_or_none()
    return found


def objection(lab: Lab, job: Job, slot: Slot, slots: Sequence[Slot], cards: Sequence[Device]) -> str | None:
    """Why a job cannot have a slot that nobody holds, in words; None where it can."""
    card = next((card for card in cards if card.uuid == slot.device), None)
    if slot.pool != "gpu" or card is None:
        return None
    ours = any(locks.held(other.lock) for other in slots if other.device == slot.device and other is not slot)
    free, needs = card.memory_total - card.memory_used, measured(lab, job.run_id)
    if needs is not None and SPARE * needs > free:
        return f"it needs about {size(needs)} and {card.name} has {size(free)} free"
    if ours and needs is None:
        return "it shares no GPU before a run like it was measured"
    if not ours and card.memory_used > BUSY * card.memory_total:
        return f"another program has {size(card.memory_used)} of {card.name}"
    return None
