"""The database: the index of runs and the queue of jobs. SQLAlchemy only; no other code may open the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import OperationalError

from aecore.runs.errors import FULL, LabError, filled, no_room

SCHEMA = 2
STATES = ("queued", "starting", "running", "paused", "completed", "failed", "cancelled")
OPEN = ("queued", "starting", "running", "paused")
"""States that can still change."""
LIVE = ("starting", "running")
"""States in which a process exists or is about to."""
WANTS = ("run", "pause", "cancel")

metadata = MetaData()


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, words))})")


runs = Table(
    "runs",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("backbone", String, nullable=False),
    Column("bottleneck", String, nullable=False),
    Column("code_size", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("parent", String),
    Column("deleted", Float),
    Column("submission", String, unique=True),
    Column("job_id", Integer),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", String, ForeignKey("runs.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("state", String, _one_of("state", STATES), nullable=False, default="queued"),
    Column("want", String, _one_of("want", WANTS), nullable=False, default="run"),
    Column("priority", Integer, nullable=False, default=0),
    Column("place", Integer),
    Column("slots", Integer, nullable=False, default=1),
    Column("attempt", Integer, nullable=False, default=0),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("engine", String),
    Column("engine_ref", String),
    Column("slot", String),
    Column("pool", String, nullable=False, default="cpu"),
    Column("device", String),
    Column("heartbeat", Float),
    Column("reason_code", String, nullable=False, default=""),
    Column("reason", String, nullable=False, default=""),
    Column("step", Integer, nullable=False, default=0),
    Column("total_steps", Integer),
    Column("epoch", Integer, nullable=False, default=0),
    Column("loss", Float),
    Column("images_per_second", Float),
    Column("steps_per_second", Float),
    Column("checkpoint_step", Integer),
    Column("data_root", String),
    Column("crashes", Integer, nullable=False, default=0),
    Column("crash_step", Integer),
    Column("memory", Integer),
    sqlite_autoincrement=True,
)
Index("jobs_by_state", jobs.c.state, jobs.c.priority, jobs.c.id)
Index(
    "one_open_job",
    jobs.c.run_id,
    jobs.c.kind,
    unique=True,
    sqlite_where=jobs.c.state.in_(OPEN),
    postgresql_where=jobs.c.state.in_(OPEN),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("run_id", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("old", String, nullable=False),
    Column("new", String, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", String, nullable=False, default=""),
    sqlite_autoincrement=True,
)


MIGRATIONS = {
    1: [
        "ALTER TABLE jobs ADD COLUMN place INTEGER",
        "ALTER TABLE jobs ADD COLUMN slots INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE jobs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN crash_step INTEGER",
        "ALTER TABLE jobs ADD COLUMN memory INTEGER",
        "UPDATE jobs SET place = id",
    ],
}
"""What brings a database of each layout to the next."""


def connect(path: Path) -> Engine:
    """An engine on the database file, which is made with its tables where it does not exist.

    Raises:
        sqlalchemy.exc.OperationalError: where the file cannot be opened or written.
        ValueError: where a newer version of this program made it.
    """
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 30})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    with reading(engine) as connection:
        version = connection.execute(text("PRAGMA user_version")).scalar_one()
    if version > SCHEMA:
        raise ValueError(f"{path} was made by a newer version of this program (layout {version}): update the program.")
    if version < SCHEMA:
        _upgrade(engine)
    return engine


def _upgrade(engine: Engine) -> None:
    with writing(engine) as connection:  # looked at again under the lock: several processes may start together
        version = connection.execute(text("PRAGMA user_version")).scalar_one()
        if version == 0:
            metadata.create_all(connection)
        for statement in (line for step in range(version or SCHEMA, SCHEMA) for line in MIGRATIONS[step]):
            connection.execute(text(statement))
        connection.execute(text(f"PRAGMA user_version = {SCHEMA}"))


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _on_begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    # A writer takes the lock at once: a reader that turns writer half-way fails however long the timeout is.
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: one consistent view. Raises LabError where the disk is full."""
    with _in_words(engine), engine.connect() as connection:
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, alone; all of it is kept or nothing. Raises LabError where the disk is full."""
    with _in_words(engine), engine.execution_options(immediate=True).begin() as connection:
        yield connection


@contextlib.contextmanager
def _in_words(engine: Engine) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if no_room(error) or filled(Path(engine.url.database or "").parent):
            raise LabError(FULL) from error
        raise
