"""When a waiting run starts and ends, from measured speeds only: where nothing like it was measured, it says so."""

import heapq
import time
from bisect import bisect, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from aecore.config import RunConfig
from aecore.jobs import quota, speeds, turns
from aecore.jobs.slots import wish
from aecore.jobs.speeds import Open, Room
from aecore.runs import Lab, database, shares
from aecore.runs.database import LIVE
from aecore.runs.text import isolated
from aecore.runs.times import ordinal, span, when

SOON = 5.0
"""Seconds from now that are told as 'in a moment'."""
DRAINED = "The lab is being made ready for maintenance: it starts afterwards."
ROOM = "It starts when there is room for it on the disk."
SCHEDULED = "The cluster's scheduler decides when it starts."
Used = Mapping[str, shares.Used]


class Forecast(NamedTuple):
    """What is expected of a waiting run. Times are seconds since 1970; None is not known."""

    position: int
    """1 for the run that starts next."""
    starts: float | None
    ends: float | None
    why: str
    """In a sentence: what the times come from, or why there are none."""
    others: int = 0
    """Waiting runs of other people that start before it."""
    rule: str = ""
    """In a sentence: what it is for it that the next slot goes to the person who has used least lately; '' for nothing."""


def forecast(lab: Lab, now: float | None = None) -> dict[str, Forecast]:
    """What to expect of each waiting run that the viewer sees, by its id, in the order of the queue. Three queries, one where nothing waits."""
    return _forecast(lab, time.time() if now is None else now)


def if_queued(lab: Lab, config: RunConfig, seconds: float, now: float | None = None) -> Forecast:
    """What to expect of a run that the viewer queued now, and that took so many seconds."""
    asked = speeds.imagined(lab.viewer.name if lab.viewer else "", wish(config), config.training.processes, seconds)
    return _forecast(lab, time.time() if now is None else now, asked)[asked.run_id]


def _forecast(lab: Lab, now: float, asked: Open | None = None) -> dict[str, Forecast]:
    with database.reading(lab.engine) as connection:
        found = [Open(*row) for row in connection.execute(speeds.OPEN_ONES)]
        waiting = [*(job for job in found if _waits(job)), *([asked] if asked else [])]
        if not waiting:
            return {}
        measured, used = speeds.measured_like(connection, found), shares.read(connection)
    live = [job for job in found if job.state in LIVE and not _waits(job)]
    if lab.settings.executor == "local" and lab.settings.drain == "off":
        expected = _Simulation(Room(lab, measured), live, waiting, used, now).run()
    else:
        line = turns.line(live, waiting, used, now, lab.settings.per_person.at_once)
        order = [*line.may, *(job for job, _ in line.held)]
        why = SCHEDULED if lab.settings.drain == "off" else DRAINED
        expected = {job.run_id: Forecast(place, None, None, why) for place, job in enumerate(order, 1)}
    hidden = {job.run_id for job in waiting if not speeds.sees(lab.viewer, job)}
    told_of = _with_others(expected, waiting).items()
    return {run_id: one for run_id, one in told_of if run_id not in hidden}


def told(expected: Forecast, now: float | None = None) -> str:
    """A forecast in words: '2nd in the queue, starts in about 4 min, ends at 14:32'."""
    now = time.time() if now is None else now
    place = f"{ordinal(expected.position)} in the queue{first(expected)}"
    if expected.starts is None:
        return place
    wait = expected.starts - now
    starts = "starts in a moment" if wait < SOON else f"starts in about {span(wait)}"
    if expected.ends is None:
        return f"{place}, {starts}"
    end = when(expected.ends, now)
    return f"{place}, {starts}, ends {'on' if ' ' in end else 'at'} {end}"


def first(expected: Forecast) -> str:
    """How many runs of others start before it: ', 2 runs of others first', or ''."""
    return f", {expected.others} run{'s' * (expected.others > 1)} of others first" if expected.others else ""


def _waits(job: Open) -> bool:
    """In the lab's queue, or in the engine's own; runs in the foreground wait for nobody."""
    handed = job.state == "starting" and job.reason.startswith(database.WAITS)
    return handed or (job.state == "queued" and job.engine is None)


class _Stream(NamedTuple):
    """Waiting jobs that start one after the other: those of one person that are under the same limits."""

    pool: str
    rank: int
    owner: str
    limits: tuple[turns.Limit, ...]


