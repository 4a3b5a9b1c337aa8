"""Downloads that are either whole or not there: into a folder beside the target, verified, then renamed."""

import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

from aecore.data.alone import alone
from aecore.data.base import DataError, Progress, Roots

TIMEOUT = 30  # seconds without a byte
BLOCK = 1 << 20
FAILURES = (OSError, EOFError, ValueError, zlib.error, http.client.HTTPException, tarfile.TarError, zipfile.BadZipFile)


class Files(NamedTuple):
    """The files that make a data set, in torchvision's layout."""

    title: str
    folder: str
    """Below a data folder; '.' is the data folder itself."""
    names: tuple[str, ...]

    def home(self, roots: Roots) -> Path | None:
        """The first data folder that has all of them, each as it is or with '.gz' after its name."""
        return next((root for root in roots if all(self._lies(root, name) for name in self.names)), None)

    def _lies(self, root: Path, name: str) -> bool:
        path = root / self.folder / name
        return path.is_file() or path.with_name(name + ".gz").is_file()

    def by_hand(self, root: Path) -> str:
        """How to do without the download."""
        return (
            f"To do it by hand, put {', '.join(self.names)} into {(root / self.folder).resolve()}, "
            "or name a data folder that has them (--data-root or AELAB_DATA)."
        )


class Resource(NamedTuple):
    """One file to fetch."""

    urls: tuple[str, ...]
    """Mirrors, tried in this order."""
    md5: str
    unpack: Literal["no", "gz", "tar", "zip"] = "no"


def fetch(files: Files, resources: list[Resource], size: int, root: Path, progress: Progress | None) -> None:
    """Download `resources` (`size` bytes in all) and put `files` below `root`.

    Raises:
        DataError: what failed, from where, and how to put the files there by hand. Nothing half is left behind.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with alone(root / f".{PurePosixPath(files.title).name}.lock"):
            if files.home([root]) is None:  # else somebody else fetched it while we waited
                _fetch(files, resources, size, root, progress)
    except FAILURES as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{files.title} cannot be put into {root}: {error}. {files.by_hand(root)}") from None


def _fetch(files: Files, resources: list[Resource], size: int, root: Path, progress: Progress | None) -> None:
    prefix = f".{files.title}.download-"
    for left in root.glob(f"{prefix}*"):  # of a download that was killed: we are alone, so nobody writes there
        shutil.rmtree(left, ignore_errors=True)
    _room(files, size, root)
    beside = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        done = 0
        for number, resource in enumerate(resources):
            packed = beside / f"{number}.part"
            done = _first_that_works(files, resource, packed, done, size, root, progress)
            _unpack(resource, packed, beside, files.names)
        _place(files, beside, root)
        if progress:
            progress(size, size)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _room(files: Files, size: int, root: Path) -> None:
    free, needed = shutil.disk_usage(root).free, 2 * size + 100_000_000  # packed and unpacked
    if free < needed:
        raise DataError(
            f"{files.title} needs {needed / 1e6:,.0f} MB in {root} while it is unpacked, "
            f"but only {free / 1e6:,.0f} MB are free: make room, or choose another data folder (--data-root)."
        )


def _first_that_works(
    files: Files, resource: Resource, path: Path, done: int, size: int, root: Path, progress: Progress | None
) -> int:
    failures = []
    for url in resource.urls:
        try:
            return _stream(url, resource.md5, path, done, size, progress)
        except FAILURES as error:
            failures.append(f"{url}: {_reason(error)}")
    raise DataError(f"{files.title} could not be downloaded. {'; '.join(failures)}. {files.by_hand(root)}")


def _stream(url: str, md5: str, path: Path, done: int, size: int, progress: Progress | None) -> int:
    """Bytes done in all, once the file is whole and its checksum right."""
    checksum, got = hashlib.md5(usedforsecurity=False), 0
    request = urllib.request.Request(url, headers={"User-Agent": "autoencoder-lab"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, path.open("wb") as file:
        while block := response.read(BLOCK):
            file.write(block)
            checksum.update(block)
            got += len(block)
            if progress:
                progress(min(done + got, size), size)
        expected = response.headers.get("Content-Length")
    if expected is not None and got != int(expected):
        raise ValueError(f"the connection ended after {got:,} of {int(expected):,} bytes")
    if checksum.hexdigest() != md5:
        raise ValueError(f"its checksum is {checksum.hexdigest()} instead of {md5}: it is damaged, or another file")
    return done + got


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server says {error.code} {error.reason}"
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__


def _unpack(resource: Resource, packed: Path, beside: Path, names: tuple[str, ...]) -> None:
    """The wanted files, written out under their bare names: no path from inside an archive is ever used."""
    if resource.unpack == "no":
        packed.rename(beside / PurePosixPath(resource.urls[0]).name)
        return
    for name, content in _members(resource, packed):
        bare = PurePosixPath(name).name
        packed_inside = bare.endswith(".gz") and resource.unpack == "zip"
        bare = bare.removesuffix(".gz") if packed_inside else bare
        if bare in names:
            _write(beside / bare, gzip.GzipFile(fileobj=content) if packed_inside else content)
    packed.unlink()


def _members(resource: Resource, packed: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if resource.unpack == "gz":
        with gzip.open(packed) as content:
            yield PurePosixPath(resource.urls[0]).name.removesuffix(".gz"), content  # type: ignore[misc]
    elif resource.unpack == "tar":
        with tarfile.open(packed, "r|gz") as tar:
            for member in tar:
                if member.isfile() and (file := tar.extractfile(member)):
                    yield member.name, file
    else:
        with zipfile.ZipFile(packed) as archive:
            for name in archive.namelist():
                with archive.open(name) as content:
                    yield name, content


def _write(path: Path, content: IO[bytes] | gzip.GzipFile) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, BLOCK)
        file.flush()
        os.fsync(file.fileno())  # before the rename that makes it count


def _place(files: Files, beside: Path, root: Path) -> None:
    for name in files.names:
        if not (beside / name).is_file():
            raise DataError(f"{files.title}: {name} is not in what was downloaded. {files.by_hand(root)}")
    target = root / files.folder
    target.mkdir(parents=True, exist_ok=True)
    for name in files.names:
        os.replace(beside / name, target / name)
