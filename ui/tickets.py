"""Tickets for downloads: an address that is good for one file, for one person, for a day, also in a program without a cookie."""

import base64
import hashlib
import hmac
import json
import time

from aecore.runs import Lab
from ui import ways

DAY = 24 * 3600


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
