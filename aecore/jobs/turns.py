"""Whose turn it is when a slot is free: strict priority; then what was interrupted; then the person who has used least lately; then
first come, first served.

A person's own runs stay in their order. What somebody has used lately are seconds of slots, of which those of a day ago count
half, those of two days ago a quarter. It is measured: a job's time is added when it leaves its slot (`runs.shares`). One that runs
counts from its start, and for `LEAST` at least, so that slots that are free together go to several people.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from aecore.runs.shares import Spell, Used, added, counts, left

LEAST = 600.0
"""Seconds that a job counts for from its start, until it has taken longer."""


class Asks(Protocol):
    """A job, as far as its turn goes."""

    @property
    def owner(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def place(self) -> int: ...
    @property
    def reason_code(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def sweep(self) -> str | None: ...
    @property
    def at_once(self) -> int | None: ...


class Works(Asks, Protocol):
    """A job that has its slots."""

    @property
    def since(self) -> float | None: ...


A = TypeVar("A", bound=Asks)


class Shares:
    """What each person has used lately, as it counts at moments that do not go back."""

    def __init__(self, ended: Mapping[str, Used]):
        self.ended = dict(ended)
        self.spells: defaultdict[str, list[Spell]] = defaultdict(list)

    @classmethod
    def now(cls, ended: Mapping[str, Used], live: Iterable[Works], now: float) -> "Shares":
        """With what runs, of which nobody knows how long it takes."""
        shares = cls(ended)
        for job in live:
            shares.begin(job.owner, Spell(min(job.since or now, now), math.inf, job.slots))
        return shares

    def begin(self, owner: str, spell: Spell) -> None:
        """Somebody gets slots."""
        self.spells[owner].append(spell)

    def of(self, owner: str, moment: float) -> float:
        """Seconds of slots that count for a person at a moment."""
        for spell in [spell for spell in self.spells[owner] if spell.ends <= moment]:
            self.spells[owner].remove(spell)
            self.ended[owner] = added(self.ended.get(owner), spell, moment)
        running = (max(spell.slots * LEAST, counts(spell, moment)) for spell in self.spells[owner])
        return left(self.ended.get(owner), moment) + sum(running)


class Limit(NamedTuple):
    """How many jobs of one name may run at once."""

    name: tuple[str, str]
    most: int
    words: str


class Limits:
    """How many may run at once: of a sweep as many as it was queued with, of a person as many as the lab allows."""

    def __init__(self, live: Iterable[Asks], at_once: int | None):
        self.at_once = at_once
        self.at_work = Counter(limit.name for job in live for limit in self.of(job))

    def of(self, job: Asks) -> list[Limit]:
        """Those that a job is under."""
        found = []
        if job.sweep and job.at_once:
            found.append(Limit(("sweep", job.sweep), job.at_once, f"its sweep trains {job.at_once} at once"))
        if self.at_once and job.kind == "train":
            words = f"{job.owner} trains {self.at_once} at once, as many as a person may here"
            found.append(Limit(("person", job.owner), self.at_once, words))
        return found

    def full(self, job: Asks) -> str:
        """Why a job must wait although a slot is free, in words; '' where it need not."""
        return next((limit.words for limit in self.of(job) if self.at_work[limit.name] >= limit.most), "")

    def take(self, job: Asks) -> None:
        """It starts."""
        self.at_work.update(limit.name for limit in self.of(job))


class Line(NamedTuple):
    """Waiting jobs in the order in which they start, and why those that are held back are."""

    may: list[Any]
    held: list[tuple[Any, str]]


def line(
    live: Sequence[Works], waiting: Sequence[A], ended: Mapping[str, Used], now: float, at_once: int | None
) -> Line:
    """Put jobs that wait into the order in which they start if slots become free one after the other, now.

    Args:
        live: what runs, or is about to.
        waiting: in any order; those of them that an engine's own queue holds already (`starting`) count as admitted.
        at_once: runs that a person may have at once; None for any number.
    """
    shares, limits, found = Shares.now(ended, live, now), Limits(live, at_once), Line([], [])
    for job in waiting:
        if _handed(job):
            limits.take(job)
    for urgency in sorted({rank(job) for job in waiting}, reverse=True):
        _in_turn([job for job in waiting if rank(job) == urgency], shares, limits, found, now)
    return found


def rank(job: Asks) -> int:
    """What goes before everything else: the priority, and within one of them what lost its slot through no fault of its owner."""
    interrupted = job.state == "queued" and job.reason_code not in ("", "user")
    return 2 * job.priority + interrupted


def _in_turn(jobs: Sequence[A], shares: Shares, limits: Limits, found: Line, now: float) -> None:
    """Jobs of one rank: again and again the first of the person with the smallest share, which grows with it."""
    mine = by_owner(jobs)
    heap = [(shares.of(owner, now), own[-1].place, owner) for owner, own in mine.items()]
    heapq.heapify(heap)
    while heap:
        share, _, owner = heapq.heappop(heap)
        job = mine[owner].pop()
        why = "" if _handed(job) else limits.full(job)
        if why:
            found.held.append((job, why))
        else:
            found.may.append(job)
            shares.begin(owner, Spell(now, math.inf, job.slots))
            share += job.slots * LEAST
            if not _handed(job):
                limits.take(job)
        if mine[owner]:
            heapq.heappush(heap, (share, mine[owner][-1].place, owner))


def by_owner(jobs: Iterable[A]) -> dict[str, list[A]]:
    """{owner: their jobs, the first of them last}."""
    mine: defaultdict[str, list[A]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: -job.place):
        mine[job.owner].append(job)
    return dict(mine)


def _handed(job: Asks) -> bool:
    return job.state == "starting"
