"""The door of a dashboard on a network: a name and the shared password, then a signed cookie.

Where the environment has no AELAB_PASSWORD there is no door: the dashboard listens on this machine alone.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from aecore.runs import LabError

COOKIE = "aelab_visitor"
LOGIN, LOGOUT = "login", "logout"
asking: ContextVar[HTTPConnection | None] = ContextVar("asking", default=None)
"""The request that is being answered, for routes."""
OPEN_PATHS = ("/login", "/_stcore/health")
MONTH = 30 * 24 * 3600
LONGEST_NAME = 60
FORM = Path(__file__).parent / "assets/login.html"


def guarded() -> bool:
    """Whether visitors must give a name and the password."""
    return bool(_password())


def _password() -> str:
    return os.environ.get("AELAB_PASSWORD", "")


def token(name: str, lab: Path) -> str:
    """The cookie's value for a visitor of this name: who and since when, signed. A new password makes it void."""
    content = base64.urlsafe_b64encode(json.dumps([name, int(time.time())]).encode()).decode().rstrip("=")
    return f"{content}.{_signature(content, lab)}"


def name_in(cookies: Mapping[str, str], lab: Path) -> str | None:
    """The visitor's name, from a cookie that we signed within the last month; None otherwise."""
    content, _, signature = cookies.get(COOKIE, "").partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(content, lab).encode()):
        return None
    name, since = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    return str(name) if time.time() - since < MONTH else None


def _signature(content: str, lab: Path) -> str:
    key = secret(lab) + hashlib.sha256(_password().encode()).digest()
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=4)
def secret(lab: Path) -> bytes:
    """32 random bytes that only this lab knows, made on first use and readable by its user only."""
    path = lab / "secret"
    if not path.exists():
        own = path.with_name(f"secret-{os.getpid()}-{secrets.token_hex(4)}")
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(own, path)  # the first of two processes wins, and both read the same
        except FileExistsError:
            pass
        finally:
            own.unlink()
    return path.read_bytes()


def place(address: str) -> str:
    """Where to go after the door: this address where it is a path of ours, else the first page."""
    parts = urlsplit(address)
    ours = address.startswith("/") and not parts.scheme and not parts.netloc and "\\" not in address
    return address if ours and address.isprintable() and not address.startswith("//") else "/"


def _lab() -> Path:
    from ui.lab import whole

    return whole().path


async def login(request: Request) -> Response:
    """The form, and what it sends: a wrong password is a sentence, the right one leads to where the visitor wanted to go."""
    if not guarded():
        return RedirectResponse("/", 303)
    wanted = place(request.query_params.get("next", "/"))
    if request.method == "GET":
        return _form("", "", wanted)
    sent = parse_qs((await request.body()).decode("utf-8", "replace"))
    name, password = " ".join(sent.get("name", [""])[0].split()), sent.get("password", [""])[0]
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        return _form(f"Give a name of 1 to {LONGEST_NAME} characters: it owns your runs.", name, wanted)
    if not hmac.compare_digest(password.encode("utf-8", "replace"), _password().encode()):
        await asyncio.sleep(0.5)  # a guess costs time
        return _form("This is not the password. The person who started the lab knows it.", name, wanted)
    answer = RedirectResponse(wanted, 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, token(name, _lab()), max_age=MONTH, httponly=True, samesite="lax", secure=secure)
    return answer


async def logout(request: Request) -> Response:
    """Forget the visitor."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _form(problem: str, name: str, wanted: str) -> Response:
    values = {"problem": problem, "name": name, "action": f"login?next={quote(wanted)}"}
    page = Template(FORM.read_text(encoding="utf-8")).substitute({key: _escaped(text) for key, text in values.items()})
    return HTMLResponse(page, 403 if problem else 200, {"Cache-Control": "no-store"})


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


ROUTES = [Route("/login", login, methods=["GET", "POST"]), Route("/logout", logout)]


class Door:
    """ASGI middleware: without the cookie a page leads to the form, and everything else, websockets too, is refused."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response | None = None
        try:
            if scope["type"] in ("http", "websocket") and guarded() and not self._may_pass(scope):
                answer = _refusal(scope)
        except LabError as error:  # its secret cannot be read, so nobody can be known
            answer = PlainTextResponse(str(error), 503)
        if answer is None:
            asking.set(HTTPConnection(scope) if scope["type"] in ("http", "websocket") else None)
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        return scope["path"] in OPEN_PATHS or name_in(HTTPConnection(scope).cookies, _lab()) is not None


def _refusal(scope: Scope) -> Response:
    if scope.get("method") == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
        query = scope["query_string"].decode("latin-1")
        return RedirectResponse("/login?next=" + quote(scope["path"] + "?" * bool(query) + query, safe="/"), 303)
    return PlainTextResponse("Give your name and the password first: /login", 401)


class Shield:
    """ASGI middleware: the headers that keep a page from loading or being shown by anything but ourselves."""

    HEADERS = (
        (
            b"content-security-policy",
            b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
            b"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
            b"frame-ancestors 'self'",
        ),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
