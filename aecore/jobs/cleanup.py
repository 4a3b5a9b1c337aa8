"""Making room on the lab's disk: first what it would free, in bytes and by run; then, when somebody says so, doing it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from aecore import manifest
from aecore.jobs import locks, trash
from aecore.runs import Lab, LabError, database, diary, rights
from aecore.runs.database import OPEN, jobs, runs
from aecore.runs.rights import Verb
from aecore.runs.text import size
from aecore.runs.usage import freed_by

KINDS = {
    "deleted": "Deleted runs, which then cannot be brought back any more",
    "spare": "Older checkpoints of runs that have ended: what is left when the newest one is damaged",
}
"""What can be cleaned up -> in words."""


class Part(NamedTuple):
    """Something that can go."""

    kind: str
    run_id: str
    owner: str
    bytes: int
    """What the disk gets back: a file that another run has as well frees nothing."""


def parts(lab: Lab, kinds: Iterable[str] = tuple(KINDS)) -> list[Part]:
    """What could go, the largest first. Looks at many files: keep the answer for a while. Raises Forbidden."""
    lab.demand(Verb.CLEAN_UP)
    query = select(runs.c.id, runs.c.owner, runs.c.deleted, jobs.c.state).join(jobs, jobs.c.id == runs.c.job_id)
    query = query.where(rights.seen(lab.viewer))
    with database.reading(lab.engine) as connection:
        rows = connection.execute(query).all()
    gone = [Part("deleted", r.id, r.owner, freed_by([lab.trash / r.id])) for r in rows if r.deleted is not None]
    ended = [r for r in rows if r.deleted is None and r.state not in OPEN]
    spare = [Part("spare", r.id, r.owner, freed_by(manifest.spare(_checkpoints(lab, r.id), keep=1))) for r in ended]
    found = [part for part in (*gone, *spare) if part.kind in kinds and part.bytes]
    return sorted(found, key=lambda part: -part.bytes)


def _checkpoints(lab: Lab, run_id: str) -> Path:
    return lab.runs_folder / run_id / "checkpoints"


def clean(lab: Lab, found: Sequence[Part], by: str) -> int:
    """Let these parts go, but for those that are wanted again meanwhile. Returns the bytes that this freed.

    Raises:
        LabError: where the system refused to remove some or all of them; the others are gone.
    """
    still = {(part.kind, part.run_id): part for part in parts(lab)}
    wanted = [now for part in found if (now := still.get((part.kind, part.run_id)))]
    wanted.sort(key=lambda part: part.kind == "deleted")  # the others write nothing: on a full disk they go first
    done: list[Part] = []
    refused: list[OSError] = []
    for part in wanted:
        try:
            if _let_go(lab, part):
                done.append(part)
        except OSError as error:
            done.append(part)
            refused.append(error)
    # where nothing can be removed, nothing is freed
    left = {(part.kind, part.run_id): part.bytes for part in parts(lab)}
    freed = sum(part.bytes - left.get((part.kind, part.run_id), 0) for part in done)
    if freed:
        kinds = " and ".join(sorted({part.kind for part in done}))
        diary.write(lab, by, f"cleaned up {kinds}: {freed / 1e6:,.1f} MB of {len(done)} runs")
    if refused:
        some = f"{len(refused)} of {len(wanted)} parts could not be removed: {refused[0].strerror}."
        raise LabError(
            f"{some} {size(freed)} are free again." if freed else f"Nothing could be removed: {refused[0].strerror}."
        )
    return freed


def _let_go(lab: Lab, part: Part) -> bool:
    """Whether it may go, and then it goes. Raises OSError where something of it could not be removed."""
    if part.kind == "deleted":
        return trash.forget(lab, part.run_id)
    folder = _checkpoints(lab, part.run_id)
    whole, damaged = manifest.survey(folder)
    if whole is None or damaged or locks.held(folder.parent / "train.lock"):
        return False  # they may be needed
    if refused := manifest.prune(folder, keep=1):
        raise refused[0]
    return True
