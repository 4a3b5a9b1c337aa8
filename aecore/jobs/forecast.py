"""When a waiting run starts and ends, from measured speeds only: where nothing like it was measured, it says so."""

import heapq
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from aecore import data
from aecore.config import ConfigError, RunConfig
from aecore.jobs.devices import gpus
from aecore.jobs.slots import pool_of, slots
from aecore.runs import Lab, RunFolder, database
from aecore.runs.database import LIVE, jobs, runs
from aecore.runs.times import ordinal, span, when

RECENT, EACH, COMPARED = 5, 20, 60
"""Earlier runs that a speed is the median of; that are read of each kind of model; that are compared with one run."""
SOON = 5.0
"""Seconds from now that are told as 'in a moment'."""
MODEL = ("dataset", "backbone", "bottleneck", "code_size")
"""Columns of the runs' table that say what is trained on what."""
SCHEDULED = "The cluster's scheduler decides when it starts."
UNMEASURED = "No run like it was measured yet."


class Forecast(NamedTuple):
    """What is expected of a waiting run. Times are seconds since 1970; None is not known."""

    position: int
    """1 for the run that starts next."""
    starts: float | None
    ends: float | None
    why: str
    """In a sentence: what the times come from, or why there are none."""


class _Open(NamedTuple):
    """A training job that waits or has a place."""

    run_id: str
    state: str
    want: str
    engine: str | None
    pool: str
    slots: int
    step: int
    total_steps: int | None
    steps_per_second: float | None
    heartbeat: float | None
    reason_code: str
    reason: str
    sweep: str | None
    at_once: int | None
    dataset: str
    backbone: str
    bottleneck: str
    code_size: int


class _Measured(NamedTuple):
    """An earlier run, or one that runs, whose speed is known."""

    run_id: str
    pool: str
    steps_per_second: float
    dataset: str
    backbone: str
    bottleneck: str
    code_size: int


class _Expected(NamedTuple):
    seconds: float | None
    why: str


def forecast(lab: Lab, now: float | None = None) -> dict[str, Forecast]:
    """What to expect of each waiting run, by its id, in the order of the queue. Two queries, one where nothing waits."""
    now = time.time() if now is None else now
    with database.reading(lab.engine) as connection:
        found = [_Open(*row) for row in connection.execute(OPEN_ONES)]
        waiting = [job for job in found if _waits(job)]
        measured = _measured(connection, found) if waiting else []
    if not waiting:
        return {}
    if lab.settings.executor != "local":
        return {job.run_id: Forecast(place, None, None, SCHEDULED) for place, job in enumerate(waiting, 1)}
    return _simulate(_Room(lab, measured), [job for job in found if job.state in LIVE], waiting, now)


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


class _Room:
    """The slots of the lab, and what is known of speeds on them."""

    def __init__(self, lab: Lab, measured: Sequence[_Measured]):
        uuids = [gpu.uuid for gpu in gpus()]
        self.lab, self.measured, self.has_gpus = lab, measured, bool(uuids)
        self.slots = [slot.pool for slot in slots(lab, uuids)]

    def pool(self, job: _Open | _Measured) -> str:
        return pool_of(job.pool, self.has_gpus)

    def proviso(self, job: _Open) -> str:
        """What must hold besides where small runs share a GPU."""
        shared = self.pool(job) == "gpu" and self.lab.settings.runs_per_gpu > 1
        return " If its memory fits beside that of the runs on the same GPU." if shared else ""

    def expected(self, job: _Open) -> _Expected:
        """Seconds from its start, or from where it goes on, to its end."""
        try:
            folder = self.lab.runs_folder / job.run_id
            config, total = _config(folder), job.total_steps or _total_steps(folder, self.lab.data_roots)
        except ConfigError:
            return _Expected(None, "Its configuration or its images cannot be read.")
        if total is None:
            return _Expected(None, "The images of its classes are counted when it starts.")
        speed, why = self._speed(job, config)
        return _Expected(max(0, total - job.step) / speed if speed else None, why)

    def _speed(self, job: _Open, config: RunConfig) -> tuple[float | None, str]:
        """Steps per second: its own, else the median of the most similar earlier runs."""
        if job.steps_per_second:
            return job.steps_per_second, "From its own speed until now."
        training, kind = config.training, (job.bottleneck, job.code_size)
        batch = training.batch_size
        near = [(m, c) for m, c in self._near(job) if c.training.processes == training.processes]
        same = [m.steps_per_second for m, c in near if _costs(c) == _costs(config)]
        alike = [
            m.steps_per_second
            for m, c in near
            if (m.bottleneck, m.code_size) == kind and c.training.batch_size == batch
        ]
        images = [m.steps_per_second * c.training.batch_size / batch for m, c in near]
        for speeds, words in (
            (same, "of the same model"),
            (alike, "with the same data set, kind of model, code size and batch size"),
            (images, "with the same data set and backbone, by their images per second"),
        ):
            if recent := speeds[:RECENT]:
                earlier = f"{len(recent)} earlier run{'s' * (len(recent) > 1)}"
                return median(recent), f"From the measured speed of {earlier} {words}."
        return None, UNMEASURED

    def _near(self, job: _Open) -> list[tuple[_Measured, RunConfig]]:
        """Measured runs with its data set and backbone in its pool: those with its bottleneck and code size first, newest first."""
        mine = (self.pool(job), job.dataset, job.backbone)
        near = [m for m in self.measured if (self.pool(m), m.dataset, m.backbone) == mine]
        near.sort(key=lambda m: (m.bottleneck, m.code_size) != (job.bottleneck, job.code_size))
        return [(m, config) for m in near[:COMPARED] if (config := self._readable(m.run_id))]

    def _readable(self, run_id: str) -> RunConfig | None:
        try:
            return _config(self.lab.runs_folder / run_id)
        except ConfigError:
            return None


