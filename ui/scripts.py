"""Streamlit's own scripts, styles and fonts from memory, and which of them a page needs, said at once.

A new browser asks for some 100 of them before it shows a page. Streamlit reads each anew, in many small steps on other threads,
and each step waits for whatever Python does meanwhile, importing torch, say; and of the scripts of selectboxes and components a
browser hears only when such an element arrives.
"""

import gzip
import mimetypes
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir

from ui.ways import base

TEXT = (".js", ".css", ".svg", ".json")
"""What is sent compressed."""
FOR_GOOD = {"Cache-Control": "public, immutable, max-age=31536000", "Vary": "Accept-Encoding"}
"""The names of these files change with their content."""
ELEMENTS = ("Html", "BidiComponent", "Selectbox", "ButtonGroup", "TextInput")
"""What nearly every page has, each with scripts of its own. Not more: nginx refuses an answer whose headers have over 4 KB."""
PICTURE_FIRST = {"compare": ELEMENTS[:2], "latent": ELEMENTS[:2]}
"""Pages whose controls follow the picture: their scripts would hold it up."""
BOOTSTRAP = '<script>window.__streamlit = {{ BACKEND_BASE_URL: location.origin + "{base}/" }};</script>'
"""Streamlit's page looks for its server below the address of each page first, in two requests that fail; this says where it is."""
OWN = b"<title>Streamlit</title>"
"""By this its page is told from others."""
IMPORTED = re.compile(r"(?:from|import)\"\./([\w.-]+\.js)\"")


class Scripts:
    """ASGI middleware: answers for these files, and tells with a page which ones it will need; leaves everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if answer := _answer(scope):
            await answer(scope, receive, send)
        elif _asks_for_a_page(scope):
            await self.app(_anew(scope), receive, _Page(scope["path"], send))
        else:
            await self.app(scope, receive, send)


def _asks_for_a_page(scope: Scope) -> bool:
    return (
        scope["type"] == "http" and scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    )


def _anew(scope: Scope) -> Scope:
    """The same request, by somebody who has no page yet and takes no compressed one: it has 7 KB, and is changed here."""
    return {**scope, "headers": _without(scope["headers"], b"accept-encoding", b"if-none-match", b"if-modified-since")}


def _without(headers: Iterable[tuple[bytes, bytes]], *names: bytes) -> list[tuple[bytes, bytes]]:
    return [one for one in headers if one[0].lower() not in names]


class _Page:
    """Sends an answer on; where it is a page of Streamlit's, with what it needs in its header and with BOOTSTRAP."""

    def __init__(self, path: str, send: Send):
        self.path, self.send = path, send
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self.start = message
        elif self.start is None:
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._sent(self.start)

    async def _sent(self, start: Message) -> None:
        if OWN in self.body:
            self.body = self.body.replace(b"<head>", b"<head>" + BOOTSTRAP.format(base=base()).encode(), 1)
            needs = _needs(PICTURE_FIRST.get(self.path.rpartition("/")[2], ELEMENTS))
            headers = _without(start["headers"], b"content-length", b"etag", b"last-modified")
            headers += [(b"content-length", str(len(self.body)).encode()), (b"link", needs.encode())]
            start = {**start, "headers": headers}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": self.body})


def _is_page(start: Message) -> bool:
    return start["status"] == 200 and Headers(raw=list(start["headers"])).get("content-type", "").startswith(
        "text/html"
    )


def _answer(scope: Scope) -> Response | None:
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    name, asked = str(scope["path"]).removeprefix(f"{base()}/static/"), Headers(scope=scope)
    if name not in _names() or "range" in asked:
        return None
    return _kept(name, name.endswith(TEXT) and "gzip" in asked.get("accept-encoding", ""))


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
