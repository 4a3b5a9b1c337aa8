"""Whether a lab's database says something else than before: what was read from it is kept until then."""

import threading
import time
from collections.abc import Callable, Hashable
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

from cachetools import LRUCache
from sqlalchemy import URL, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from aecore.runs import database, files

Found = TypeVar("Found")


class Newest(Generic[Found]):
    """By key what was found at the newest moment alone: what was found before is never asked for again, and would only take memory."""

    def __init__(self, most: int) -> None:
        self._kept: LRUCache[Hashable, _Moment[Found]] = LRUCache(most)
        self._turn = threading.Lock()

    def at(self, key: Hashable, moment: Hashable, find: Callable[[], Found]) -> Found:
        """Found once for all who ask at the same moment: who asks while it is being found waits for that one answer."""
        with self._turn:
            kept = self._kept.get(key)
            if kept is None or kept.moment != moment:
                kept = self._kept[key] = _Moment(moment)
        with kept.turn:
            if not kept.found:
                kept.found.append(find())
        return kept.found[0]

    def known(self, key: Hashable, moment: Hashable) -> Found | None:
        """The same, where somebody has found it already."""
        with self._turn:
            kept = self._kept.get(key)
        return kept.found[0] if kept and kept.moment == moment and kept.found else None


class _Moment(Generic[Found]):
    def __init__(self, moment: Hashable) -> None:
        self.moment, self.turn = moment, threading.Lock()
        self.found: list[Found] = []


def latest(engine: Engine) -> Hashable:
    """Another value after every transaction that wrote, of this process or any other. Ask before what is to be kept is read.

    What others write may go unnoticed for as many seconds as the engine's execution option `patience` says.
    """
    here, now = database.name(engine), time.monotonic()
    mine = database.written[here]
    looked, known, found = _found.get(here, (now, -1, None))
    if mine != known or now - looked >= patience(engine):
        found = _latest(engine)
        _found[here] = now, mine, found
    return found


def patience(engine: Engine) -> float:
    """Seconds for which what other processes write may go unnoticed; 0 but for a dashboard's engine."""
    return float(engine.get_execution_options().get("patience", 0))


_found: dict[str, tuple[float, int, Hashable]] = {}
"""By the name of a database: when it was looked at, how often this process had written, and what was found."""


def _latest(engine: Engine) -> Hashable:
    if engine.dialect.name == "postgresql":
        with database.reading(engine) as connection:
            return connection.execute(text("SELECT CAST(txid_current_snapshot() AS text)")).scalar_one()
    return _listener(str(engine.url.database)).latest()


class _Listener:
    """A connection to an SQLite file that only hears of what the others write (https://sqlite.org/pragma.html#pragma_data_version)."""

    def __init__(self, path: str) -> None:
        self.path, self.file, self.turn = Path(path), 0, threading.Lock()
        self.connection: PoolProxiedConnection | None = None

    def latest(self) -> Hashable:
        with self.turn:
            try:
                return self._asked()
            except (OSError, DBAPIError, database.sqlite.Error):  # it is being replaced, say: nothing is kept meanwhile
                self._close()
                return time.monotonic_ns()

    def _asked(self) -> Hashable:
        if (file := files.inode(self.path)) != self.file or self.connection is None:
            self._close()
            url = URL.create("sqlite", database=self.path.absolute().as_uri(), query={"mode": "ro", "uri": "true"})
            any_thread = {"check_same_thread": False}
            engine = create_engine(url, module=database.sqlite, poolclass=NullPool, connect_args=any_thread)
            self.connection, self.file = engine.raw_connection(), file
        cursor = self.connection.cursor()  # and no transaction: in one, nobody else's would be heard of
        cursor.execute("PRAGMA data_version")
        version = cursor.fetchone()
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
