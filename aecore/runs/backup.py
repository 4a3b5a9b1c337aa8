"""A lab in one tar file, taken while runs train, and a lab made of it. Without data sets, and without the database: the
run folders hold it.
"""

import contextlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from sqlalchemy import select

from aecore import manifest
from aecore.runs import database, files, migrations, mirror
from aecore.runs.errors import LabError, no_room
from aecore.runs.lab import Lab
from aecore.runs.rights import Verb
from aecore.runs.tables import runs

PARTS = ("settings.json", "presets", "runs", "trash")
LEFT_IN_THE_LAB: dict[str, Any] = {
    "database": True,
    "drain": True,
    "banner": True,
    "tell": {"webhook": True, "mail": {"password": True}},
}
"""Settings that may hold a password, or are of this moment: no backup has them."""
LABEL, END = "backup.json", "end.json"
"""The first member says what this file is; without the last one it was cut off."""
LEFT_OUT = (".lock", mirror.NAME)
"""Names end so that are not copied: locks, and the mirrors, which are taken fresh from the database."""


class Kept(NamedTuple):
    """What went into a backup, or came out of one."""

    runs: int
    bytes: int
    replaced: bool = False
    """Whether an older backup gave way to it."""


def backup(lab: Lab, target: Path) -> Kept:
    """Write the lab into a tar file, which takes the place of an older one only when it is whole.

    Only this user can read it: private runs are in it.

    Raises:
        LabError: where the file cannot be written, or something else is there.
    """
    lab.demand(Verb.BACK_UP)
    try:
        older = _gives_way(target)
        with database.reading(lab.engine) as connection:  # one moment of the whole table
            ids = connection.execute(select(runs.c.id).order_by(runs.c.seq)).scalars()
            snapshots = [mirror.snapshot(connection, run_id) for run_id in ids]
        files.write(target, lambda file: _fill(lab, file, snapshots))
        return Kept(len(snapshots), target.stat().st_size, older)
    except OSError as error:
        why = "the disk is full" if no_room(error) else error.strerror or str(error)
        raise LabError(f"The backup {target} could not be written: {why}. Nothing was changed.") from None


def _gives_way(target: Path) -> bool:
    """Whether an older backup is there, which is replaced. Raises LabError for anything else, OSError where it cannot be looked at."""
    if not target.exists():
        return False
    with contextlib.suppress(tarfile.TarError, EOFError):
        if target.is_file():
            with tarfile.open(target, mode="r:") as tar:
                if _label(tar, tar.next()):
                    return True
    raise LabError(
        f"{target.absolute()} is there already, and is no backup of a lab: it is left as it is. Name a new file."
    )


def _fill(lab: Lab, file: IO[bytes], snapshots: list[dict[str, Any]]) -> None:
    os.fchmod(file.fileno(), 0o600)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add_json(tar, LABEL, {"layout": migrations.LAYOUT, "made": time.time(), "runs": len(snapshots)})
        settings = lab.settings.model_dump(mode="json", exclude_unset=True, exclude=LEFT_IN_THE_LAB)
        _add_json(tar, "settings.json", settings)
        _add_folder(tar, lab.presets_folder, "presets")
        for snapshot in snapshots:
            _add_run(tar, lab, snapshot)
        _add_json(tar, END, {})


def _add_run(tar: tarfile.TarFile, lab: Lab, snapshot: dict[str, Any]) -> None:
    run_id = snapshot["run"]["id"]
    folder = mirror.folder_of(lab.path, run_id)
    if folder is None:
        return
    name = f"{'runs' if snapshot['run']['deleted'] is None else 'trash'}/{run_id}"
    _add_folder(tar, folder, name)
    _add_json(tar, f"{name}/{mirror.NAME}", snapshot)


