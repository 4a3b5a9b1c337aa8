"""A real PostgreSQL of the tests' own: Debian's, on a socket in a temporary folder, gone afterwards."""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=200")


class Server:
    """A running PostgreSQL."""

    def __init__(self, sockets: Path):
        self.sockets = sockets
        self.count = itertools.count(1)

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"lab{next(self.count)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres:open-sesame@/{name}?host={self.sockets}"

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True)


@contextmanager
def running() -> Iterator[Server]:
    """A server for the time of the block. Skips the test, with the reason, where PostgreSQL is not installed."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(binaries[-1]) if binaries else None)
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install --no-install-recommends postgresql")
    folder = Path(tempfile.mkdtemp(prefix="aelab-pg-", dir="/tmp"))  # a socket's path is short
    try:
        with _server(Path(found).parent, folder) as process:
            _wait(Server(folder), process)
            yield Server(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(binaries: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    as_user: list[str] = []
    if os.getuid() == 0:  # it refuses to run as root
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data = folder / "data"
    make = [*as_user, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = [word for option in FAST for word in ("-c", option)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_user, binaries / "postgres", "-D", data, "-k", folder, *options], stdout=log, stderr=log, cwd="/"
        )
    try:
        yield process
    finally:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, 2)  # fast shutdown; runuser hands on no signal
        process.wait(20)


def _wait(server: Server, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 30
    while True:
        try:
            return server.connect().close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
