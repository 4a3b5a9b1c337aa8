"""Streamlit's own scripts, styles and fonts from memory, and which of them a page needs, said at once.

A new browser asks for some 100 of them before it shows a page. Streamlit reads each anew, in many small steps on other threads,
and each step waits for whatever Python does meanwhile, importing torch, say; and of the scripts of selectboxes and components a
browser hears only when such an element arrives.
"""

import gzip
import mimetypes
import re
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
IMPORTED = re.compile(r"(?:from|import)\"\./([\w.-]+\.js)\"")


class Scripts:
    """ASGI middleware: answers for these files, and tells with a page which ones it will need; leaves everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _answer(scope)
        await (answer or self.app)(scope, receive, send if answer or scope["type"] != "http" else _with_needs(send))


def _answer(scope: Scope) -> Response | None:
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    name, asked = str(scope["path"]).removeprefix(f"{base()}/static/"), Headers(scope=scope)
    if name not in _names() or "range" in asked:
        return None
    return _kept(name, name.endswith(TEXT) and "gzip" in asked.get("accept-encoding", ""))


def _with_needs(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = list(message["headers"])
            if Headers(raw=headers).get("content-type", "").startswith("text/html"):
                message = {**message, "headers": [*headers, (b"link", _needs().encode())]}
        await send(message)

    return told


@cache
def _needs() -> str:
    """A header's value: the scripts of ELEMENTS and what they import, but for what Streamlit's page names itself."""
    named = set(
        re.findall(r"\./static/js/([\w.-]+\.js)", (_folder().parent / "index.html").read_text(encoding="utf-8"))
    )
    needed = [path.name for name in ELEMENTS for path in (_folder() / "js").glob(f"{name}.*.js")]
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
