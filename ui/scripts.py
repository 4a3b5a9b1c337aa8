"""Streamlit's own scripts, styles and fonts from memory, and which of them a page needs, said at once.

A new browser asks for some 100 of them before it shows a page. Streamlit reads each anew, in many small steps on other threads,
and each step waits for whatever Python does meanwhile, importing torch, say; and of the scripts of selectboxes and components a
browser hears only when such an element arrives. And on every page but the first, Streamlit looks for its server below the page's own
path, and only then, a tenth of a second later, where it is: a page says where that is.
"""

import asyncio
import gzip
import mimetypes
import re
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir

from ui.opening import opening
from ui.ways import base

TEXT = (".js", ".css", ".svg", ".json")
"""What is sent compressed."""
FOR_GOOD = {"Cache-Control": "public, immutable, max-age=31536000", "Vary": "Accept-Encoding"}
"""The names of these files change with their content."""
ELEMENTS = ("Html", "BidiComponent", "Selectbox", "ButtonGroup", "TextInput")
"""What nearly every page has, each with scripts of its own. Not more: nginx refuses an answer whose headers have over 4 KB."""
FIRST = dict.fromkeys(("compare", "latent"), ("Html", "BidiComponent")) | {
    "": ("Html", "BidiComponent", "Button", "PageLink")
}
"""Of a page that shows one thing before all others: what that needs alone. Each script takes its time in the browser, wanted or not."""
STREAMLITS = b"./static/js/index."
"""Stands in Streamlit's own page."""
LARGE = b"<style>@media (min-width: 1700px) { html { font-size: 19px !important; } }</style>"
"""On a projector everything is larger, from the first moment on: a page that grows later jumps, and tables measure their letters once."""
PATIENCE = 1.0
"""Seconds for what Home opens with: the first time in a process it takes a tenth."""
PLAIN = re.compile(r"[\w-]*", re.ASCII)
"""The name of a page, as it stands in an address."""
OWN = (b"accept-encoding", b"if-none-match", b"if-modified-since")
ITS = (b"content-length", b"etag", b"last-modified")
"""What is not asked for with a page, and not told of it: another version of this program adds something else to the same file."""
IMPORTED = re.compile(r"(?:from|import)\"\./([\w.-]+\.js)\"")


class Scripts:
    """ASGI middleware: answers for these files, and tells with a page which ones it will need; leaves everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if answer := _answer(scope):
            await answer(scope, receive, send)
        elif _wants_page(scope):
            plain = [pair for pair in scope["headers"] if pair[0] not in OWN]  # some KB, which are added to
            page = str(scope["path"]).removeprefix(base()).strip("/")
            home = not page and not scope["query_string"]
            await self.app({**scope, "headers": plain}, receive, _with_needs(send, page, home))
        else:
            await self.app(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    return (
        scope["type"] == "http" and scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    )


def _answer(scope: Scope) -> Response | None:
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    name, asked = str(scope["path"]).removeprefix(f"{base()}/static/"), Headers(scope=scope)
    if name not in _names() or "range" in asked:
        return None
    return _kept(name, name.endswith(TEXT) and "gzip" in asked.get("accept-encoding", ""))


def _with_needs(send: Send, page: str, home: bool) -> Send:
    """A page with what it needs in its headers, in its head where the server is, and in Home's body what it opens with; everything
    else as it is."""
    start: Message | None = None
    parts: list[bytes] = []

    async def told(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and _is_page(message):
            start = message
        elif start is None:
            await send(message)
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                body, headers = b"".join(parts), list(start["headers"])
                if STREAMLITS in body:  # and no file that somebody takes home
                    body = body.replace(b"<head>", b"<head>" + LARGE + _where(page).encode(), 1)
                    if home:
                        body = body.replace(b"<body>", b"<body>" + (await _opening()).encode(), 1)
                    headers = [pair for pair in headers if pair[0] not in ITS]
                    needs = _needs(FIRST.get(page, ELEMENTS))
                    headers += [(b"content-length", str(len(body)).encode()), (b"link", needs.encode())]
                await send({**start, "headers": headers})
                await send({"type": "http.response.body", "body": body})

    return told


async def _opening() -> str:
    """What Home opens with; nothing where that would keep the page waiting, as a database that is held does."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(opening), PATIENCE)
    except TimeoutError:
        return ""


def _is_page(message: Message) -> bool:
    headers = Headers(raw=list(message["headers"]))
    return (
        message["status"] == 200
        and headers.get("content-type", "").startswith("text/html")
        and "content-encoding" not in headers
    )


def _where(page: str) -> str:
    """A script for a page's head: the server is at the browser's own address without the page, also behind a proxy that puts it
    below another path."""
    if not PLAIN.fullmatch(page):
        return ""
    cut = f".slice(0,-{len(page)})" if page else ""
    address = f'location.origin+location.pathname.replace(/\\/+$/,""){cut}'
    return f"<script>window.__streamlit={{BACKEND_BASE_URL:{address}}}</script>"


@cache
def _needs(elements: tuple[str, ...]) -> str:
    """A header's value: the scripts of these elements and what they import, but for what Streamlit's page names itself."""
    named = set(
        re.findall(r"\./static/js/([\w.-]+\.js)", (_folder().parent / "index.html").read_text(encoding="utf-8"))
    )
    needed = [path.name for name in elements for path in (_folder() / "js").glob(f"{name}.*.js")]
    for name in needed:  # it grows meanwhile
        imported = IMPORTED.findall((_folder() / "js" / name).read_text(encoding="utf-8"))
        needed += [other for other in imported if other not in named and other not in needed]
    return ", ".join(f"<./static/js/{name}>; rel=modulepreload; crossorigin; fetchpriority=low" for name in needed)


def _folder() -> Path:
    return Path(get_static_dir()) / "static"


@cache
def _names() -> frozenset[str]:
    """Paths of the files, relative to their folder."""
    return frozenset(path.relative_to(_folder()).as_posix() for path in _folder().rglob("*") if path.is_file())


@cache
def _kept(name: str, packed: bool) -> Response:
    content = (_folder() / name).read_bytes()
    headers = FOR_GOOD | ({"Content-Encoding": "gzip"} if packed else {})
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(gzip.compress(content, 5) if packed else content, media_type=kind, headers=headers)
