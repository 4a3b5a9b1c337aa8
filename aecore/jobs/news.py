"""What the owner of a run hears of it: which of its events, in which words, and what has become of telling it.

`runs.tell` says that it is wanted; an event that is news is left in `runs.untold` by the transaction that wrote it, until every
channel has had it. So no news is lost when a process dies, and one that was on its way just then comes twice, with the same id.
"""

import re
from typing import NamedTuple

from sqlalchemy import select, update

from aecore.config import ConfigError
from aecore.config.lab import read_settings
from aecore.config.tell import TellSettings
from aecore.jobs.states import note
from aecore.runs import Lab, LabError, database
from aecore.runs import run as read_run
from aecore.runs.database import LIVE, OPEN, events, runs
from aecore.runs.rights import Verb

WORDS = {"completed": "completed", "failed": "failed", "cancelled": "stopped", "paused": "paused", "running": "waits"}
"""State after the event -> what is said of the run."""
LONGEST = 300


class News(NamedTuple):
    """An event that a run's owner should hear of."""

    event: int
    job: int
    run: str
    name: str
    owner: str
    new: str
    by: str
    reason: str
    private: bool

    @property
    def title(self) -> str:
        """One line. Nothing that somebody typed begins it, and no sign in it means anything to a chat or mail program."""
        return f"Run {plain(self.name)}: {WORDS[self.new]}"

    @property
    def text(self) -> str:
        """The title, and why in a sentence."""
        return f"{self.title}. {plain(self.reason.strip().partition(chr(10))[0])}".strip()

    def link(self, settings: TellSettings) -> str:
        """The run's page, where the settings say where the dashboard is."""
        return f"{settings.dashboard.rstrip('/')}/runs?run={self.run}" if settings.dashboard else ""

    @property
    def id(self) -> str:
        """The same for every copy of this message."""
        return f"{self.run}-{self.event}"


def plain(text: str) -> str:
    """Text that no chat or mail program takes for markup, a mention or a link: letters, digits and a few signs.

    >>> plain("<!channel> *x* [a](http://evil.example) :smile: @ada 0.5, training.epochs")
    'channel x a (http: evil example) smile: ada 0.5, training epochs'
    """
    kept = "".join(letter if letter.isalnum() or letter in " ,.:;+-=%()'’×–" else " " for letter in text[: 2 * LONGEST])
    kept = re.sub(r"[.:](?=[^\s\d)])", " ", kept)
    return re.sub(r"\s+", " ", kept).strip()[:LONGEST]


def settings(lab: Lab) -> TellSettings:
    """As they are written now: what was wrong in them may have been mended for the next try."""
    try:
        return read_settings(lab.path / "settings.json").tell
    except (ConfigError, OSError):
        return lab.settings.tell


def ask(lab: Lab, run_id: str, on: bool) -> None:
    """Whether the owner of a run wants to hear of its end.

    Raises LabError where there is no such run, it has ended, or the viewer has no say in it.
    """
    row = read_run(lab, run_id)
    lab.demand(Verb.TELL, row.owner)
    if on and row.state not in OPEN:
        raise LabError(f"{run_id} is {row.shown}: it has ended already.")
    with database.writing(lab.engine) as connection:
        values = {"tell": 1} if on else {"tell": 0, "untold": None}
        connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        database.changed(connection, run_id)


def outstanding(lab: Lab) -> list[News]:
    """What is still to be told, the oldest first."""
    r, e = runs.c, events.c
    query = select(e.id, e.job_id, r.id, r.name, r.owner, e.new, e.by, e.reason, r.private)
    query = query.join(events, e.id == r.untold).where(r.untold.is_not(None)).order_by(e.id)
    with database.reading(lab.engine) as connection:
        return [News(*row) for row in connection.execute(query)]


def own_doing(lab: Lab, one: News) -> bool:
    """Whether the owner stopped or paused the run, and so knows."""
    if one.new not in ("cancelled", "paused"):
        return False
    e = events.c
    people = (e.job_id == one.job) & (e.id <= one.event) & e.by.not_in(["supervisor", "trainer"])
    query = select(e.id, e.old, e.new, e.by).where(people).order_by(e.id.desc()).limit(1)
    with database.reading(lab.engine) as connection:
        last = connection.execute(query).one_or_none()
    if last is None or last.by != one.owner:
        return False
    return last.id == one.event or (
        last.old == last.new and last.old in LIVE
    )  # done at once, or asked of one that runs


def done(lab: Lab, one: News) -> set[str]:
    """Channels on which it was told, or given up."""
    e = events.c
    query = select(e.old).where(e.run_id == one.run, e.id > one.event, e.new.in_(["told", "untold"]))
    with database.reading(lab.engine) as connection:
        return set(connection.execute(query).scalars())


def record(lab: Lab, one: News, channel: str, new: str, sentence: str) -> None:
    """An event with what came of it: `new` is 'told', 'retold' while it is tried again, or 'untold'."""
    with database.writing(lab.engine) as connection:
        note(connection, one.job, one.run, channel, new, "supervisor", sentence)


def settle(lab: Lab, one: News) -> None:
    """Every channel has had it. Where the run has newer news by now, those stay."""
    with database.writing(lab.engine) as connection:
        mine = (runs.c.id == one.run) & (runs.c.untold == one.event)
        connection.execute(update(runs).where(mine).values(untold=None))
        database.changed(connection, one.run)
