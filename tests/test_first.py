"""What open pages ask for all the time is answered before Streamlit's layers; everything else reaches them."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from aecore.runs import Lab
from ui import ways
from ui.api import first
from ui.api.first import First
from ui.api.tokens import QUICK
from ui.samples import RECORDED

RUN = next(iter(RECORDED))
"""It came with the program, and needs no token."""


@pytest.fixture
def asked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask First, which stands before something that says 'inside'; (status, headers, body)."""
    monkeypatch.setenv("AELAB_HOME", str(lab.path))

    def ask(path: str, query: str = "", kind: str = "http", base: str = "") -> tuple[int, dict[bytes, bytes], bytes]:
        monkeypatch.setattr(ways, "base", lambda: base)
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"accept-encoding", b"gzip")]
        scope = {"type": kind, "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
        asyncio.run(First(PlainTextResponse("inside"))(scope, None, send))  # type: ignore[arg-type]
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each.get("body", b"") for each in sent[1:])

    return ask


def test_a_poll_is_answered_here_and_a_large_answer_is_sent_compressed(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, headers, body = asked("/api/samples", f"run={RUN}")
    assert status == 200
    assert json.loads(body)["samples"]
    assert headers[b"cache-control"] == b"no-store"
    monkeypatch.setattr(first, "LARGE", 100)
    status, headers, body = asked("/api/samples", f"run={RUN}")
    assert headers[b"content-encoding"] == b"gzip"
    assert json.loads(gzip.decompress(body))["samples"]


def test_who_brings_no_token_is_refused_here(asked: Any) -> None:
    for path in QUICK:
        status, _, body = asked(path.replace("{run}", "some-run"))
        assert (status, b"holds for one person" in body) == (403, True), path


def test_everything_else_and_another_base_goes_further(asked: Any) -> None:
    assert asked("/api/points/x")[2] == asked("/api/pulse/a/b")[2] == asked("/")[2] == b"inside"
    assert asked("/api/samples", f"run={RUN}", base="/lab")[2] == b"inside"
    assert json.loads(asked("/lab/api/samples", f"run={RUN}", base="/lab")[2])["samples"]
