"""The door of the dashboard: whoever is not known (`ui.ways`) is led to the form or the identity provider, and nothing is behind it."""

import asyncio
import hmac
import html
from contextvars import ContextVar
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from streamlit.auth_util import encode_provider_token

from aecore.config.access import LONGEST_NAME, is_name
from aecore.runs import Lab, LabError, rights
from aecore.runs.rights import Role
from ui import ways
from ui.asgi import Layer, refuse
from ui.caching import NEVER
from ui.ways import COOKIE, MONTH, SIGNED_IN, base

LOGIN, LOGOUT, WANTED = "login", "logout", "aelab_wanted"
OPEN_PATHS = ("/login", "/logout", "/_stcore/health")
TICKETED = "/api/checkpoint/"
"""Asks for a ticket itself, so that a program without a cookie can go on with a download."""
PROVIDERS = ("/auth/login", "/auth/logout", "/oauth2callback")
"""Streamlit's own paths of a login, open where the way in is one."""
ASSETS = Path(__file__).parent / "assets"
ENDED = "Your session has ended.\nCome in again in another tab: /login\nWhat you typed here is kept."
UNNAMED = "The proxy in front of this lab did not say who you are: come in through it, by its own address."
PAUSE, GUESSES = 0.5, 8
"""Seconds that a wrong password waits, and how many may at the same moment; while so many do, nobody's is looked at."""
_wrong: list[str] = []
PATIENCE = 5.0
"""Seconds that an identity provider may take to answer."""
asking: ContextVar[HTTPConnection | None] = ContextVar("asking", default=None)
"""The request that is being answered, for routes."""


def _lab() -> Lab:
    from ui.lab import whole

    return whole()


def place(address: str) -> str:
    """Where to go after the door: this address where it is a path of ours, else the first page."""
    parts = urlsplit(address)
    ours = address.startswith("/") and not parts.scheme and not parts.netloc and "\\" not in address
    return address if ours and address.isprintable() and not address.startswith("//") else "/"


async def login(request: Request) -> Response:
    """The form, and what it sends: a wrong password is a sentence, the right one leads to where the visitor wanted to go."""
    lab, wanted = _lab(), place(request.query_params.get("next", "/"))
    way = ways.way(lab)
    if way == "login":
        return await _sign_in(request, lab, wanted)
    if way != "password":
        return RedirectResponse(base() + "/", 303)
    if request.method == "GET":
        return _form("", "", wanted)
    sent = parse_qs((await request.body()).decode("utf-8", "replace"))
    name, password = " ".join(sent.get("name", [""])[0].split()), sent.get("password", [""])[0]
    if problem := await _refused(lab, name, password):
        return _form(problem, name, wanted)
    answer = RedirectResponse(base() + wanted, 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, ways.token(name, lab), max_age=MONTH, httponly=True, samesite="lax", secure=secure)
    return answer


async def _refused(lab: Lab, name: str, password: str) -> str:
    """Why this name and password do not come in, '' where they do."""
    if not is_name(name):
        return f"Give a name of 1 to {LONGEST_NAME} characters: it owns your runs."
    needed, role = ways.password_of(name, lab), rights.person(lab.settings.access, name).role
    if not needed:
        return f"{name} keeps this lab, and comes in with the admins' password: it was not set (AELAB_ADMIN_PASSWORD)."
    if len(_wrong) >= GUESSES:
        return "Too many wrong passwords at once: try again in a moment."
    if not hmac.compare_digest(password.encode("utf-8", "replace"), needed.encode()):
        _wrong.append(name)
        try:
            await asyncio.sleep(PAUSE)  # a guess costs time
        finally:
            _wrong.pop()
        if role is Role.ADMIN:
            return f"This is not the admins' password, which {name}, who keeps this lab, needs."
        return "This is not the password. The person who started the lab knows it."
    if role is Role.NOBODY:
        return f"{name} is not on the list of this lab: its admins can put you there."
    return ""


async def _sign_in(request: Request, lab: Lab, wanted: str) -> Response:
    """The page with the button, and what the button does: leave for the identity provider, if it is there."""
    title = lab.settings.access.login.title
    if request.method == "GET":
        said = "You did not come back from it with a name: try again." if "again" in request.query_params else ""
        return _page("provider", 200, problem=said, title=title, action=f"{LOGIN}?next={quote(wanted)}")
    if problem := await _down(lab):
        return _page("provider", 503, problem=problem, title=title, action=f"{LOGIN}?next={quote(wanted)}")
    answer = RedirectResponse(f"{base()}/auth/login?provider={quote(encode_provider_token('default'))}", 303)
    answer.set_cookie(WANTED, quote(wanted, safe=""), max_age=600, httponly=True, samesite="lax")
    return answer


async def _down(lab: Lab) -> str:
    """Why the identity provider cannot be asked now, in a sentence; '' where it answers."""
    import httpx  # takes time, which a lab without such a login need not wait for

    address = lab.settings.access.login.provider
    try:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            answer = await client.get(address)
        why = "" if answer.is_success else f"answers with status {answer.status_code}"
    except httpx.TimeoutException:
        why = f"did not answer within {PATIENCE:.0f} seconds"
    except httpx.HTTPError as error:
        why = f"does not answer ({str(error) or type(error).__name__})"
    if not why:
        return ""
    return f"The identity provider {urlsplit(address).netloc} {why}. Who is signed in goes on; try again in a moment."


