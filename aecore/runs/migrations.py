"""The database's layout: its number, and what brings an older one to today's."""

from sqlalchemy import Connection, text

from aecore.runs.tables import metadata, one_open_job

LAYOUT = 7
MIGRATIONS = {
    1: [
        "ALTER TABLE jobs ADD COLUMN place INTEGER",
        "ALTER TABLE jobs ADD COLUMN slots INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE jobs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN crash_step INTEGER",
        "ALTER TABLE jobs ADD COLUMN memory BIGINT",
        "UPDATE jobs SET place = id",
    ],
    2: [
        "ALTER TABLE jobs ADD COLUMN sweep VARCHAR",
        "ALTER TABLE jobs ADD COLUMN at_once INTEGER",
    ],
    3: [
        "ALTER TABLE runs ADD COLUMN tags VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN note VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN archived FLOAT",
    ],
    4: ["ALTER TABLE runs ADD COLUMN private BOOLEAN NOT NULL DEFAULT FALSE"],
    5: [
        "ALTER TABLE jobs ADD COLUMN since FLOAT",
        "ALTER TABLE jobs ADD COLUMN busy FLOAT NOT NULL DEFAULT 0",
        "CREATE TABLE used (owner VARCHAR PRIMARY KEY, seconds FLOAT NOT NULL, at FLOAT NOT NULL)",
        "UPDATE jobs SET since = heartbeat WHERE state = 'running'",
    ],
    6: [
        "ALTER TABLE runs ADD COLUMN tell INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN untold INTEGER",
        "CREATE INDEX ix_runs_untold ON runs (untold)",
    ],
}
"""What brings a database of each layout to the next. A column that comes later needs a default: see `rebuild`."""


def layout(connection: Connection) -> int:
    """The layout of the database; 0 where it has no tables yet."""
    if connection.dialect.name == "sqlite":
        return int(connection.execute(text("PRAGMA user_version")).scalar_one())
    if connection.execute(text("SELECT to_regclass('layout')")).scalar_one() is None:
        return 0
    return int(connection.execute(text("SELECT number FROM layout")).scalar_one())


def bring_up(connection: Connection) -> int:
    """Make the tables, or bring them to today's layout, inside the caller's one transaction. Returns what it was before."""
    before = layout(connection)
    if before == 0:
        if connection.dialect.name == "postgresql":
            one_open_job.dialect_kwargs["postgresql_where"] = one_open_job.dialect_kwargs["sqlite_where"]
        metadata.create_all(connection)
    for statement in (line for step in range(before or LAYOUT, LAYOUT) for line in MIGRATIONS[step]):
        connection.execute(text(statement))
    _note(connection)
    return before


def _note(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"PRAGMA user_version = {LAYOUT}"))
        return
    connection.execute(text("CREATE TABLE IF NOT EXISTS layout (number INTEGER NOT NULL)"))
    connection.execute(text("DELETE FROM layout"))
    connection.execute(text(f"INSERT INTO layout VALUES ({LAYOUT})"))
