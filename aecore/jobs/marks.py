"""What people note about runs: tags, a note, and the archive. It is mirrored in the run folders like all of a run's row."""

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from aecore.jobs.states import note as note_event
from aecore.runs import Lab, LabError, database, rights
from aecore.runs.database import OPEN, changed, jobs, runs
from aecore.runs.rights import Verb

LONGEST_TAG, MOST_TAGS, LONGEST_NOTE = 40, 20, 4000


def tag(lab: Lab, run_ids: Sequence[str], add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Give runs tags and take others away, all of it or nothing.

    Raises:
        LabError: for a tag that is empty, too long or has a comma, for more than 20 tags, or where there is no such run.
    """
    new, gone = [_tag(text) for text in add], {_tag(text) for text in remove}
    with database.writing(lab.engine) as connection:
        for row in _rows(lab, connection, run_ids, Verb.MARK):
            kept = [one for one in dict.fromkeys([*filter(None, row.tags.split(",")), *new]) if one not in gone]
            if len(kept) > MOST_TAGS:
                raise LabError(f"{row.id} would have {len(kept)} tags: at most {MOST_TAGS} are allowed.")
            _set(connection, row.id, tags=",".join(kept))


def _tag(text: str) -> str:
    """A tag as it is kept. Raises LabError for what is none."""
    found = re.sub(r"\s+", " ", text.strip())
    if not found or len(found) > LONGEST_TAG or "," in found or not found.isprintable():
        raise LabError(f"{text!r} cannot be a tag: 1 to {LONGEST_TAG} characters are allowed, and no comma.")
    return found


def annotate(lab: Lab, run_id: str, text: str, before: str | None = None) -> None:
    """Replace the note of a run; '' removes it.

    Args:
        before: the note as whoever writes has read it; None replaces any.

    Raises:
        LabError: where it is too long, where there is no such run, or where the note is another one by now.
    """
    if len(text) > LONGEST_NOTE:
        raise LabError(f"The note has {len(text):,} characters: at most {LONGEST_NOTE:,} are allowed.")
    with database.writing(lab.engine) as connection:
        (row,) = _rows(lab, connection, [run_id], Verb.MARK)
        if before is not None and row.note not in (before, text.strip()):
            raise LabError(
                "The note was changed meanwhile and stands as it is now: look at it, and keep yours again to replace it."
            )
        _set(connection, run_id, note=text.strip())


def archive(lab: Lab, run_ids: Sequence[str], by: str) -> list[str]:
    """Put runs that have ended out of the way: nothing of them is deleted. Returns those that have not ended and stay.

    Raises:
        LabError: where there is no such run.
    """
    with database.writing(lab.engine) as connection:
        rows = _rows(lab, connection, run_ids, Verb.ARCHIVE)
        for row in rows:
            if row.state not in OPEN and row.archived is None:
                _set(connection, row.id, archived=time.time())
                note_event(connection, row.job_id, row.id, row.state, "archived", by, f"Archived by {by}.")
    return [row.id for row in rows if row.state in OPEN]


def unarchive(lab: Lab, run_ids: Sequence[str], by: str) -> None:
    """Put runs back into the lists. Raises LabError where there is no such run."""
    with database.writing(lab.engine) as connection:
        for row in _rows(lab, connection, run_ids, Verb.ARCHIVE):
            if row.archived is not None:
                _set(connection, row.id, archived=None)
                note_event(
                    connection, row.job_id, row.id, "archived", row.state, by, f"Taken out of the archive by {by}."
                )


def _rows(lab: Lab, connection: Connection, run_ids: Sequence[str], verb: Verb) -> list[Any]:
    """The runs of these ids, in their order. Raises LabError where one is missing, or the viewer may not do that to it."""
    c = runs.c
    query = select(c.id, c.job_id, c.owner, c.tags, c.note, c.archived, c.private, jobs.c.state).join(
        jobs, jobs.c.id == c.job_id
    )
    query = query.where(rights.seen(lab.viewer))
    found = {row.id: row for row in connection.execute(query.where(c.id.in_(run_ids), c.deleted.is_(None)))}
    for run_id in run_ids:
        if run_id not in found:
            raise lab.missing(run_id)
        lab.demand(verb, found[run_id].owner)
    return [found[run_id] for run_id in dict.fromkeys(run_ids)]


def _set(connection: Connection, run_id: str, **values: str | float | None) -> None:
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))
    changed(connection, run_id)
