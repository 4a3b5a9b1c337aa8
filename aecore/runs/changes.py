"""Whether a lab's database says something else than before: what was read from it is kept until then."""

import sqlite3
import threading
import time
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Engine, text

from aecore.runs import database, files


def latest(engine: Engine) -> Hashable:
    """Another value after every transaction that wrote, of this process or any other. Ask before what is to be kept is read."""
    if engine.dialect.name == "postgresql":
        with database.reading(engine) as connection:
            return connection.execute(text("SELECT CAST(txid_current_snapshot() AS text)")).scalar_one()
    return _listener(str(engine.url.database)).latest()


class _Listener:
    """A connection to an SQLite file that only hears of what the others write (https://sqlite.org/pragma.html#pragma_data_version)."""

    def __init__(self, path: str) -> None:
        self.path, self.file, self.turn = Path(path), 0, threading.Lock()
        self.connection: sqlite3.Connection | None = None

    def latest(self) -> Hashable:
        with self.turn:
            try:
                return self._asked()
            except (OSError, database.sqlite.Error):  # it is being replaced, say: nothing is kept meanwhile
                self._close()
                return time.monotonic_ns()

    def _asked(self) -> Hashable:
        if (file := files.inode(self.path)) != self.file or self.connection is None:
            self._close()
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            self.connection = database.sqlite.connect(address, uri=True, check_same_thread=False)
            self.file = file
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        # another file may come to lie under the number of one that was deleted: then its journal was written at another time
        journal = Path(f"{self.path}-wal")
        return file, version, journal.stat().st_mtime_ns if journal.exists() else 0

    def _close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


@lru_cache(maxsize=8)
def _listener(path: str) -> _Listener:
    return _Listener(path)