def _waits(job: _Open) -> bool:
    """In the lab's queue, or in the engine's own; runs in the foreground wait for nobody."""
    handed = job.state == "starting" and job.reason.startswith(database.WAITS)
    return handed or (job.state == "queued" and job.engine is None)


def _simulate(room: _Room, live: Sequence[_Open], waiting: Sequence[_Open], now: float) -> dict[str, Forecast]:
    """Fill the slots in the order of the queue. A slot is free at a moment; at infinity where nobody knows."""
    free = {pool: _free(room, pool, live, now) for pool in set(room.slots)}
    found, groups = {}, _Groups((job, _release(room, job, now)) for job in live)
    for position, job in enumerate(waiting, 1):
        found[job.run_id] = _next(room, job, position, free[room.pool(job)], now, groups)
    return found


class _Groups(defaultdict[str, list[float]]):
    """Sweep -> when its runs end: of so many at once, the next one waits for the first to end."""

    def __init__(self, live: Iterable[tuple[_Open, float]]):
        super().__init__(list)
        for job, ends in live:
            self.add(job, ends)

    def add(self, job: _Open, ends: float) -> None:
        if job.sweep:
            self[job.sweep].append(ends)

    def free(self, job: _Open) -> float:
        ends = sorted(self[job.sweep]) if job.sweep else []
        return ends[-job.at_once] if job.at_once and len(ends) >= job.at_once else -inf


def _next(
    room: _Room, job: _Open, position: int, places: list[tuple[float, str]], now: float, groups: _Groups
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


def _free(room: _Room, pool: str, live: Sequence[_Open], now: float) -> list[tuple[float, str]]:
    """A heap: when each slot of a pool is free, and of which run."""
    count = room.slots.count(pool)
    mine = [job for job in live if job.engine != "foreground" and room.pool(job) == pool]
    taken = sorted((_release(room, job, now), job.run_id) for job in mine for _ in range(job.slots))
    surplus = max(0, len(taken) - count)  # there were more slots when they began: the first to end make no room
    return sorted([*taken[surplus:], *[(now, "")] * (count - len(taken))])


def _release(room: _Room, job: _Open, now: float) -> float:
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


def _costs(config: RunConfig) -> tuple[Any, ...]:
    """What decides how long a step takes on a device."""
    training = config.training
    return config.data, config.model, config.task, training.batch_size, training.precision, training.processes


@lru_cache(maxsize=4096)
def _config(folder: Path) -> RunConfig:
    """A run's configuration, which never changes. Raises ConfigError."""
    return RunFolder(folder).config()


@lru_cache(maxsize=4096)
def _total_steps(folder: Path, roots: tuple[Path, ...]) -> int | None:
    """Steps of a run that has not begun; None where only reading its labels would tell. Raises ConfigError."""
    config = _config(folder)
    return None if config.training.classes else config.total_steps(data.facts(config.data, roots).n_train)


def _open_ones() -> Select[Any]:
    columns = [(runs if name in MODEL else jobs).c[name] for name in _Open._fields]
    query = select(*columns).join_from(jobs, runs, runs.c.id == jobs.c.run_id)
    mine = query.where(jobs.c.kind == "train", jobs.c.state.in_(("queued", *LIVE)))
    return mine.order_by(jobs.c.priority.desc(), jobs.c.place)


OPEN_ONES = _open_ones()


def _measured(connection: Connection, found: Sequence[_Open]) -> list[_Measured]:
    """The newest measured runs of each kind of model, on the data sets of the runs in question, newest first."""
    kind = [runs.c[name] for name in MODEL]
    newest = func.row_number().over(partition_by=[*kind, jobs.c.pool], order_by=runs.c.seq.desc()).label("newest")
    columns = (jobs.c.run_id, jobs.c.pool, jobs.c.steps_per_second, *kind)
    inner = (
        select(*columns, runs.c.seq, newest)
        .join(runs, runs.c.job_id == jobs.c.id)
        .where(runs.c.dataset.in_({job.dataset for job in found}), runs.c.deleted.is_(None))
        .where(jobs.c.steps_per_second > 0)
        .subquery()
    )
    query = select(*(inner.c[name] for name in _Measured._fields)).where(inner.c.newest <= EACH)
    return [_Measured(*row) for row in connection.execute(query.order_by(inner.c.seq.desc()))]
