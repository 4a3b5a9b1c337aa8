"""When a waiting run starts and ends, from measured speeds only: where nothing like it was measured, it says so."""

import heapq
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from aecore.config import RunConfig
from aecore.jobs import queue
from aecore.jobs.speeds import OPEN_ONES, Open, Room, measured_speeds
from aecore.runs import Lab, database
from aecore.runs.database import LIVE
from aecore.runs.times import ordinal, span, when

SOON = 5.0
"""Seconds from now that are told as 'in a moment'."""
SCHEDULED = "The cluster's scheduler decides when it starts."


class Forecast(NamedTuple):
    """What is expected of a waiting run. Times are seconds since 1970; None is not known."""

    position: int
    """1 for the run that starts next."""
    starts: float | None
    ends: float | None
    why: str
    """In a sentence: what the times come from, or why there are none."""


def forecast(lab: Lab, now: float | None = None) -> dict[str, Forecast]:
    """What to expect of each waiting run, by its id, in the order of the queue. Two queries, one where nothing waits."""
    return _forecast(lab, time.time() if now is None else now)


def if_queued(lab: Lab, config: RunConfig, seconds: float, now: float | None = None) -> Forecast:
    """What to expect of a run that were queued now, and took so many seconds."""
    pool, slots = queue.pool(config), config.training.processes
    asked = Open(
        run_id="", state="queued", want="run", engine=None, pool=pool, slots=slots, step=0, total_steps=1,
        steps_per_second=1 / seconds, heartbeat=None, reason_code="", reason="", sweep=None, at_once=None,
        dataset="", backbone="", bottleneck="", code_size=0,
    )  # fmt: skip
    return _forecast(lab, time.time() if now is None else now, asked)[""]


def _forecast(lab: Lab, now: float, asked: Open | None = None) -> dict[str, Forecast]:
    with database.reading(lab.engine) as connection:
        found = [Open(*row) for row in connection.execute(OPEN_ONES)]
        waiting = [*(job for job in found if _waits(job)), *([asked] if asked else [])]
        measured = measured_speeds(connection, found) if waiting else []
    if not waiting:
        return {}
    if lab.settings.executor != "local":
        return {job.run_id: Forecast(place, None, None, SCHEDULED) for place, job in enumerate(waiting, 1)}
    return _simulate(Room(lab, measured), [job for job in found if job.state in LIVE], waiting, now)


def told(expected: Forecast, now: float | None = None) -> str:
    """A forecast in words: '2nd in the queue, starts in about 4 min, ends at 14:32'."""
    now = time.time() if now is None else now
    place = f"{ordinal(expected.position)} in the queue"
    if expected.starts is None:
        return place
    wait = expected.starts - now
    starts = "starts in a moment" if wait < SOON else f"starts in about {span(wait)}"
    if expected.ends is None:
        return f"{place}, {starts}"
    end = when(expected.ends, now)
    return f"{place}, {starts}, ends {'on' if ' ' in end else 'at'} {end}"


def _waits(job: Open) -> bool:
    """In the lab's queue, or in the engine's own; runs in the foreground wait for nobody."""
    handed = job.state == "starting" and job.reason.startswith(database.WAITS)
    return handed or (job.state == "queued" and job.engine is None)


def _simulate(room: Room, live: Sequence[Open], waiting: Sequence[Open], now: float) -> dict[str, Forecast]:
    """Fill the slots in the order of the queue. A slot is free at a moment; at infinity where nobody knows."""
    free = {pool: _free(room, pool, live, now) for pool in set(room.slots)}
    found, groups = {}, _Groups((job, _release(room, job, now)) for job in live)
    for position, job in enumerate(waiting, 1):
        found[job.run_id] = _next(room, job, position, free[room.pool(job)], now, groups)
    return found


class _Groups(defaultdict[str, list[float]]):
    """Sweep -> when its runs end: of so many at once, the next one waits for the first to end."""

    def __init__(self, live: Iterable[tuple[Open, float]]):
        super().__init__(list)
        for job, ends in live:
            self.add(job, ends)

    def add(self, job: Open, ends: float) -> None:
        if job.sweep:
            self[job.sweep].append(ends)

    def free(self, job: Open) -> float:
        ends = sorted(self[job.sweep]) if job.sweep else []
        return ends[-job.at_once] if job.at_once and len(ends) >= job.at_once else -inf


def _next(
    room: Room, job: Open, position: int, places: list[tuple[float, str]], now: float, groups: _Groups
) -> Forecast:
    """Take the first places that are free, and note when they will be free again."""
    if job.slots > len(places):
        return Forecast(position, None, None, "It asks for more places than this lab has.")
    starts, before = max(heapq.heappop(places) for _ in range(job.slots))
    starts = max(starts, groups.free(job))
    unknown = next((run_id for moment, run_id in places if moment == inf), "")
    seconds, why = room.expected(job)
    ends = inf if seconds is None else starts + seconds
    groups.add(job, ends)
    for _ in range(job.slots):
        heapq.heappush(places, (ends, job.run_id))
    if starts == inf:
        why = f"It starts after {before or job.sweep}, of which nobody knows yet how long it takes."
    elif unknown and starts > now:
        why = f"At the latest: nobody knows yet how long {unknown} takes. {why}"
    return Forecast(position, _finite(starts), _finite(ends), f"{why}{room.proviso(job)}")


def _free(room: Room, pool: str, live: Sequence[Open], now: float) -> list[tuple[float, str]]:
    """A heap: when each slot of a pool is free, and of which run."""
    count = room.slots.count(pool)
    mine = [job for job in live if job.engine != "foreground" and room.pool(job) == pool]
    taken = sorted((_release(room, job, now), job.run_id) for job in mine for _ in range(job.slots))
    surplus = max(0, len(taken) - count)  # there were more slots when they began: the first to end make no room
    return sorted([*taken[surplus:], *[(now, "")] * (count - len(taken))])


def _release(room: Room, job: Open, now: float) -> float:
    if job.want != "run":
        return now  # it saves and leaves
    if job.reason_code == "disk_full":
        return inf
    if job.state == "running" and job.steps_per_second and job.total_steps:
        left = (job.total_steps - job.step) / job.steps_per_second
        return max(now, (job.heartbeat or now) + left)
    seconds = room.expected(job).seconds
    return inf if seconds is None else now + seconds


def _finite(moment: float) -> float | None:
    return None if moment == inf else moment
