"""The database: the index of runs and the queue of jobs, on SQLite or PostgreSQL. Nothing else may open the file.

One writer at a time on both. What a transaction changed of a run is mirrored in the run's folder before it ends.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from aecore.runs import migrations, mirror, rebuild
from aecore.runs.errors import LabError, filled, full, no_room
from aecore.runs.tables import LIVE, OPEN, STATES, WAITS, WANTS, events, in_line, jobs, runs, used

try:
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # no wheel for this machine: `aecore doctor` says whether the system's own will do
    from sqlite3 import dbapi2 as sqlite

__all__ = ["LIVE", "OPEN", "STATES", "WAITS", "WANTS"]
__all__ += ["changed", "connect", "events", "in_line", "jobs", "reading", "runs", "used", "writing"]

TURN = 120.0
"""Seconds that a transaction waits for its turn on SQLite, which does not keep a queue: on a loaded machine others can come first
for long, and a run must not die of it."""
VANISHED = "disk I/O error"
"""What SQLite says where its files are deleted between its look at one of them and at the next; and where a disk is broken."""
MOMENT = 2.0
"""Seconds for which one looks again."""
PATIENCE = 30.0
"""Seconds that one waits for a PostgreSQL that is being started again."""
AWAY = ("08", "57P", "53300", "25006")
"""What PostgreSQL calls errors of the connection, of a server that stops or starts, that has too many clients, or that only reads for now."""
WRITERS = 0x6165_6C61_62
"""The advisory lock that PostgreSQL's writers take in turn."""


def connect(lab: Path, url: str = "") -> Engine:
    """An engine on the lab's database, which is made where it does not exist, and filled from the run folders.

    Args:
        url: of a PostgreSQL database; '' means `lab.sqlite` in the lab's folder.

    Raises:
        sqlalchemy.exc.DBAPIError: where it cannot be opened or written.
        LabError: where the URL cannot be used, or a newer version of this program made the database.
    """
    engine = (_postgresql(url) if url else _sqlite(lab / "lab.sqlite")).execution_options(lab=lab)
    try:
        connection, found = _begun(engine)
        connection.close()
    except OperationalError as error:
        if not _is_server(engine):
            raise
        why = " ".join(str(error.orig).split())
        raise LabError(f"The lab's database {name(engine)} does not answer: {why}") from None
    if found > migrations.LAYOUT:
        raise LabError(
            f"{name(engine)} was made by a newer version of this program (layout {found}; this one knows layouts "
            f"up to {migrations.LAYOUT}): update the program."
        )
    if found < migrations.LAYOUT:
        with writing(engine):
            pass
    if _is_server(engine):
        event.listen(engine, "do_connect", _patiently)  # from now on: an address that is wrong is said at once
    return engine


def name(engine: Engine) -> str:
    """The database in words, without a password."""
    if not _is_server(engine):
        return str(engine.url.database)
    return engine.url.difference_update_query(["password"]).render_as_string(hide_password=True)


def version(engine: Engine) -> str:
    """Of the library or server that does the work, such as 'SQLite 3.53.4'."""
    if not _is_server(engine):
        return f"SQLite {sqlite.sqlite_version}"
    with reading(engine) as connection:
        return f"PostgreSQL {connection.execute(text('SHOW server_version')).scalar_one()}"


def unreachable(error: BaseException) -> bool:
    """Whether an error says that the lab's PostgreSQL does not answer, was stopped in the middle, or takes no more for now."""
    if not isinstance(error, DBAPIError) or type(error.orig).__module__.partition(".")[0] != "psycopg":
        return False
    if (state := getattr(error.orig, "sqlstate", None)) is None:  # the server has said nothing
        return isinstance(error, OperationalError | InterfaceError)
    return state.startswith(AWAY)


def _is_server(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def _sqlite(path: Path) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, module=sqlite, poolclass=NullPool, connect_args={"timeout": TURN})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _on_begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    # A writer takes the lock at once: a reader that turns writer half-way fails however long the timeout is.
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _postgresql(text_: str) -> Engine:
    try:
        url = make_url(text_)
    except ArgumentError:
        url = URL.create("?")
    except ValueError:
        raise LabError(
            "settings.json: the port in database must be a whole number, as in postgresql://user@host:5432/name. "
            "An @ in a password is written %40."
        ) from None
    if url.get_backend_name() != "postgresql":  # without the value: it may hold a password
        raise LabError(
            "settings.json: database must be empty, for SQLite in the lab's folder, "
            "or an address such as postgresql://user@host/name."
        )
    if "@" in f"{url.host}{url.database}":  # what stands there is of the password, and would be shown
        raise LabError("settings.json: database has an @ too many: in a password it is written %40.")
    try:
        url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(
            url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args={"connect_timeout": 10}
        )
    except ModuleNotFoundError:
        raise LabError("PostgreSQL needs a library: “pip install -r requirements-postgresql.txt”.") from None
    event.listen(engine, "begin", _take_turns)
    return engine


def _take_turns(connection: Connection) -> None:
    if connection.get_execution_options().get("immediate"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")


def _patiently(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return dialect.connect(*arguments, **options)
        except dialect.dbapi.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: one consistent view. Raises LabError where the disk is full."""
    with _in_words(engine):
        connection, found = _begun(engine)
        with connection:
            if found != 0:
                yield connection
                return
        with writing(engine) as connection:  # somebody deleted the database under us
            yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, alone; all of it is kept or nothing. Raises LabError where the disk is full."""
    with _in_words(engine):
        connection, found = _begun(engine, immediate=True)
        with connection, connection.get_transaction():  # type: ignore[union-attr]
            connection.info[CHANGED] = set()
            lab = engine.get_execution_options()["lab"]
            if found < migrations.LAYOUT:
                _bring_up(connection, lab)
            yield connection
            # While the lock is still held: so an older state of a run never overwrites a newer one.
            mirror.write(connection, lab, connection.info[CHANGED])
    written[name(engine)] += 1


written: Counter[str] = Counter()
"""By the name of a database: how many transactions of this process have written."""


def _begun(engine: Engine, immediate: bool = False) -> tuple[Connection, int]:
    """A connection in a transaction, and the layout that it found: where SQLite's files are deleted just then, it looks again."""
    level = {} if immediate or not _is_server(engine) else {"isolation_level": "REPEATABLE READ"}
    begins, end = engine.execution_options(immediate=immediate, **level), time.monotonic() + MOMENT
    while True:
        with contextlib.ExitStack() as unused:
            try:
                connection = unused.enter_context(begins.connect())
                found = migrations.layout(connection)
                unused.pop_all()
                return connection, found
            except OperationalError as error:
                if time.monotonic() > end or str(error.orig) != VANISHED:
                    raise
        time.sleep(0.02)


def _bring_up(connection: Connection, lab: Path) -> None:
    """Make what is missing, under the lock: of several processes that start together, one does it."""
    if migrations.bring_up(connection) == 0:
        rebuild.fill(connection, lab)
    else:
        changed(connection, *connection.execute(select(runs.c.id)).scalars())


CHANGED = "aelab_changed"


def changed(connection: Connection, *run_ids: str) -> None:
    """Note that runs were changed in this transaction: `run.json` in their folders follows before it ends."""
    connection.info[CHANGED].update(run_ids)


@contextlib.contextmanager
def _in_words(engine: Engine) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if no_room(error) or (not _is_server(engine) and filled(Path(engine.url.database or "").parent)):
            raise LabError(full()) from error
        raise
