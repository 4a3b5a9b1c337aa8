"""A real PostgreSQL of the tests' own: Debian's, on a socket in a temporary folder, gone afterwards."""

import itertools
import os
import shutil
import signal
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
    """A PostgreSQL in a folder of its own."""

    def __init__(self, binaries: Path, folder: Path):
        self.binaries, self.folder, self.data = binaries, folder, folder / "data"
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []  # it refuses to run as root
        self.process: subprocess.Popen[bytes] | None = None
        self.count = itertools.count(1)

    def make(self) -> None:
        """The empty cluster."""
        if self.as_user:
            shutil.chown(self.folder, "postgres")
        make = [*self.as_user, self.binaries / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run([*make, "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [word for option in FAST for word in ("-c", option)]
        command = [*self.as_user, self.binaries / "postgres", "-D", self.data, "-k", self.folder, *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        end = time.monotonic() + 30
        while True:
            try:
                return self.connect().close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """Close every connection and leave."""
        if self.process is not None and self.process.poll() is None:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT)  # runuser hands no signal on
            self.process.wait(20)

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"lab{next(self.count)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres:open-sesame@/{name}?host={self.folder}"

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True)


@contextmanager
def running() -> Iterator[Server]:
    """A server for the time of the block. Skips the test, with the reason, where PostgreSQL is not installed."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(binaries[-1]) if binaries else None)
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install --no-install-recommends postgresql")
    folder = Path(tempfile.mkdtemp(prefix="aelab-pg-", dir="/tmp"))  # a socket's path is short
    server = Server(Path(found).parent, folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
