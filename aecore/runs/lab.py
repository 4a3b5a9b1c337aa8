"""A lab: the folder that holds the database, the runs, one's own presets and the data sets."""

import contextlib
import copy
import os
import re
import time
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from aecore.config import RunConfig, presets, save_preset
from aecore.config.lab import LabSettings, read_settings
from aecore.runs import database, mirror, rights
from aecore.runs.errors import LabError, filled, full, no_room
from aecore.runs.folder import RunFolder
from aecore.runs.rights import Person
from aecore.runs.tables import runs
from aecore.runs.text import moment

CHECKOUT = Path(__file__).parents[2]

FRESH = 1.0
"""Seconds for which what was read of the settings holds."""

__all__ = ["Lab", "LabError"]


class Lab:
    """An open lab. Cheap to open; safe to share between threads: every transaction has its own connection."""

    def __init__(self, path: Path, data_roots: tuple[Path, ...]):
        self.path = path
        self.viewer: Person | None = None
        """Through whose eyes the lab is seen; None is the program itself, which sees and may do all."""
        self.data_roots = data_roots
        self._settings, self._looked = read_settings(path / "settings.json"), time.monotonic()
        self._written = _stamp(path / "settings.json")
        self.engine = database.connect(path, self._settings.database)

    @property
    def settings(self) -> LabSettings:
        """As `settings.json` says, looked at once a second; what it said last where it cannot be read any more."""
        if time.monotonic() - self._looked > FRESH:
            self.reread()
        return self._settings

    def reread(self) -> None:
        """Take over what `settings.json` says now."""
        path = self.path / "settings.json"
        self._looked, written = time.monotonic(), _stamp(path)
        if written != self._written:
            self._written = written
            with contextlib.suppress(OSError, ValueError):
                self._settings = read_settings(path)

    @classmethod
    def open(cls, path: str | Path | None = None, data_root: str | Path | None = None) -> "Lab":
        """Open the lab in a folder, making it where it does not exist.

        Args:
            path: the folder; None takes AELAB_HOME, else `lab/` of the checkout.
            data_root: a folder of data sets to look in first (or several, as in PATH); None takes AELAB_DATA. The lab's
                own `data/` comes last.

        Raises:
            LabError: where the folder cannot be made, read or written, its disk is full, or its settings.json is wrong.
        """
        place = place_of(path)
        given = data_root or os.environ.get("AELAB_DATA")
        roots = tuple(Path(root).expanduser().absolute() for root in str(given or "").split(os.pathsep) if root)
        try:
            for name in ("runs", "presets", "data", "trash", "locks"):
                (place / name).mkdir(parents=True, exist_ok=True)
            return cls(place, (*roots, place / "data"))
        except OSError as error:
            raise LabError(_unusable(place, error.strerror or str(error))) from None
        except DBAPIError as error:
            if no_room(error) or filled(place):
                raise LabError(full()) from None
            raise LabError(_unusable(place, f"its database says: {error.orig}")) from None
        except ValueError as error:
            raise LabError(str(error)) from None

    def seen_by(self, viewer: Person | str | None) -> "Lab":
        """The same lab as this person sees it: what is hidden from them is not there, and what they may not do is refused.

        None is the program itself.
        """
        seen = copy.copy(self)
        seen.viewer = rights.person(self.settings.access, viewer) if isinstance(viewer, str) else viewer
        return seen

    def keep_preset(self, name: str, config: RunConfig) -> Path:
        """Keep a configuration as a preset of this lab, the viewer's own.

        Raises:
            ConfigError: where nothing can be called so; OSError: where it cannot be written.
            Forbidden: where the viewer may not, or there is a preset of somebody else's, which only an admin may replace.
        """
        self.demand(rights.Verb.KEEP_PRESET)
        who, there = self.viewer, presets(self.presets_folder).get(name)
        if who and there and there.owner not in ("", who.name) and who.role is not rights.Role.ADMIN:
            raise rights.Forbidden(
                f"There is a preset {name!r} already, which is {there.owner}'s: choose another name."
            )
        return save_preset(self.presets_folder, name, config, who.name if who else "")

    def demand(self, verb: rights.Verb, owner: str | None = None) -> None:
        """Raises Forbidden with a sentence where the viewer may not do this to a run of this owner, or to the lab."""
        rights.demand(self.viewer, verb, owner)

    @property
    def data_root(self) -> str:
        """The folders of data sets beside the lab's own, as `open` takes them; '' where there is none."""
        return os.pathsep.join(map(str, self.data_roots[:-1]))

    @property
    def runs_folder(self) -> Path:
        return self.path / "runs"

    @property
    def presets_folder(self) -> Path:
        return self.path / "presets"

    @property
    def trash(self) -> Path:
        return self.path / "trash"

    def run(self, run_id: str) -> RunFolder:
        """The folder of a run. Raises LabError where there is none."""
        folder = self.runs_folder / run_id
        if not re.fullmatch(r"[\w-]{1,255}", run_id, re.ASCII) or not folder.is_dir() or not self._shows(folder):
            raise self.missing(run_id)
        return RunFolder(folder)

    def _shows(self, folder: Path) -> bool:
        """Whether the viewer sees a run. The database is asked only where the folder says that it may be private."""
        if not rights.there(self.viewer, folder.name):
            return False
        if rights.sees(self.viewer, "", private=mirror.hidden_by(folder) is not None):
            return True
        with database.reading(self.engine) as connection:
            query = select(runs.c.id).where(runs.c.id == folder.name, rights.seen(self.viewer))
            return connection.execute(query).one_or_none() is not None

    @property
    def where(self) -> str:
        """' in ' and its folder, for sentences; '' to those who do not see the server page, whom its paths do not concern."""
        return f" in {self.path}" if rights.allowed(self.viewer, rights.Verb.SERVER) else ""

    def missing(self, run_id: str) -> LabError:
        """Why there is no such run, in words: to be raised."""
        with database.reading(self.engine) as connection:
            row = connection.execute(
                select(runs.c.deleted).where(runs.c.id == run_id, rights.seen(self.viewer))
            ).one_or_none()
        if row is None:
            return LabError(
                f"There is no run {run_id!r}{self.where}: the Runs page, or “python -m aecore runs”, lists what there is."
            )
        deleted: float | None = row.deleted
        if deleted is None:
            place = f"in {self.runs_folder}" if self.where else "there"
            return LabError(
                f"The folder of run {run_id!r} is not {place}, or cannot be read: "
                "put it back, from a backup for instance, or delete the run."
            )
        until = deleted + self.settings.keep_deleted_days * 86400
        return LabError(
            f"Run {run_id!r} was deleted on {moment(deleted)}: “Bring back” at the foot of the Runs page, or "
            f"“python -m aecore undelete {run_id}” brings it back until {moment(until)}."
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever a file is written."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def place_of(path: str | Path | None) -> Path:
    """The folder that `Lab.open` takes."""
    return Path(path or os.environ.get("AELAB_HOME") or CHECKOUT / "lab").expanduser().absolute()


def is_lab(place: Path) -> bool:
    """Whether a folder holds anything of a lab; also where one cannot look, or where it is a file: to open it says more."""
    try:
        return place.is_file() or any((place / name).exists() for name in ("runs", "settings.json"))
    except OSError:
        return True


def _unusable(place: Path, why: str) -> str:
    return (
        f"The lab folder {place} cannot be used: {why}. "
        "Choose a folder that can be written with --lab DIR or the variable AELAB_HOME."
    )