def _add_folder(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    """A folder and all below; what vanishes meanwhile is left out, and a checkpoint is there whole or not at all."""
    _add_directory(tar, name)
    if folder.name == "checkpoints":
        return _add_checkpoints(tar, folder, name)
    for path in _listed(folder):
        if path.is_dir():
            _add_folder(tar, path, f"{name}/{path.name}")
        elif not path.name.endswith(LEFT_OUT):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                _add_open(tar, f"{name}/{path.name}", file)
    return None


def _listed(folder: Path) -> list[Path]:
    """What lies in it and is meant to stay: no links, nothing hidden, nothing half-written."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(p for p in folder.iterdir() if p.name[0] != "." and not p.is_symlink())
    return []


def _add_checkpoints(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    """Every checkpoint, opened as a whole first. Where all vanished that were listed, newer ones have come: once more."""
    seen: set[Path] = set()
    whole = 0
    while not whole and (found := [path for path in _listed(folder) if path.is_dir() and path not in seen]):
        seen.update(found)
        whole += sum(_add_checkpoint(tar, path, f"{name}/{path.name}") for path in found)


def _add_checkpoint(tar: tarfile.TarFile, folder: Path, name: str) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            opened = [(path.name, stack.enter_context(path.open("rb"))) for path in sorted(folder.iterdir())]
        except FileNotFoundError:
            return False
        if manifest.MANIFEST not in dict(opened):  # it is being removed
            return False
        _add_directory(tar, name)
        for path_name, file in opened:
            _add_open(tar, f"{name}/{path_name}", file)
    return True


def _add_open(tar: tarfile.TarFile, name: str, file: IO[bytes]) -> None:
    """As many bytes as the file has now; a log that grows meanwhile does not break the archive."""
    info, status = tarfile.TarInfo(name), os.fstat(file.fileno())
    info.size, info.mtime = status.st_size, int(status.st_mtime)
    tar.addfile(info, _Exactly(file, info.size))  # type: ignore[arg-type]


class _Exactly:
    """A file that has just so many bytes: zeros follow where it was cut meanwhile."""

    def __init__(self, file: IO[bytes], size: int):
        self.file, self.left = file, size

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return self.file.read(size).ljust(size, b"\0")


def _add_json(tar: tarfile.TarFile, name: str, content: Any) -> None:
    text = files.as_json(content).encode("utf-8")
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(text), int(time.time())
    tar.addfile(info, io.BytesIO(text))


def _add_directory(tar: tarfile.TarFile, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
    tar.addfile(info)


def restore(source: Path, target: Path) -> Kept:
    """Make a lab of a backup, in a folder that is empty or does not exist yet; nothing stays behind where it fails.

    Raises:
        LabError: where the file is no whole backup, or the folder is in use.
    """
    try:
        with _beside(target) as place:
            label = _unpack(source, place)
            for part in place.iterdir():
                part.rename(target / part.name)
    except (tarfile.TarError, EOFError) as error:
        raise LabError(f"{source} is no whole backup of a lab: {error}.") from None
    except OSError as error:
        why = "the disk is full" if no_room(error) else f"{error.filename or source}: {error.strerror or error}"
        raise LabError(f"The backup could not be restored: {why}. Nothing was kept.") from None
    Lab.open(target).engine.dispose()  # the table comes back from the folders
    return Kept(label["runs"], source.stat().st_size)


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder in the target, which is made where it does not exist; where nothing comes to lie in it, it goes again."""
    made, place = [path for path in (target, *target.parents) if not path.exists()], target / ".restoring"
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise LabError(f"The folder {target} is not empty: a backup is restored into a new one.")
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def _unpack(source: Path, place: Path) -> dict[str, Any]:
    """All members, each of them looked at first. Returns the label."""
    with tarfile.open(source, mode="r:") as tar:
        first = tar.next()
        label = _label(tar, first)
        if label is None:
            raise LabError(f"{source} is not a backup of a lab.")
        if label["layout"] > migrations.LAYOUT:
            raise LabError(f"{source} was made by a newer version of this program: update the program.")
        while (member := tar.next()) is not None and member.name != END:
            _unpack_one(tar, member, place)
        if member is None:
            raise tarfile.ReadError("it was cut off")
    return label


def _label(tar: tarfile.TarFile, first: tarfile.TarInfo | None) -> dict[str, Any] | None:
    if first is None or first.name != LABEL or not first.isreg():
        return None
    file = tar.extractfile(first)
    assert file is not None, "it is a regular file"
    try:
        label: dict[str, Any] = json.loads(file.read(65536))
        return label if isinstance(label["layout"], int) and isinstance(label["runs"], int) else None
    except (ValueError, KeyError, TypeError):
        return None


def _unpack_one(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    path = PurePosixPath(member.name)
    inside = not path.is_absolute() and ".." not in path.parts and path.parts[:1] and path.parts[0] in PARTS
    if not inside or not (member.isreg() or member.isdir()):
        raise LabError(f"The backup holds {member.name!r}, which no lab has: it was not made by `aecore backup`.")
    if member.isdir():
        (place / path).mkdir(parents=True, exist_ok=True)
        return
    file = tar.extractfile(member)
    assert file is not None, "it is a regular file"
    (place / path).parent.mkdir(parents=True, exist_ok=True)
    with (place / path).open("xb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
    os.utime(place / path, (member.mtime, member.mtime))
