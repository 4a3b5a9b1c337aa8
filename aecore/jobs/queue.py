"""What people do with runs: submit and stop (`trash` deletes). Each is one short transaction; the supervisor does the rest."""

import secrets
import shutil
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, insert, select, update

from aecore import data
from aecore.config import RunConfig
from aecore.jobs import quota, turns
from aecore.jobs.endings import explain
from aecore.jobs.slots import wish
from aecore.jobs.states import note, swap
from aecore.jobs.wake import wake
from aecore.runs import Lab, LabError, RunFolder, database, mirror, rights, shares
from aecore.runs import run as read_run
from aecore.runs.database import LIVE, OPEN
from aecore.runs.database import jobs as jobs_table
from aecore.runs.database import runs as runs_table
from aecore.runs.rights import Verb
from aecore.runs.text import slug

LETTERS = "23456789abcdefghjkmnpqrstvwxyz"
"""What a run id ends with: no letter that looks like another, nothing that needs quoting in a URL."""


class Group(NamedTuple):
    """Runs that belong together, such as those of a sweep."""

    id: str
    at_once: int | None
    """So many of them may run at the same time; None for as many as there are places."""


class Job(NamedTuple):
    """One row of the queue."""

    id: int
    run_id: str
    kind: str
    owner: str
    state: str
    want: str
    attempt: int
    priority: int
    place: int
    slots: int
    created: float
    started: float | None
    ended: float | None
    engine: str | None
    engine_ref: str | None
    slot: str | None
    pool: str
    device: str | None
    heartbeat: float | None
    reason_code: str
    reason: str
    step: int
    total_steps: int | None
    checkpoint_step: int | None
    data_root: str | None
    crashes: int
    crash_step: int | None
    memory: int | None
    sweep: str | None
    at_once: int | None
    since: float | None
    """When it got the slots that it holds."""
    busy: float
    """Seconds that it held slots before."""


JOB_COLUMNS = [jobs_table.c[name] for name in Job._fields]


def submit(
    lab: Lab,
    config: RunConfig,
    owner: str,
    nonce: str | None = None,
    parent: str | None = None,
    engine: str | None = None,
    begin: Callable[[RunFolder], int | None] | None = None,
    group: Group | None = None,
    private: bool = False,
    tell: bool = False,
) -> str:
    """Queue a run and return its id. The same owner, nonce and config give the same run, however often it is submitted.

    Args:
        nonce: anything that is new for each form that is filled in; None makes a new run each time.
        engine: 'foreground' for a run that the caller trains itself; the supervisor leaves it alone.
        begin: fills the new folder before anybody sees it, and returns the step of a checkpoint that it put there.
        group: what it belongs to.
        private: only its owner and the lab's admins see it.
        tell: whether its owner wants to hear of its end.

    Raises:
        ConfigError: where the data set is unknown, or the model, the task or the batches do not fit its images.
        LabError: where the owner has as much as a person may, or the lab cannot be written.
    """
    lab.demand(Verb.SUBMIT)
    assert lab.viewer is None or owner == lab.viewer.name, "a run belongs to who submits it"
    submission = quota.fingerprint(owner, nonce, config) if nonce else None
    values = {
        "name": config.name or config.data.name,
        "owner": owner,
        "dataset": config.data.name,
        "backbone": config.model.backbone.kind,
        "bottleneck": config.model.bottleneck.kind,
        "code_size": config.model.code_size(data.suited(config, lab.data_roots).shape),
        "epochs": config.training.epochs,
        "created": time.time(),
        "parent": parent,
        "private": private,
        "submission": submission,
        "tell": int(tell),
    }
    taken = quota.disk(lab, owner)
    with database.writing(lab.engine) as connection:
        known = select(runs_table.c.id).where(runs_table.c.submission == submission, runs_table.c.deleted.is_(None))
        run_id: str | None = connection.execute(known).scalar_one_or_none() if submission else None
        if run_id is None:
            quota.check(connection, lab.settings.per_person, owner, taken, new=int(engine != "foreground"))
            run_id = _insert_run(lab, connection, config, values, engine, begin, group)
    wake(lab)
    return run_id


def _insert_run(
    lab: Lab,
    connection: Connection,
    config: RunConfig,
    values: dict[str, Any],
    engine: str | None,
    begin: Callable[[RunFolder], int | None] | None,
    group: Group | None,
) -> str:
    run_id = _new_id(lab, values["name"], values["code_size"])
    folder, step = RunFolder(lab.runs_folder / run_id), None
    try:
        folder.create(config)  # before the row is visible: who finds it, finds its folder
        if values["private"]:
            mirror.hide(folder.path, values["owner"])
        step = begin(folder) if begin else None
    except OSError as error:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise LabError(f"The run was not queued. {explain(error).reason}") from None
    connection.execute(insert(runs_table).values(id=run_id, **values))
    job_id = _insert_job(
        connection,
        run_id,
        "train",
        values["owner"],
        pool=wish(config),
        engine=engine,
        data_root=lab.data_root,
        slots=config.training.processes,
        step=step or 0,
        checkpoint_step=step,
        sweep=group and group.id,
        at_once=group and group.at_once,
    )
    connection.execute(update(runs_table).where(runs_table.c.id == run_id).values(job_id=job_id))
    return run_id


def _new_id(lab: Lab, name: str, code_size: int) -> str:
    begin = slug(name, 48) or "run"
    begin += "" if f"-{code_size}-" in f"-{begin}-" else f"-{code_size}"  # no size twice
    while True:
        run_id = f"{begin}-{''.join(secrets.choice(LETTERS) for _ in range(4))}"
        if not (lab.runs_folder / run_id).exists() and not (lab.trash / run_id).exists():
            return run_id


