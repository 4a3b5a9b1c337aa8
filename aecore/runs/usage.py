"""How much room the runs take on the disk, each of them and each person's."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from aecore.runs import database, mirror, rights
from aecore.runs.database import runs
from aecore.runs.lab import Lab


class RunUsage(NamedTuple):
    """What one run takes."""

    id: str
    owner: str
    bytes: int
    """On the disk. A file that is linked into several runs counts in each of them."""
    deleted: bool
    """Whether it lies in the trash; it can still be brought back."""


def usage(lab: Lab) -> list[RunUsage]:
    """What each run takes, the largest first. Looks at every file: keep the answer for a while."""
    with database.reading(lab.engine) as connection:
        rows = connection.execute(select(runs.c.id, runs.c.owner, runs.c.deleted).where(rights.seen(lab.viewer))).all()
    found = [RunUsage(row.id, row.owner, measure(lab, row.id), row.deleted is not None) for row in rows]
    return sorted(found, key=lambda run: -run.bytes)


def by_owner(found: Iterable[RunUsage]) -> dict[str, int]:
    """Bytes of each person's runs, the largest first."""
    total: Counter[str] = Counter()
    for run in found:
        total[run.owner] += run.bytes
    return dict(total.most_common())


def measure(lab: Lab, run_id: str) -> int:
    """Bytes that a run's folder takes on the disk; 0 where it has none."""
    folder = mirror.folder_of(lab.path, run_id)
    return sum({(info.st_dev, info.st_ino): info.st_blocks * 512 for info in _files(folder)}.values()) if folder else 0


def freed_by(paths: Iterable[Path]) -> int:
    """Bytes that the disk gets back when these folders go: what is linked from elsewhere stays."""
    return sum(info.st_blocks * 512 for path in paths for info in _files(path) if info.st_nlink == 1)


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Of every file below; what vanishes meanwhile or cannot be read is left out."""
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield entry.stat(follow_symlinks=False)
    except OSError:
        return
