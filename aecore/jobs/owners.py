"""Whose a run is and who sees it: private or visible to all, and handed over where its owner has left."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from aecore.config.access import A_NAME, is_name
from aecore.jobs.states import note
from aecore.runs import Lab, LabError, database, mirror, rights
from aecore.runs.database import OPEN, changed, jobs, runs
from aecore.runs.history import OF_OWNERS
from aecore.runs.rights import Verb


def hide(lab: Lab, run_ids: Sequence[str], private: bool, by: str) -> None:
    """Make runs private to their owners, or visible to all; all of them or none.

    Raises:
        LabError: where there is no such run, the viewer may not do that, or its folder cannot be written.
    """
    with database.writing(lab.engine) as connection:
        for row in _rows(lab, connection, run_ids, Verb.HIDE):
            if row.private != private:
                word = "private" if private else "visible to all"
                _change(lab, connection, row, by, f"Made {word} by {by}.", private=private)


def hand_over(lab: Lab, run_ids: Sequence[str], to: str, by: str) -> None:
    """Give runs another owner; what waits or trains goes on as that person's.

    Raises:
        LabError: where there is no such run, the viewer may not do that, or nobody can be called so.
    """
    if not is_name(to):
        raise LabError(f"{to!r} cannot own a run: {A_NAME}.")
    if rights.person(lab.settings.access, to).role in (rights.Role.GUEST, rights.Role.NOBODY):
        raise LabError(f"{to} cannot own a run: {to} is no member of this lab.")
    with database.writing(lab.engine) as connection:
        for row in _rows(lab, connection, run_ids, Verb.HAND_OVER):
            if row.owner != to:
                mine = (jobs.c.run_id == row.id) & jobs.c.state.in_(OPEN)
                connection.execute(update(jobs).where(mine).values(owner=to))
                _change(
                    lab,
                    connection,
                    row,
                    by,
                    f"Handed over from {row.owner} to {to} by {by}.",
                    owner=to,
                    submission=None,
                )


def _rows(lab: Lab, connection: Connection, run_ids: Sequence[str], verb: Verb) -> list[Any]:
    c = runs.c
    query = select(c.id, c.job_id, c.owner, c.private, jobs.c.state).join(jobs, jobs.c.id == c.job_id)
    query = query.where(c.id.in_(run_ids), c.deleted.is_(None), rights.seen(lab.viewer))
    found = {row.id: row for row in connection.execute(query)}
    for run_id in run_ids:
        if run_id not in found:
            raise lab.missing(run_id)
        lab.demand(verb, found[run_id].owner)
    return list(found.values())


def _change(lab: Lab, connection: Connection, row: Any, by: str, reason: str, **values: Any) -> None:
    now = row._asdict() | values
    folder = mirror.folder_of(lab.path, row.id)
    try:
        if folder is not None:
            mirror.hide(folder, now["owner"] if now["private"] else None)
    except OSError as error:
        raise LabError(f"The folder of {row.id} cannot be written: {error.strerror}. Nothing was changed.") from None
    connection.execute(update(runs).where(runs.c.id == row.id).values(values))
    note(connection, row.job_id, row.id, row.state, OF_OWNERS, by, reason)
    changed(connection, row.id)
