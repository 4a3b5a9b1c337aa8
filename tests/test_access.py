"""The door of a dashboard on the network: a name and the shared password, and nothing behind it without them."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from aecore.runs import Lab
from ui import access, ways
from ui.shield import Shield

PASSWORD = "open sesame"
PAGE = {"accept": "text/html,application/xhtml+xml"}


async def name_of(request: Request) -> Response:
    return PlainTextResponse(ways.name_in(request.cookies, access._lab()) or "nobody")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


@pytest.fixture
def visitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A browser that has not been here before, at a dashboard with a password."""
    monkeypatch.setenv("AELAB_HOME", str(tmp_path / "lab"))
    monkeypatch.setenv("AELAB_PASSWORD", PASSWORD)
    routes = [*access.ROUTES, WebSocketRoute("/_stcore/stream", socket), Route("/{rest:path}", name_of)]
    app = Starlette(routes=routes, middleware=[Middleware(Shield), Middleware(access.Door)])
    return TestClient(app, follow_redirects=False)


def come_in(visitor: TestClient, name: str, password: str = PASSWORD, wanted: str = "/") -> Response:
    return visitor.post(f"/login?next={quote(wanted)}", data={"name": name, "password": password})  # type: ignore[return-value]


def test_without_the_cookie_a_page_leads_to_the_form(visitor: TestClient) -> None:
    answer = visitor.get("/runs?run=demo-2-abcd", headers=PAGE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/runs%3Frun%3Ddemo-2-abcd"
    assert "Password of this lab" in visitor.get("/login", headers=PAGE).text


def test_without_the_cookie_everything_else_is_refused(visitor: TestClient) -> None:
    assert visitor.get("/api/metrics?run=x").status_code == 403
    assert visitor.post("/_stcore/upload_file").status_code == 401
    with pytest.raises(WebSocketDisconnect), visitor.websocket_connect("/_stcore/stream"):
        pass


def test_the_password_lets_a_visitor_in_and_remembers_the_name(visitor: TestClient) -> None:
    assert come_in(visitor, "ada").headers["location"] == "/"
    assert visitor.get("/", headers=PAGE).text == "ada"
    with visitor.websocket_connect("/_stcore/stream"):
        pass


@pytest.mark.parametrize(
    "name", ["Zoë Müller-Lüdenscheidt", "李雷", 'O\'Neil; path=/ "x"', "<script>alert(1)</script>", "a,b=c"]
)
def test_a_name_may_have_any_printable_characters(visitor: TestClient, name: str) -> None:
    assert come_in(visitor, name).status_code == 303
    assert visitor.get("/").text == name


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "bell\x07"])
def test_a_name_that_cannot_be_shown_is_refused_in_a_sentence(visitor: TestClient, name: str) -> None:
    answer = come_in(visitor, name)
    assert answer.status_code == 403
    assert "Give a name of 1 to 60 characters" in answer.text


def test_a_wrong_password_is_a_sentence_and_keeps_the_name(visitor: TestClient) -> None:
    answer = come_in(visitor, '<b>"ada"', "guess")
    assert answer.status_code == 403
    assert "This is not the password" in answer.text
    assert "&lt;b&gt;&quot;ada&quot;" in answer.text
    assert "set-cookie" not in answer.headers


def test_of_many_guesses_at_once_few_are_looked_at(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "PAUSE", 2.0)  # all of them come within it

    async def guesses() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(visitor.app), base_url="http://testserver") as web:
            sent = [web.post("/login", data={"name": "ada", "password": f"guess {n}"}) for n in range(20)]
            return [answer.text for answer in await asyncio.gather(*sent)]

    answers = asyncio.run(guesses())
    assert sum("This is not the password" in text for text in answers) == access.GUESSES
    assert sum("Too many wrong passwords at once" in text for text in answers) == 20 - access.GUESSES
    assert come_in(visitor, "ada").status_code == 303


def test_a_link_deep_into_the_dashboard_survives_the_door(visitor: TestClient) -> None:
    assert come_in(visitor, "ada", wanted="/runs?run=demo-2-abcd").headers["location"] == "/runs?run=demo-2-abcd"


