"""What stands before everything: headers, names by which the dashboard is called, other sites' pages, errors as numbers."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from ui import access
from ui.shield import HEADERS, Shield

STREAM = "ws://127.0.0.1:8501/_stcore/stream"
OURS = {name.decode(): value.decode() for name, value in HEADERS}


async def fails(request: Request) -> Response:
    raise RuntimeError("/srv/lab/secret is a file of ada's")


async def breaks_off(request: Request) -> Response:
    async def content():  # type: ignore[no-untyped-def]
        yield b"begun"
        raise RuntimeError("/srv/lab/secret")

    return StreamingResponse(content())


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


async def fine(request: Request) -> Response:
    return PlainTextResponse("fine")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A dashboard without a door, on this machine only."""
    monkeypatch.setenv("AELAB_HOME", str(tmp_path / "lab"))
    monkeypatch.delenv("AELAB_PASSWORD", raising=False)
    routes = [Route("/fails", fails), Route("/off", breaks_off), WebSocketRoute("/_stcore/stream", socket)]
    routes += [*access.ROUTES, Route("/", fine, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Shield), Middleware(access.Door)])
    return TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 200), ("GET", "/login", 303), ("GET", "/nowhere", 404), ("PUT", "/", 405), ("GET", "/fails", 500)],
)
def test_every_answer_has_the_headers(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in OURS} == OURS


def test_a_route_that_fails_unforeseen_shows_a_number_and_the_log_has_the_rest(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/fails")
    assert "secret" not in answer.text
    number = answer.text.split("Its number is ")[1].split(":")[0]
    [record] = [record for record in caplog.records if record.name == "aelab"]
    assert record.getMessage() == f"Error {number}"
    assert record.exc_info is not None
    assert "/srv/lab/secret" in str(record.exc_info[1])


def test_an_answer_that_breaks_off_says_nothing_of_why(client: TestClient) -> None:
    assert "secret" not in client.get("/off").text


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501", "192.168.1.7", "a.localhost"]
)
def test_a_dashboard_without_a_door_answers_to_what_no_stranger_can_be_called(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["rebound.example", "127.0.0.1.rebound.example", "localhost.rebound.example", "[", "a@b", ""]
)
def test_a_strangers_name_that_leads_here_is_not_answered(client: TestClient, host: str) -> None:
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "This dashboard is not called" in answer.text
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM, headers={"host": host}):
        pass


def test_behind_a_door_any_name_may_lead_here(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELAB_PASSWORD", "open sesame")
    assert client.get("/login", headers={"host": "lab.example.org"}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:8502", "http://127.0.0.1", "http://localhost:8501", "http://["],
)
def test_what_another_sites_page_asks_for_is_refused(client: TestClient, origin: str) -> None:
    for method, path in (("POST", "/"), ("POST", "/login"), ("GET", "/logout"), ("GET", "/")):
        answer = client.request(method, path, headers={"origin": origin})
        assert (answer.status_code, OURS.items() <= answer.headers.items()) == (403, True)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM, headers={"origin": origin}):
        pass


def test_our_own_page_is_answered(client: TestClient) -> None:
    assert client.post("/", headers={"origin": "http://127.0.0.1:8501"}).status_code == 200
    with client.websocket_connect(STREAM, headers={"origin": "http://127.0.0.1:8501"}):
        pass
