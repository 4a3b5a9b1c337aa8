"""What routes ask for besides a name: tokens and tickets.

A token is bound to a person and to the runs that an address names (or to the route, where it names none), and holds for four weeks;
pages put it into each address that a component reads. A ticket is an address for downloads that is good for one file, for one person,
for a day, also in a program without a cookie.
"""

import base64
import hashlib
import hmac
import json
import time

from aecore.runs import Lab
from ui import ways
from ui.lab import who, whole

DAY = 24 * 3600
WEEK, WEEKS = 7 * DAY, 4
"""A token says in which week it was made, and not when, so that an address stays the same: browsers keep what they read from it."""


def signed(address: str, *what: str) -> str:
    """An address with this visitor's token for what it names."""
    return f"{address}{'&' if '?' in address else '?'}token={own(*what)}"


def own(*what: str) -> str:
    """This visitor's token for these runs, or this route."""
    return token(whole(), who(), *what)


def token(lab: Lab, name: str, *what: str) -> str:
    """The token of a person for these runs, or this route."""
    return _token(lab, name, int(time.time() // WEEK), what)


def holds(lab: Lab, name: str, text: str, *what: str) -> bool:
    """Whether this is a token of this person for these runs, or this route, and not older than WEEKS."""
    week, now = text.partition("-")[0], int(time.time() // WEEK)
    if not week.isdecimal() or len(week) > 6 or not now - WEEKS <= int(week) <= now:
        return False
    return hmac.compare_digest(text.encode(), _token(lab, name, int(week), what).encode())


def _token(lab: Lab, name: str, week: int, what: tuple[str, ...]) -> str:
    said = json.dumps(["token", name, week, *what]).encode()
    digest = hmac.new(ways.key(name, lab), said, hashlib.sha256).digest()[:18]
    return f"{week}-{base64.urlsafe_b64encode(digest).decode()}"


def ticket(lab: Lab, name: str, *what: str) -> str:
    """The ticket of a person for a thing, which its words name."""
    content = base64.urlsafe_b64encode(json.dumps([name, int(time.time()) + DAY]).encode()).decode().rstrip("=")
    return f"{content}.{_signature(lab, content, name, what)}"


def holder(lab: Lab, text: str, *what: str) -> str | None:
    """Whose ticket this is; None where it is for something else, too old, or not ours."""
    content, _, signature = text.partition(".")
    try:
        name, until = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    except (ValueError, TypeError):
        return None
    if not isinstance(name, str) or not isinstance(until, int):
        return None
    if not hmac.compare_digest(signature.encode(), _signature(lab, content, name, what).encode()):
        return None
    return name if time.time() < until else None


def _signature(lab: Lab, content: str, name: str, what: tuple[str, ...]) -> str:
    """With the person's key, so that a new password makes it void."""
    signed = json.dumps(["ticket", content, *what]).encode()
    return hmac.new(ways.key(name, lab), signed, hashlib.sha256).hexdigest()
