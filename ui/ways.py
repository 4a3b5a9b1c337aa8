"""The ways in which the dashboard knows who is there: `access.way` of the lab's settings, with secrets of its environment.

password  a name and the shared password, then a cookie that we sign; without AELAB_PASSWORD everyone is one user. A name that
          the settings call an admin needs AELAB_ADMIN_PASSWORD instead
login     an identity provider, by Streamlit's own routes, then Streamlit's signed cookie; the secret is AELAB_CLIENT_SECRET
proxy     a reverse proxy's header, believed only beside AELAB_PROXY_SECRET in the header X-Aelab-Secret
"""

import base64
import binascii
import getpass
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from streamlit import config
from streamlit.web.server.starlette import starlette_websocket as streamlit_cookies

from aecore.config.access import is_name
from aecore.runs import Lab, rights
from aecore.runs.rights import Person, Role
from ui import kiosk

COOKIE, SIGNED_IN = "aelab_visitor", "_streamlit_user"
SECRET_HEADER = "X-Aelab-Secret"
SHORTEST_SECRET = 16
MONTH = 30 * 24 * 3600


class Connection(Protocol):
    """A request, or what a page's script knows of its connection."""

    @property
    def cookies(self) -> Mapping[str, str]: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


def way(lab: Lab) -> str:
    """'password', 'login' or 'proxy'; '' where everyone is one user."""
    if kiosk.chosen():
        return ""  # whoever comes is a guest
    chosen = lab.settings.access.way
    return "" if chosen == "password" and not _env("AELAB_PASSWORD") else chosen


def problem(lab: Lab) -> str:
    """Why nobody can come in, in a sentence; '' where nothing stands in the way."""
    chosen = lab.settings.access.way
    name = {"login": "AELAB_CLIENT_SECRET", "proxy": "AELAB_PROXY_SECRET"}.get(chosen, "")
    if name and not _env(name):
        return (
            f"access.way is {chosen!r} in the lab's settings, but the environment has no {name}: nobody can be known."
        )
    if chosen == "proxy" and len(_env(name)) < SHORTEST_SECRET:
        return f"{name} is too short: at least {SHORTEST_SECRET} characters that nobody guesses."
    return ""


def shut_out(lab: Lab, values: Mapping[str, Any]) -> str:
    """Why a change of the lab's settings would keep every admin out, in a sentence; '' where it would not."""
    if values.get("access.admins") and way(lab) == "password" and not _env("AELAB_ADMIN_PASSWORD"):
        return (
            "access.admins was not changed: admins come in with a password of their own, and the environment has no "
            "AELAB_ADMIN_PASSWORD, so that none of them could. Start the dashboard with it first."
        )
    return ""


def visitor(connection: Connection | None, lab: Lab) -> Person:
    """Who is there: by the way that the settings choose, and with the role that they give."""
    return kiosk.guest() or rights.person(lab.settings.access, name(connection, lab) or "")


def name(connection: Connection | None, lab: Lab) -> str | None:
    """The name of who is there, of whatever role; None where it is not known."""
    if not (chosen := way(lab)):
        return getpass.getuser()
    return NAMES[chosen](connection, lab) if connection is not None and not problem(lab) else None


def base() -> str:
    """The path below which the dashboard lies, as '/lab'; '' at the top."""
    path = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def _env(name: str) -> str:
    """A secret of the environment; '' where there is none, or nothing but blanks."""
    secret = os.environ.get(name, "")
    return secret if secret.strip() else ""


def password_of(name: str, lab: Lab) -> str:
    """What somebody of this name must know: the shared password, or the admins' own; '' where that was not set."""
    admin = rights.person(lab.settings.access, name).role is Role.ADMIN
    return _env("AELAB_ADMIN_PASSWORD" if admin else "AELAB_PASSWORD")


def token(name: str, lab: Lab) -> str:
    """The cookie's value for a visitor of this name: who and since when, signed. A new password makes it void."""
    content = base64.urlsafe_b64encode(json.dumps([name, int(time.time())]).encode()).decode().rstrip("=")
    return f"{content}.{_signature(content, name, lab)}"


