"""How fast runs are, from measured ones only: of each the seconds from its start, or from where it goes on, to its end."""

from collections.abc import Sequence
from functools import lru_cache
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from aecore import data
from aecore.config import ConfigError, RunConfig
from aecore.jobs import measures, quota
from aecore.jobs.devices import gpus
from aecore.jobs.slots import pool_of, slots
from aecore.runs import Lab, RunFolder, rights
from aecore.runs.database import LIVE, jobs, runs
from aecore.runs.rights import Person

RECENT, EACH, COMPARED = 5, 20, 60
"""Earlier runs that a speed is the median of; that are read of each kind of model; that are compared with one run."""
MODEL = ("dataset", "backbone", "bottleneck", "code_size")
"""Columns of the runs' table that say what is trained on what."""
OF_RUN = (*MODEL, "private")
UNMEASURED = "No run like it was measured yet."


class Open(NamedTuple):
    """A training job that waits or has a place."""

    run_id: str
    owner: str
    kind: str
    state: str
    want: str
    priority: int
    place: int
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
    since: float | None
    busy: float
    dataset: str
    backbone: str
    bottleneck: str
    code_size: int
    private: bool


LAST = 2**62
"""The place in the queue of a run that is not in it."""


def imagined(owner: str, pool: str, slots: int, seconds: float) -> Open:
    """A run that waits behind all others of its owner, and will take so many seconds; its id is ''."""
    return Open(
        run_id="", owner=owner, kind="train", state="queued", want="run", priority=0, place=LAST, engine=None, pool=pool,
        slots=slots, step=0, total_steps=1, steps_per_second=1 / seconds, heartbeat=None, reason_code="", reason="",
        sweep=None, at_once=None, since=None, busy=0.0, dataset="", backbone="", bottleneck="", code_size=0, private=False,
    )  # fmt: skip


def sees(viewer: Person | None, job: Open) -> bool:
    """Whether a job's run is there at all for somebody."""
    return rights.there(viewer, job.run_id) and rights.sees(viewer, job.owner, job.private)


class Measured(NamedTuple):
    """An earlier run, or one that runs, whose speed is known."""

    run_id: str
    pool: str
    steps_per_second: float
    dataset: str
    backbone: str
    bottleneck: str
    code_size: int


class Expected(NamedTuple):
    seconds: float | None
    why: str


class Room:
    """The slots of the lab, and what is known of speeds on them."""

    def __init__(self, lab: Lab, measured: Sequence[Measured]):
        uuids = [gpu.uuid for gpu in gpus()]
        self.lab, self.measured, self.has_gpus = lab, measured, bool(uuids)
        self.slots = [slot.pool for slot in slots(lab, uuids)]

    def name(self, job: Open) -> str:
        """What may be said of it to the viewer."""
        return job.run_id if sees(self.lab.viewer, job) else "a private run"

    def pool(self, job: Open | Measured) -> str:
        return pool_of(job.pool, self.has_gpus)

    def proviso(self, job: Open) -> str:
        """What must hold besides where small runs share a GPU."""
        shared = self.pool(job) == "gpu" and self.lab.settings.runs_per_gpu > 1
        return " If its memory fits beside that of the runs on the same GPU." if shared else ""

    def expected(self, job: Open) -> Expected:
        """Seconds from its start, or from where it goes on, to its end."""
        total, speed, why = job.total_steps, job.steps_per_second, "From its own speed until now."
        if not total or not speed:
            try:
                folder = self.lab.runs_folder / job.run_id
                config, total = _config(folder), total or _total_steps(folder, self.lab.data_roots)
            except ConfigError:
                return Expected(None, "Its configuration or its images cannot be read.")
            if total is None:
                return Expected(None, "The images of its classes are counted when it starts.")
            speed, why = self._speed(job, config)
        seconds, left = max(0, total - job.step) / speed if speed else inf, self.left(job)
        if seconds > left:
            hours = self.lab.settings.per_person.hours
            return Expected(left, f"{why} It is stopped after {hours:g} h, as long as a run may train here.")
        return Expected(None if seconds == inf else seconds, why)

    def left(self, job: Open) -> float:
        """Seconds that it may still hold its slots."""
        seconds = quota.left(self.lab.settings.per_person, job.busy)
        return inf if seconds is None else seconds

    def _speed(self, job: Open, config: RunConfig) -> tuple[float | None, str]:
        """Steps per second: its own, else those of the most similar earlier runs, or of one step where no run was the same."""
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
        probe = None if same else measures.of(self.lab, config)
        if probe is not None:
            return probe.steps_per_second(config), "From one step that was measured."
        for speeds, words in (
            (same, "of the same model"),
            (alike, "with the same data set, kind of model, code size and batch size"),
            (images, "with the same data set and backbone, by their images per second"),
        ):
            if recent := speeds[:RECENT]:
                earlier = f"{len(recent)} earlier run{'s' * (len(recent) > 1)}"
                return median(recent), f"From the measured speed of {earlier} {words}."
        return None, UNMEASURED

    def _near(self, job: Open) -> list[tuple[Measured, RunConfig]]:
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
    columns = [(runs if name in OF_RUN else jobs).c[name] for name in Open._fields]
    query = select(*columns).join_from(jobs, runs, runs.c.id == jobs.c.run_id)
    mine = query.where(jobs.c.kind == "train", jobs.c.state.in_(("queued", *LIVE)))
    return mine.order_by(jobs.c.priority.desc(), jobs.c.place)


OPEN_ONES = _open_ones()


def measured_like(connection: Connection, found: Sequence[Open]) -> list[Measured]:
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
    query = select(*(inner.c[name] for name in Measured._fields)).where(inner.c.newest <= EACH)
    return [Measured(*row) for row in connection.execute(query.order_by(inner.c.seq.desc()))]
