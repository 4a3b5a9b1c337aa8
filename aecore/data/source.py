"""Names and bytes of the files in a folder or a zip; nothing is ever unpacked onto the disk.

A zip comes from anywhere, so it is measured before it is read: files, sizes and how far each is packed.
"""

import io
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from aecore.data.base import DataError

MAX_FILES = 200_000
MAX_BYTES = 20 << 30  # of all files, unpacked
MAX_FILE_BYTES = 64 << 20
MAX_RATIO = 200  # unpacked to packed; photographs and drawings stay far below
FREE_BYTES = 1 << 20  # below this size the ratio does not matter
TAIL = 65_536 + 22 + 20 + 56  # where a zip's directory of contents is announced


class Entry(NamedTuple):
    """One file."""

    name: str
    """Its path with '/' inside the folder or zip."""
    size: int
    changed: int


class Source(NamedTuple):
    """A folder or a zip."""

    path: Path

    def entries(self) -> tuple[list[Entry], list[str]]:
        """(files, folders), sorted, without hidden ones. Raises DataError where there is too much of anything."""
        try:
            files, folders = _of_zip(self.path) if self.path.is_file() else _of_folder(self.path)
        except (OSError, zipfile.BadZipFile, struct.error) as error:
            raise refuse(f"{self.path} cannot be read: {error}.") from None
        _limit(self.path, len(files), sum(entry.size for entry in files))
        for entry in files:
            if entry.size > MAX_FILE_BYTES:
                raise refuse(f"{entry.name} in {self.path} has {entry.size >> 20} MB; at most 64 MB are read.")
        return sorted(entry for entry in files if _shown(entry.name)), sorted(name for name in folders if _shown(name))

    @contextmanager
    def opened(self) -> Iterator["Opened"]:
        """For reading many files."""
        if not self.path.is_file():
            yield Opened(self.path, None)
            return
        with zipfile.ZipFile(self.path) as archive:
            yield Opened(self.path, archive)


class Opened(NamedTuple):
    """A folder or zip whose files can be read."""

    path: Path
    archive: zipfile.ZipFile | None

    def open(self, name: str) -> IO[bytes]:
        if self.archive is None:
            return (self.path / name).open("rb")
        if self.archive.getinfo(name).file_size > FREE_BYTES:
            return self.archive.open(name)
        return io.BytesIO(self.archive.read(name))  # many small reads from inside a zip are slow


def refuse(sentence: str) -> DataError:
    """The error of a folder or zip."""
    return DataError(sentence, "data.path")


def _shown(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _limit(path: Path, files: int, size: int) -> None:
    if files > MAX_FILES:
        raise refuse(f"{path} holds {files:,} files; at most {MAX_FILES:,} are read.")
    if size > MAX_BYTES:
        raise refuse(f"{path} holds {size >> 30} GB; at most {MAX_BYTES >> 30} GB are read.")


def _of_folder(path: Path) -> tuple[list[Entry], list[str]]:
    files, folders = [], []
    for folder, inner, names in os.walk(path):
        inside = Path(folder).relative_to(path)
        folders += [(inside / name).as_posix() for name in inner]
        for name in names:
            found = os.stat(Path(folder) / name)
            if stat.S_ISREG(found.st_mode):
                files.append(Entry((inside / name).as_posix(), found.st_size, found.st_mtime_ns))
        _limit(path, len(files), 0)
    return files, folders


def _of_zip(path: Path) -> tuple[list[Entry], list[str]]:
    if not zipfile.is_zipfile(path):
        raise refuse(f"{path} is neither a folder nor a zip.")
    _limit(path, announced(path), 0)  # before Python makes an object of each
    files, folders = [], set()
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            name = PurePosixPath(item.filename).as_posix()
            folders |= {parent.as_posix() for parent in PurePosixPath(name).parents if parent.name}
            if item.is_dir():
                folders.add(name)
            elif stat.S_IFMT(item.external_attr >> 16) in (0, stat.S_IFREG):
                _measure(path, item)
                files.append(Entry(item.filename, item.file_size, item.CRC))
    return files, list(folders)


def _measure(path: Path, item: zipfile.ZipInfo) -> None:
    if item.flag_bits & 1:
        raise refuse(f"{item.filename} in {path} is locked with a password: unlock the zip first.")
    if item.file_size > max(FREE_BYTES, MAX_RATIO * item.compress_size):
        raise refuse(
            f"{item.filename} in {path} unpacks to more than {MAX_RATIO} times its size: this is not what images do."
        )


def announced(path: Path) -> int:
    """How many files a zip says that it holds, from its last bytes. Format: PKWARE APPNOTE 4.3.14 to 4.3.16."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(-min(TAIL, file.tell()), os.SEEK_END)
        tail = file.read()
    long = tail.rfind(b"PK\x06\x06")
    if long >= 0:
        return int(struct.unpack_from("<Q", tail, long + 32)[0])
    return int(struct.unpack_from("<H", tail, tail.rfind(b"PK\x05\x06") + 10)[0])