async def logout(request: Request) -> Response:
    """Forget the visitor, whom one of our own pages led here; who comes from elsewhere is asked first."""
    if request.method == "GET" and not from_here(request.headers):
        return _leave()
    if ways.way(_lab()) == "login":
        return RedirectResponse(f"{base()}/auth/logout", 303)
    answer = RedirectResponse(f"{base()}/{LOGIN}", 303)
    answer.delete_cookie(COOKIE)
    return answer


def from_here(headers: Headers) -> bool:
    """Whether a page of ours led here, or the visitor's own hand: another site's page may send nobody away.

    A browser says so in Sec-Fetch-Site, but not on an address without https; there a page of ours is the Referer.
    """
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    return urlsplit(headers.get("referer", "")).netloc == headers.get("host")


def _leave() -> Response:
    """The question, whose answer is a POST: with one a browser names the page that it comes from, and `ui.shield` reads it."""
    return _page("leave", 403, action=f"{base()}/{LOGOUT}")


def _form(problem: str, name: str, wanted: str) -> Response:
    action = f"{LOGIN}?next={quote(wanted)}"
    return _page("login", 403 if problem else 200, problem=problem, name=name, action=action)


def _page(form: str, status: int, **values: str) -> Response:
    filled = _template(form).substitute({key: html.escape(text) for key, text in values.items()})
    return HTMLResponse(_template("door").substitute(inside=filled), status, NEVER)


def _template(name: str) -> Template:
    return Template((ASSETS / f"{name}.html").read_text(encoding="utf-8"))


ROUTES = [Route("/login", login, methods=["GET", "POST"]), Route("/logout", logout, methods=["GET", "POST"])]


class Door(Layer):
    """ASGI middleware: without a name a page leads to the form, and everything else, websockets too, is refused."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = _refusal(scope, _lab())
        except LabError as error:  # its settings or its secret cannot be read, so nobody can be known
            answer = PlainTextResponse(str(error), 503)
        if answer is None:
            asking.set(HTTPConnection(scope))
            await self.app(scope, *_watched(scope, receive, send))
        else:
            await refuse(scope, receive, send, answer)


def _refusal(scope: Scope, lab: Lab) -> Response | None:
    """What a visitor gets who may not pass; None where the way is free."""
    way, path = ways.way(lab), _path(scope)
    if way == "login" and path == "/auth/logout" and not from_here(Headers(scope=scope)):
        return _leave()
    if not way or path in OPEN_PATHS or path.startswith(TICKETED) or (way == "login" and path in PROVIDERS):
        return None
    if problem := ways.problem(lab):
        return PlainTextResponse(problem, 503)
    person = ways.visitor(HTTPConnection(scope), lab)
    if person.role is not Role.NOBODY:
        return None
    is_page = scope.get("method") == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    if path.startswith("/api/"):
        return PlainTextResponse(ENDED, 403)  # whatever token it brings, it is not this visitor's
    if name := ways.name(HTTPConnection(scope), lab):
        sentence, status = f"{name} is not on the list of this lab: its admins can put you there.", 403
    elif way == "proxy":
        sentence, status = UNNAMED, 401
    else:
        sentence, status = ENDED, 401
    if path.startswith("/_stcore/"):
        return JSONResponse(sentence, 401)  # an open page shows it: JSON, and of 403 it would say something of its own
    if not is_page:
        return PlainTextResponse(sentence, status)
    if sentence != ENDED:
        return _page("unnamed" if way == "proxy" else "refused", status, problem=sentence)  # from a proxy nobody leaves
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(f"{base()}/{LOGIN}?next=" + quote(path + "?" * bool(query) + query, safe="/"), 303)


def _path(scope: Scope) -> str:
    """The path of a request below the dashboard's own."""
    return str(scope["path"]).removeprefix(base()) or "/"


def _watched(scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """A page's connection ends with its visitor's session; after a login the visitor is where they wanted to go."""

    async def receive_while_known() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive" and _refusal(scope, _lab()) is not None:
            await send({"type": "websocket.close", "code": 1008})
            return {"type": "websocket.disconnect", "code": 1008}
        return message

    async def send_where_wanted(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (302, 303):
            headers, asked = MutableHeaders(raw=message["headers"]), Request(scope).query_params
            kept = [cookie for cookie in headers.getlist("set-cookie") if "max-age=0" not in cookie.lower()]
            signed_in = any(cookie.startswith(f"{SIGNED_IN}=") for cookie in kept)
            wanted = place(unquote(HTTPConnection(scope).cookies.get(WANTED, "/")))
            tried = "again&" * ("code" in asked or "error" in asked)  # else they come back from leaving
            headers["location"] = base() + (wanted if signed_in else f"/{LOGIN}?{tried}next={quote(wanted)}")
            message = {**message, "headers": headers.raw}
        await send(message)

    if scope["type"] == "websocket":
        return receive_while_known, send
    return receive, send_where_wanted if _path(scope) == "/oauth2callback" else send