@pytest.mark.parametrize(
    "away", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:alert(1)", "runs"]
)
def test_the_door_leads_nowhere_else(visitor: TestClient, away: str) -> None:
    assert come_in(visitor, "ada", wanted=away).headers["location"] == "/"


def test_a_forged_or_changed_cookie_is_nobodys(visitor: TestClient, tmp_path: Path) -> None:
    come_in(visitor, "ada")
    content, _, signature = visitor.cookies[ways.COOKIE].partition(".")
    other, _, _ = ways.token("bea", Lab.open(tmp_path / "lab")).partition(".")
    for forged in (f"{other}.{signature}", f"{content}.{'0' * 64}", content, ".", "ä.ü", f"{content}.{signature}x"):
        assert ways.name_in({ways.COOKIE: forged}, Lab.open(tmp_path / "lab")) is None, forged


def test_a_new_password_makes_the_old_cookies_void(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    come_in(visitor, "ada")
    monkeypatch.setenv("AELAB_PASSWORD", "another")
    assert visitor.get("/", headers=PAGE).status_code == 303


def test_a_cookie_ends_after_a_month(visitor: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    come_in(visitor, "ada")
    later = ways.time.time() + ways.MONTH + 1
    monkeypatch.setattr(ways.time, "time", lambda: later)
    assert ways.name_in(visitor.cookies, Lab.open(tmp_path / "lab")) is None


def test_the_secret_is_readable_by_its_owner_only(visitor: TestClient, tmp_path: Path) -> None:
    come_in(visitor, "ada")
    assert (tmp_path / "lab/secret").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "lab/secret").read_bytes()) == 32


def test_who_leaves_must_come_in_again(visitor: TestClient) -> None:
    come_in(visitor, "ada")
    assert visitor.get("/logout", headers={"sec-fetch-site": "same-origin"}).headers["location"] == "/login"
    assert visitor.get("/", headers=PAGE).status_code == 303


@pytest.mark.parametrize(
    ("headers", "leaves"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),  # typed
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "referer": "http://testserver/"}, False),
        ({"referer": "http://testserver/runs?run=x"}, True),  # without https a browser says no more
        ({"referer": "http://testserver.evil.example/"}, False),
        ({"referer": "http://evil.example/testserver"}, False),
        ({}, False),
    ],
)
def test_only_our_own_page_or_the_visitor_leaves_at_once(
    visitor: TestClient, headers: dict[str, str], leaves: bool
) -> None:
    come_in(visitor, "ada")
    answer = visitor.get("/logout", headers=headers)
    assert answer.status_code == (303 if leaves else 403)
    assert visitor.get("/", headers=PAGE).status_code == (303 if leaves else 200)
    assert leaves or '<form method="post" action="/logout">' in answer.text


def test_who_comes_from_elsewhere_leaves_by_the_button_and_no_other_site_presses_it(visitor: TestClient) -> None:
    come_in(visitor, "ada")
    assert visitor.post("/logout", headers={"origin": "https://evil.example"}).status_code == 403
    assert visitor.get("/", headers=PAGE).text == "ada"
    assert visitor.post("/logout", headers={"origin": "http://testserver"}).headers["location"] == "/login"
    assert visitor.get("/", headers=PAGE).status_code == 303


def test_without_a_password_there_is_no_door(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AELAB_PASSWORD")
    here = PAGE | {"host": "localhost"}
    assert visitor.get("/", headers=here).text == "nobody"
    assert visitor.get("/login", headers=here).headers["location"] == "/"


def test_a_lab_that_cannot_be_opened_is_one_sentence_here_too(
    visitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", "/dev/null/lab")
    answer = visitor.get("/", headers=PAGE)
    assert answer.status_code == 503
    assert answer.text.startswith("The lab folder /dev/null/lab cannot be used: ")


def test_every_answer_says_what_a_page_may_load(visitor: TestClient) -> None:
    for path in ("/login", "/api/metrics"):
        headers = visitor.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