def name_in(cookies: Mapping[str, str], lab: Lab) -> str | None:
    """The visitor's name, from a cookie that we signed within the last month; None otherwise."""
    content, _, signature = cookies.get(COOKIE, "").partition(".")
    try:
        name, since = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    except (ValueError, TypeError, binascii.Error):
        return None
    if not isinstance(name, str) or not isinstance(since, int) or not password_of(name, lab):
        return None
    if not hmac.compare_digest(signature.encode(), _signature(content, name, lab).encode()):
        return None
    return name if time.time() - since < MONTH else None


def _signature(content: str, name: str, lab: Lab) -> str:
    return hmac.new(key(name, lab), content.encode(), hashlib.sha256).hexdigest()


def key(name: str, lab: Lab) -> bytes:
    """What is signed with for a person: only this lab knows it, and a new password changes it."""
    return secret(kiosk.scratch(lab)) + hashlib.sha256(password_of(name, lab).encode()).digest()


@lru_cache(maxsize=4)
def secret(lab: Path) -> bytes:
    """32 random bytes that only this lab knows, made on first use and readable by its user only.

    Where the lab cannot be written, only this process knows them: whoever came in comes in again after its next start.
    """
    path = lab / "secret"
    try:
        if not path.exists():
            _make(path)
        return path.read_bytes()
    except OSError:
        return secrets.token_bytes(32)


def _make(path: Path) -> None:
    own = path.with_name(f"secret-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        os.link(own, path)  # the first of two processes wins, and both read the same
    except FileExistsError:
        pass
    finally:
        own.unlink()


def provider(lab: Lab) -> dict[str, dict[str, str]]:
    """What Streamlit's login needs to know, as its secrets; nothing where the way in is another."""
    login = lab.settings.access.login
    if way(lab) != "login" or problem(lab):
        return {}
    own = hmac.new(secret(lab.path), b"login", hashlib.sha256).hexdigest()
    return {
        "auth": {
            "redirect_uri": f"{login.address.rstrip('/')}/oauth2callback",
            "cookie_secret": own,
            "client_id": login.client_id,
            "client_secret": _env("AELAB_CLIENT_SECRET"),
            "server_metadata_url": login.provider,
        }
    }


def claims(connection: Connection) -> dict[str, Any]:
    """What the identity provider said of who is there, from the cookie that Streamlit signed; nothing without it."""
    kept = streamlit_cookies._get_signed_cookie_with_chunks(dict(connection.cookies), SIGNED_IN)
    found = json.loads(kept) if kept else {}
    return found if isinstance(found, dict) and found.get("is_logged_in") else {}


def _by_login(connection: Connection, lab: Lab) -> str | None:
    login, said = lab.settings.access.login, claims(connection)
    here = urlsplit(login.address)
    name = said.get(login.claim)
    if said.get("origin") != f"{here.scheme}://{here.netloc}" or not isinstance(name, str):
        return None
    if login.claim == "email":
        name = name.lower() if said.get("email_verified") is not False else ""
    return name if is_name(name) else None


def _by_proxy(connection: Connection, lab: Lab) -> str | None:
    """Two values of a header are none: one of them may be from elsewhere."""
    given, names = (_all(connection.headers, name) for name in (SECRET_HEADER, lab.settings.access.proxy_header))
    if len(given) != 1 or len(names) != 1:
        return None
    if not hmac.compare_digest(given[0].encode(), _env("AELAB_PROXY_SECRET").encode()):
        return None
    try:
        name = names[0].encode("latin-1").decode("utf-8")
    except ValueError:
        name = names[0]
    return name if is_name(name) else None


def _all(headers: Any, name: str) -> list[str]:
    """Every value of a header: a request and a page's script name the method differently."""
    return list(headers.getlist(name) if hasattr(headers, "getlist") else headers.get_all(name))


def _by_password(connection: Connection, lab: Lab) -> str | None:
    return name_in(connection.cookies, lab)


NAMES: dict[str, Callable[[Connection, Lab], str | None]] = {
    "password": _by_password,
    "login": _by_login,
    "proxy": _by_proxy,
}