def _insert_job(connection: Connection, run_id: str, kind: str, owner: str, **values: Any) -> int:
    row = {"run_id": run_id, "kind": kind, "owner": owner, "created": time.time(), **values}
    key = connection.execute(insert(jobs_table).values(row)).inserted_primary_key
    assert key is not None
    connection.execute(update(jobs_table).where(jobs_table.c.id == key[0]).values(place=key[0]))
    note(connection, key[0], run_id, "", "queued", owner, "")
    return int(key[0])


def submit_job(lab: Lab, run_id: str, kind: str, owner: str, engine: str | None = None) -> int:
    """Queue a side job of a run, such as 'analyse'; the one that is already open, where there is one. Returns its id."""
    lab.demand(Verb.ANALYSE, read_run(lab, run_id).owner)
    with database.writing(lab.engine) as connection:
        mine = (jobs_table.c.run_id == run_id) & (jobs_table.c.kind == kind) & jobs_table.c.state.in_(OPEN)
        job_id: int | None = connection.execute(select(jobs_table.c.id).where(mine)).scalar_one_or_none()
        if job_id is None:
            job_id = _insert_job(connection, run_id, kind, owner, pool="side", engine=engine, data_root=lab.data_root)
    wake(lab)
    return job_id


def stop(lab: Lab, run_id: str, by: str) -> str:
    """Stop a run and its side jobs: one that waits is cancelled at once, one that runs saves first.

    Returns: the run's state afterwards: 'cancelled', 'stopping', or what it had ended as before.

    Raises:
        LabError: where there is no such run.
    """
    lab.demand(Verb.STOP, read_run(lab, run_id).owner)
    with database.writing(lab.engine) as connection:
        cancel(connection, run_id, by)
    wake(lab)
    return read_run(lab, run_id).shown


def stop_job(lab: Lab, job_id: int, by: str) -> None:
    """Stop one side job, as who asked for it or may stop its run; the run and its other jobs go on. Nothing where it has ended."""
    found = job(lab, job_id)
    if lab.viewer is None or found.owner != lab.viewer.name:
        lab.demand(Verb.STOP, read_run(lab, found.run_id).owner)
    with database.writing(lab.engine) as connection:
        now = connection.execute(select(jobs_table).where(jobs_table.c.id == job_id)).one()
        if now.state in OPEN:
            want(connection, now, "cancel", by)
    wake(lab)


def cancel(connection: Connection, run_id: str, by: str) -> None:
    """`stop` inside a transaction that is already open for writing."""
    open_ones = select(jobs_table).where(jobs_table.c.run_id == run_id, jobs_table.c.state.in_(OPEN))
    for job in connection.execute(open_ones).all():
        want(connection, job, "cancel", by)


def want(connection: Connection, job: Any, wish: str, by: str) -> None:
    """Note that an open job should be paused or cancelled. One that waits is so at once; one that runs saves first."""
    verb, done, state = {"pause": ("pause", "Paused", "paused"), "cancel": ("stop", "Cancelled", "cancelled")}[wish]
    connection.execute(update(jobs_table).where(jobs_table.c.id == job.id).values(want=wish))
    if job.state in LIVE and job.want != wish:
        note(connection, job.id, job.run_id, job.state, job.state, by, f"{by} asked to {verb} it.")
    elif job.state not in LIVE:
        kept = f"at step {job.checkpoint_step:,}" if job.checkpoint_step else "before it started"
        swap(connection, job.id, state, by=by, reason=f"{done} by {by} {kept}.", reason_code="user")


def jobs(lab: Lab, run_id: str) -> list[Job]:
    """All jobs of a run, oldest first."""
    return _jobs(lab, jobs_table.c.run_id == run_id)


def job(lab: Lab, job_id: int) -> Job:
    """One job by its number. Raises LabError where there is none that the viewer sees."""
    if not (found := _jobs(lab, jobs_table.c.id == job_id)):
        raise LabError(f"There is no job {job_id}{lab.where}.")
    return found[0]


def pending(lab: Lab) -> list[Job]:
    """Jobs that wait for a slot, in the order in which they start, those that are held back last."""
    hand = at_hand(lab)
    found = turns.line(hand.live, hand.waiting, hand.used, time.time(), lab.settings.per_person.at_once)
    return [*found.may, *(job for job, _ in found.held)]


def live(lab: Lab) -> list[Job]:
    """Jobs that a process works on, or should."""
    return _jobs(lab, jobs_table.c.state.in_(LIVE))


class Hand(NamedTuple):
    """What decides what starts next, at one moment."""

    live: list[Job]
    waiting: list[Job]
    """For a slot; those that somebody trains in the foreground wait for nobody."""
    used: dict[str, shares.Used]


def at_hand(lab: Lab) -> Hand:
    """`live`, what waits, and what each person has used."""
    query = _seen(lab, select(*JOB_COLUMNS).where(jobs_table.c.state.in_(("queued", *LIVE))))
    with database.reading(lab.engine) as connection:
        found = [Job(*row) for row in connection.execute(query.order_by(jobs_table.c.place))]
        used = shares.read(connection)
    waiting = [job for job in found if job.state == "queued" and job.engine is None]
    return Hand([job for job in found if job.state in LIVE], waiting, used)


def _jobs(lab: Lab, condition: Any) -> list[Job]:
    query = _seen(lab, select(*JOB_COLUMNS).where(condition)).order_by(jobs_table.c.id)
    with database.reading(lab.engine) as connection:
        return [Job(*row) for row in connection.execute(query)]


def _seen(lab: Lab, query: Select[Any]) -> Select[Any]:
    """Of jobs those whose runs the viewer sees."""
    if lab.viewer is None:
        return query
    return query.join(runs_table, runs_table.c.id == jobs_table.c.run_id).where(rights.seen(lab.viewer))
