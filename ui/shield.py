"""What stands before everything: headers on every answer, who may ask at all, and a number for what fails unforeseen."""

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from streamlit import config
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from aecore.runs import LabError
from ui import errors, ways
from ui.asgi import Layer, refuse
from ui.lab import whole

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""A page loads from ourselves only, nobody else shows or loads what is ours, and links that lead away say nothing."""
OTHERS = "Another site's page asked for this, and it has no say here."


class Shield(Layer):
    """ASGI middleware, the outermost."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if refused := _refused(Headers(scope=scope)):
            await refuse(scope, receive, _covered(send), refused)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, _covered(sent) if scope["type"] == "http" else sent)
        except Exception as error:
            sentence = errors.sentence(errors.noted(error))
            if not begun:  # else the connection breaks off, and the log says why
                await refuse(scope, receive, _covered(send), PlainTextResponse(sentence, 500))


def _covered(send: Send) -> Send:
    """The answer with our headers."""

    async def covered(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await send(message)

    return covered


def _refused(headers: Headers) -> PlainTextResponse | None:
    """Why nobody is asked further, whoever it is: the name by which we were called, or the site whose page asks."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if not is_own(host):
        sentence = f"This dashboard is not called {host[:200]!r}: set server.allowedHosts where it should be."
        return PlainTextResponse(sentence, 421)
    if origin is not None and _site(origin) != host:
        return PlainTextResponse(OTHERS, 403)
    return None


def _site(origin: str) -> str | None:
    """The host that an origin names; None where it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def is_own(host: str) -> bool:
    """Whether a browser that asks for this host can have meant this dashboard.

    Another site's name may be made to lead here (DNS rebinding), and its page could then read what this machine's user sees.
    That takes a name: an address in digits, this machine's own name and what `server.allowedHosts` lists are what they say.
    Where there is a door, such a page has not its cookie, and any name may lead there.
    """
    if config.get_option("server.allowedHosts"):
        return is_host_allowed(host)
    if config.get_option("server.address") not in LOOPBACK or _has_door():
        return True
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name == socket.gethostname().lower():
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _has_door() -> bool:
    try:
        return bool(ways.way(whole()))
    except LabError:
        return True  # the door says what is wrong
