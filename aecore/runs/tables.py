"""The tables: runs, jobs, and what happened to them. The same on SQLite and on PostgreSQL."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)

STATES = ("queued", "starting", "running", "paused", "completed", "failed", "cancelled")
OPEN = ("queued", "starting", "running", "paused")
"""States that can still change."""
LIVE = ("starting", "running")
"""States in which a process exists or is about to."""
WANTS = ("run", "pause", "cancel")
WAITS = "Waits: "
"""How a job's reason begins that waits for something else than its turn; in state starting: in an engine's own queue."""

metadata = MetaData()


class Text(TypeDecorator[str]):
    """What may hold lines of a log: PostgreSQL takes no NUL."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        return value if value is None else value.replace("\0", "\ufffd")


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
    Column("tags", Text, nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    Column("archived", Float),
    Column("private", Boolean, nullable=False, default=False),
    Column("tell", Integer, nullable=False, default=0),
    Column("untold", Integer, index=True),
    sqlite_autoincrement=True,
)
"""`tell`: whether its owner wants to hear of its end. `untold`: the event of which the owner has not heard yet."""

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
    Column("reason", Text, nullable=False, default=""),
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
    Column("memory", BigInteger),
    Column("sweep", String),
    Column("at_once", Integer),
    Column("since", Float),
    Column("busy", Float, nullable=False, default=0.0),
    sqlite_autoincrement=True,
)

used = Table(
    "used",
    metadata,
    Column("owner", String, primary_key=True),
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
)
"""What each person has used of the slots lately, see `runs.shares`."""


def in_line() -> ColumnElement[bool]:
    """Whether a job waits: in the lab's queue, or already in the engine's."""
    return (jobs.c.state == "queued") | ((jobs.c.state == "starting") & jobs.c.reason.startswith(WAITS))


Index("jobs_by_state", jobs.c.state, jobs.c.priority, jobs.c.id)
one_open_job = Index("one_open_job", jobs.c.run_id, jobs.c.kind, unique=True, sqlite_where=jobs.c.state.in_(OPEN))
"""Only of open jobs; `migrations` says so to PostgreSQL: here it would import what nobody else needs."""

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
    Column("reason", Text, nullable=False, default=""),
    sqlite_autoincrement=True,
)
