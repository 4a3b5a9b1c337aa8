"""A new database is filled from the run folders: from `run.json`, else from what the run's other files tell."""

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from aecore.runs import files, migrations, mirror, shares
from aecore.runs.errors import LabError
from aecore.runs.folder import RunFolder
from aecore.runs.tables import events, jobs, runs

Snapshot = dict[str, Any]
KEYS = ((runs, "seq"), (jobs, "id"), (events, "id"))
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, SQLAlchemyError)
"""What reading and inserting a snapshot raises that is not what we wrote."""
log = logging.getLogger(__name__)


class Newer(LabError):
    """The folders are a newer program's: this one would only spoil them."""


def fill(connection: Connection, lab: Path) -> None:
    """Insert every run of the lab's folders into the empty tables, deleted ones too, all ids kept.

    A folder that cannot be read is named in the log and left alone. Raises LabError where a newer program wrote them.
    """
    kept, lost = [], []
    for folder in _folders(lab):
        try:
            kept.append((folder, read(folder)))
        except Newer:
            raise
        except DAMAGE as error:
            lost.append((folder, error))
    for folder, snapshot in sorted(kept, key=lambda item: item[1]["run"]["seq"]):
        try:
            with connection.begin_nested():
                _insert(connection, snapshot)
        except DAMAGE as error:
            lost.append((folder, error))
    shares.rebuild(connection)
    _go_on_counting(connection)
    for folder, damage in lost:
        _from_the_rest(connection, folder, damage)


def _folders(lab: Path) -> Iterator[Path]:
    for place in ("runs", "trash"):
        try:
            yield from sorted(path for path in (lab / place).iterdir() if path.is_dir() and path.name[0] != ".")
        except OSError as error:
            log.warning("The folder %s cannot be read, its runs are missing: %s.", lab / place, error.strerror)


def read(folder: Path) -> Snapshot:
    """The mirror in a run's folder. Raises one of DAMAGE where it is missing or is not this run's."""
    content: Snapshot | None = files.read_json(folder / mirror.NAME)
    if content is None:
        raise ValueError("is missing")
    if content["layout"] > migrations.LAYOUT:
        raise Newer(f"The run folder {folder} was written by a newer version of this program: update the program.")
    if content["run"]["id"] != folder.name:
        raise ValueError(f"belongs to run {content['run']['id']}")
    content["run"]["seq"] + 0  # what the order goes by
    return content


def _insert(connection: Connection, snapshot: Snapshot) -> None:
    connection.execute(insert(runs).values(_known(runs, snapshot["run"])))
    for table, rows in ((jobs, snapshot["jobs"]), (events, snapshot["events"])):
        if rows:
            connection.execute(insert(table), [_known(table, row) for row in rows])


def _known(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """The columns that there are: an older mirror lacks some, which take their defaults."""
    return {column.name: row[column.name] for column in table.c if column.name in row}


def _from_the_rest(connection: Connection, folder: Path, damage: BaseException) -> None:
    """Insert a run whose mirror cannot be used, with ids that are new."""
    why = "cannot be used" if isinstance(damage, SQLAlchemyError | KeyError | TypeError | AttributeError) else damage
    try:
        run, job, reason = _derived(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("The run folder %s was left out: %s", folder, error)
        return
    note = f"The table was rebuilt without run.json ({why}): owner and history are not known any more."
    connection.execute(insert(runs).values(run))
    job_id = connection.execute(insert(jobs).values(job | {"reason": reason}).returning(jobs.c.id)).scalar_one()
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(place=job_id))
    connection.execute(update(runs).where(runs.c.id == run["id"]).values(job_id=job_id))
    event = {"job_id": job_id, "run_id": run["id"], "at": time.time(), "old": "", "new": job["state"]}
    connection.execute(insert(events).values(event | {"by": "lab", "reason": note}))
    log.warning("%s of run %s: %s", mirror.NAME, run["id"], note)


def _derived(folder: Path) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A run's row, its job's row and the reason of its state, from config.json, result.json and the checkpoints."""
    found = RunFolder(folder)
    config, result = found.config(), found.result() or {}
    owner = mirror.hidden_by(folder)
    made, steps = (folder / "config.json").stat().st_mtime, [0, *_checkpoints(found)]
    size = re.search(r"-(\d+)-\w+$", folder.name)
    run = {
        "id": folder.name,
        "name": config.name or config.data.name,
        "owner": owner or "unknown",
        "private": owner is not None,
        "dataset": config.data.name,
        "backbone": config.model.backbone.kind,
        "bottleneck": config.model.bottleneck.kind,
        "code_size": int(size[1]) if size else int(result.get("code_size", 0)),
        "epochs": config.training.epochs,
        "created": made,
        "deleted": time.time() if folder.parent.name == "trash" else None,
    }
    completed = str(result.get("reason", "")).startswith("Completed")
    job = {"run_id": folder.name, "kind": "train", "owner": owner or "unknown", "created": made, "data_root": ""}
    job |= {"slots": config.training.processes, "pool": "cpu" if config.training.device in ("cpu", "mps") else "auto"}
    job |= {"state": "completed" if completed else "failed", "step": int(result.get("steps", max(steps)))}
    job |= {"checkpoint_step": max(steps) or None, "loss": result.get("loss")}
    job |= {"total_steps": job["step"], "epoch": config.training.epochs} if completed else {}
    reason = result["reason"] if completed else "How far it had come is not known: it can be resumed."
    return run, job, reason


def _checkpoints(folder: RunFolder) -> list[int]:
    return [int(path.name.partition("-")[0]) for path in folder.checkpoints.glob("[0-9]*-*")]


def _go_on_counting(connection: Connection) -> None:
    """PostgreSQL's counters do not see the ids that were given to it."""
    if connection.dialect.name != "postgresql":
        return
    for table, key in KEYS:
        highest = connection.execute(select(func.max(table.c[key]))).scalar_one()
        if highest is not None:
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence(:table, :key), :highest)"),
                {"table": table.name, "key": key, "highest": highest},
            )