class _Simulation:
    """The queue played through: whenever a slot is free, whose turn it is then, by what will have been used by then."""

    def __init__(self, room: Room, live: Sequence[Open], waiting: Sequence[Open], used: Used, now: float):
        self.room, self.now, self.moment = room, now, now
        self.limits = turns.Limits((), room.lab.settings.per_person.at_once)
        self.at_work: defaultdict[tuple[str, str], list[float]] = defaultdict(list)  # of each limit when they end
        self.shares = turns.Shares(used)
        for job in live:
            ends = _release(room, job, now)
            self._begin(job, self.limits.of(job), min(job.since or now, now), ends)
        self.streams: dict[_Stream, list[Open]] = {}
        for job in sorted(waiting, key=lambda job: -job.place):
            stream = _Stream(room.pool(job), turns.rank(job), job.owner, tuple(self.limits.of(job)))
            self.streams.setdefault(stream, []).append(job)
        pools = {stream.pool for stream in self.streams}
        self.free = {pool: _free(room, pool, live, now) for pool in pools}

    def run(self) -> dict[str, Forecast]:
        found: dict[str, Forecast] = {}
        while self.streams:
            stream = self._turn()
            job = self.streams[stream].pop()
            if not self.streams[stream]:
                del self.streams[stream]
            found[job.run_id] = self._place(job, stream, len(found) + 1)
        return found

    def _turn(self) -> _Stream:
        """Where the next slot that becomes free goes."""
        pool = min((stream.pool for stream in self.streams), key=self._next)
        mine = [stream for stream in self.streams if stream.pool == pool]
        ready = max(self._next(pool), min(map(self._under, mine)))
        if ready < inf:
            self.moment = max(self.moment, ready)
        return min((stream for stream in mine if self._under(stream) <= ready), key=self._rank)

    def _next(self, pool: str) -> float:
        return self.free[pool][0][0] if self.free[pool] else inf

    def _under(self, stream: _Stream) -> float:
        """When it is under all of its limits: as soon as so many of those at work have ended."""
        if not stream.limits:  # nearly always, and asked very often
            return -inf
        ends = [(sorted(self.at_work[limit.name]), limit.most) for limit in stream.limits]
        return max((ended[-most] for ended, most in ends if len(ended) >= most), default=-inf)

    def _rank(self, stream: _Stream) -> tuple[float, float, int]:
        return -stream.rank, self.shares.of(stream.owner, self.moment), self.streams[stream][-1].place

    def _place(self, job: Open, stream: _Stream, position: int) -> Forecast:
        """Take the first places that are free, and note when they will be free again."""
        places = self.free[stream.pool]
        if job.reason.startswith(quota.FULL):
            return Forecast(position, None, None, ROOM)
        if job.slots > len(places):
            return Forecast(position, None, None, "It asks for more places than this lab has.")
        starts, before = max(heapq.heappop(places) for _ in range(job.slots))
        starts = max(starts, self._under(stream))
        unknown = next((run_id for moment, run_id in places if moment == inf), "")
        seconds, why = self.room.expected(job)
        ends = inf if seconds is None else starts + seconds
        self._begin(job, stream.limits, min(starts, self.moment), ends)
        for _ in range(job.slots):
            heapq.heappush(places, (ends, self.room.name(job)))
        if starts == inf:
            why = f"It starts after {before or job.sweep}, of which nobody knows yet how long it takes."
        elif unknown and starts > self.now:
            why = f"At the latest: nobody knows yet how long {unknown} takes. {why}"
        return Forecast(position, _finite(starts), _finite(ends), f"{why}{self.room.proviso(job)}")

    def _begin(self, job: Open, limits: Iterable[turns.Limit], starts: float, ends: float) -> None:
        self.shares.begin(job.owner, shares.Spell(starts, ends, job.slots))
        for limit in limits:
            self.at_work[limit.name].append(ends)


def _with_others(found: dict[str, Forecast], waiting: Sequence[Open]) -> dict[str, Forecast]:
    """Say of each how many runs of others start first, and what the rule did to it."""
    jobs = {job.run_id: job for job in waiting}
    order = [jobs[run_id] for run_id in found]
    passed, passes = _moved(order), _moved(order[::-1], -1)
    seen: Counter[str] = Counter()
    for place, job in enumerate(order):
        others = place - seen[job.owner]
        seen[job.owner] += 1
        rule = _rule(job.owner, passed[job.run_id], passes[job.run_id])
        found[job.run_id] = found[job.run_id]._replace(others=others, rule=rule)
    return found


def _moved(order: Sequence[Open], way: int = 1) -> dict[str, int]:
    """Of each job how many of others, of its priority, went by that were queued later (`way` -1: earlier)."""
    places: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    found = {}
    for job in order:
        everybody, own, here = (
            places[job.priority, ""],
            places[job.priority, f"{isolated(job.owner)}'s"],
            way * job.place,
        )
        found[job.run_id] = _beyond(everybody, here) - _beyond(own, here)
        insort(everybody, here)
        insort(own, here)
    return found


def _beyond(places: Sequence[int], place: int) -> int:
    return len(places) - bisect(places, place)


def _rule(owner: str, passed: int, passes: int) -> str:
    if passed:
        who = "1 run that was queued later goes" if passed == 1 else f"{passed} runs that were queued later go"
        return f"{who} first: {owner} has used more lately."
    if passes:
        what = "1 run that was queued earlier" if passes == 1 else f"{passes} runs that were queued earlier"
        return f"It goes before {what}: {owner} has used less lately."
    return ""


def _free(room: Room, pool: str, live: Sequence[Open], now: float) -> list[tuple[float, str]]:
    """A heap: when each slot of a pool is free, and of which run."""
    count = room.slots.count(pool)
    mine = [job for job in live if job.engine != "foreground" and room.pool(job) == pool]
    taken = sorted((_release(room, job, now), room.name(job)) for job in mine for _ in range(job.slots))
    surplus = max(0, len(taken) - count)  # there were more slots when they began: the first to end make no room
    return sorted([*taken[surplus:], *[(now, "")] * (count - len(taken))])


def _release(room: Room, job: Open, now: float) -> float:
    if job.want != "run":
        return now  # it saves and leaves
    if job.reason_code == "disk_full":
        return inf
    if job.state == "running" and job.steps_per_second and job.total_steps:
        left = (job.total_steps - job.step) / job.steps_per_second
        return max(now, min((job.heartbeat or now) + left, (job.since or now) + room.left(job)))
    seconds = room.expected(job).seconds
    return inf if seconds is None else now + seconds


def _finite(moment: float) -> float | None:
    return None if moment == inf else moment
