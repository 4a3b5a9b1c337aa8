"""Who may do what in a lab: one table. Pages, routes and the command line all see the lab through `Lab.seen_by`, which asks it."""

from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, false, true

from aecore.config.access import AccessSettings
from aecore.runs.errors import LabError
from aecore.runs.tables import runs


class Role(StrEnum):
    """What a person is in a lab."""

    ADMIN = "admin"
    PEER = "peer"
    """A member of a lab whose settings name no admin."""
    MEMBER = "member"
    GUEST = "guest"
    NOBODY = "nobody"


class Person(NamedTuple):
    """Somebody who looks at a lab."""

    name: str
    role: Role
    only: frozenset[str] | None = None
    """The runs that are there for them at all; None for every run."""


class Verb(StrEnum):
    """What can be done, in words that follow 'may'."""

    SEE = "see a run"
    SEE_PRIVATE = "see a private run"
    SUBMIT = "queue a run or a sweep"
    EXTEND = "train a completed run longer, as a run of one's own"
    ANALYSE = "have a run analysed or its codes mapped"
    PAUSE = "pause a run"
    RESUME = "resume a run"
    STOP = "stop a run"
    MOVE = "move a run in the queue"
    MARK = "change a run's tags and note"
    TELL = "say whether a run's owner is told of its end"
    ARCHIVE = "archive a run, and take it out again"
    HIDE = "make a run private, or visible to all"
    HAND_OVER = "hand a run over to somebody else"
    DELETE = "delete a run"
    UNDELETE = "bring a deleted run back"
    KEEP_PRESET = "keep a preset"
    BACK_UP = "back the whole lab up"
    SERVER = "see the server page"
    SETTINGS = "change the lab's settings"
    DRAIN = "drain or restart the lab"
    ANNOUNCE = "put a banner on every page"
    CLEAN_UP = "clean up the disk"


COLUMNS = {
    "O": "owner",
    "M": "other member",
    "P": "other member, where no admin is named",
    "G": "guest",
    "A": "admin",
    "N": "nobody",
}
"""Who it is that does something; an owner's role is member."""
TABLE = {
    Verb.SEE: "OMPGA",
    Verb.SEE_PRIVATE: "OA",
    Verb.EXTEND: "OMPA",
    Verb.ANALYSE: "OMPA",
    Verb.PAUSE: "OPA",
    Verb.RESUME: "OPA",
    Verb.STOP: "OPA",
    Verb.MOVE: "OPA",
    Verb.MARK: "OPA",
    Verb.TELL: "OPA",
    Verb.ARCHIVE: "OPA",
    Verb.HIDE: "OPA",
    Verb.HAND_OVER: "OPA",
    Verb.DELETE: "OPA",
    Verb.UNDELETE: "OPA",
    Verb.SUBMIT: "MPA",
    Verb.KEEP_PRESET: "MPA",
    Verb.BACK_UP: "PA",
    Verb.SERVER: "PA",
    Verb.SETTINGS: "PA",
    Verb.DRAIN: "PA",
    Verb.ANNOUNCE: "PA",
    Verb.CLEAN_UP: "PA",
}
"""Who may: letters of COLUMNS. What is about no run has no owner. Of another's private run only admins may do anything."""
LETTERS = {Role.ADMIN: "A", Role.PEER: "P", Role.MEMBER: "M", Role.GUEST: "G", Role.NOBODY: "N"}
NOBODY = Person("", Role.NOBODY)


class Forbidden(LabError):
    """This person may not do that."""


def person(access: AccessSettings, name: str) -> Person:
    """Who somebody of this name is, by the lab's settings; capital letters make no difference."""
    for names, role in (
        (access.admins, Role.ADMIN),
        (access.guests, Role.GUEST),
        (access.members, Role.MEMBER),
        ((name,) if name else (), Role(access.others)),
    ):
        if name.casefold() in (known.casefold() for known in names):
            return Person(name, Role.PEER if role is Role.MEMBER and not access.admins else role)
    return NOBODY


def allowed(viewer: Person | None, verb: Verb, owner: str | None = None) -> bool:
    """Whether a person may do this to a run of this owner, or to the lab. None is the program itself, which may do all."""
    if viewer is None:
        return True
    own = viewer.role in (Role.MEMBER, Role.PEER) and viewer.name == owner
    return ("O" if own else LETTERS[viewer.role]) in TABLE[verb]


def demand(viewer: Person | None, verb: Verb, owner: str | None = None) -> None:
    """Raises Forbidden with a sentence where a person may not do this."""
    if allowed(viewer, verb, owner):
        return
    assert viewer is not None
    if viewer.role is Role.NOBODY:
        raise Forbidden(f"Say who you are first: nobody else may {verb}.")
    if viewer.role is Role.GUEST:
        raise Forbidden(f"{viewer.name} is a guest of this lab, and may look only, not {verb}.")
    whose = "the lab's admins may" if owner is None else f"{owner}, whose run it is, and the lab's admins may"
    raise Forbidden(f"Only {whose} {verb}; {viewer.name} is neither." if owner else f"Only {whose} {verb}.")


def sees(viewer: Person | None, owner: str, private: bool) -> bool:
    """Whether a run is there at all for somebody."""
    return allowed(viewer, Verb.SEE_PRIVATE if private else Verb.SEE, owner)


def there(viewer: Person | None, run_id: str) -> bool:
    """Whether a run is among those that are there for somebody at all."""
    return viewer is None or viewer.only is None or run_id in viewer.only


def seen(viewer: Person | None) -> ColumnElement[bool]:
    """`sees` and `there` as a condition on the table of runs."""
    if viewer is not None and viewer.only is not None:
        return runs.c.id.in_(sorted(viewer.only)) & seen(viewer._replace(only=None))
    if sees(viewer, "", private=True):
        return true()
    if viewer is None or not sees(viewer, "", private=False):
        return false()
    if not sees(viewer, viewer.name, private=True):
        return runs.c.private.is_(False)
    return runs.c.private.is_(False) | (runs.c.owner == viewer.name)


def markdown() -> str:
    """The table for docs/PEOPLE.md."""
    lines = ["| may | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {verb} | " + " | ".join(_cell(verb, letter) for letter in COLUMNS) + " |" for verb in Verb]
    return "\n".join(lines)


def _cell(verb: Verb, letter: str) -> str:
    about_a_run = "O" in TABLE[verb]
    return "–" if letter == "O" and not about_a_run else "yes" if letter in TABLE[verb] else "no"
