"""The ways to know who is there: a name and a password, an identity provider, a proxy's header; nothing else is believed."""

import errno
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.runtime.secrets import secrets_singleton
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from aecore.runs import Lab, LabError
from tests.browser import free_port
from ui import access, api, ways
from ui.lab import visitor
from ui.shield import Shield

SECRET = "nobody guesses this one"
PAGE = {"accept": "text/html"}
ADDRESS = "https://lab.example.org/lab"
LOGIN = {"provider": "https://id.example.org/.well-known/openid-configuration", "client_id": "lab", "address": ADDRESS}
Browser = Callable[..., TestClient]


async def name_of(request: Request) -> Response:
    person = visitor()
    return PlainTextResponse(f"{person.name} {person.role}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await websocket.receive_text())


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """A dashboard's door and routes in front of a lab with these settings, and who comes to it."""

    def comes(access_settings: dict[str, Any], **environment: str) -> TestClient:
        (tmp_path / "lab").mkdir(exist_ok=True)
        (tmp_path / "lab/settings.json").write_text(json.dumps({"access": access_settings}))
        monkeypatch.setenv("AELAB_HOME", str(tmp_path / "lab"))
        for name in ("AELAB_PASSWORD", "AELAB_ADMIN_PASSWORD", "AELAB_PROXY_SECRET", "AELAB_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        routes = [*access.ROUTES, *api.ROUTES, WebSocketRoute("/_stcore/stream", socket)]
        routes += [Route("/{rest:path}", name_of)]
        app = Starlette(routes=routes, middleware=[Middleware(Shield), Middleware(access.Door)])
        return TestClient(app, follow_redirects=False)

    return comes


def test_a_proxys_header_is_believed_only_beside_the_secret(browser: Browser) -> None:
    client = browser({"way": "proxy"}, AELAB_PROXY_SECRET=SECRET)
    header, proof = {"X-Remote-User": "ada"}, {"X-Aelab-Secret": SECRET}
    assert client.get("/", headers=header | proof).text == "ada peer"
    for elsewhere in ({}, header, proof, header | {"X-Aelab-Secret": "guess"}, header | {"X-Aelab-Secret": ""}):
        answer = client.get("/runs?run=x", headers=elsewhere)
        assert answer.status_code == 401, elsewhere
        assert "come in through it" in answer.text
        assert client.get("/api/metrics?run=x", headers=elsewhere).status_code == 403, elsewhere
    with client.websocket_connect("/_stcore/stream", headers=header | proof):
        pass
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream", headers=header):
        pass


def test_two_values_of_the_proxys_header_are_none(browser: Browser) -> None:
    client = browser({"way": "proxy"}, AELAB_PROXY_SECRET=SECRET)
    both = [("X-Remote-User", "cyd"), ("X-Remote-User", "ada"), ("X-Aelab-Secret", SECRET)]
    assert client.get("/", headers=both).status_code == 401
    twice = [("X-Remote-User", "ada"), ("X-Aelab-Secret", "guess"), ("X-Aelab-Secret", SECRET)]
    assert client.get("/", headers=twice).status_code == 401


@pytest.mark.parametrize(("sent", "name"), [("Zoë".encode(), "Zoë"), (b"x" * 61, ""), (b" ", ""), (b"a  b", "")])
def test_a_proxy_gives_a_name_in_utf_8_and_what_is_no_name_is_nobody(browser: Browser, sent: bytes, name: str) -> None:
    client = browser({"way": "proxy", "proxy_header": "X-Email"}, AELAB_PROXY_SECRET=SECRET)
    answer = client.get("/", headers=[(b"X-Email", sent), (b"X-Aelab-Secret", SECRET.encode())])
    assert (answer.text, answer.status_code) == (f"{name} peer", 200) if name else answer.status_code == 401


@pytest.mark.parametrize(
    ("settings", "environment", "sentence"),
    [
        ({"way": "proxy"}, {}, "the environment has no AELAB_PROXY_SECRET: nobody can be known."),
        ({"way": "proxy"}, {"AELAB_PROXY_SECRET": "short"}, "AELAB_PROXY_SECRET is too short: at least 16 characters"),
        ({"way": "login", "login": LOGIN}, {}, "the environment has no AELAB_CLIENT_SECRET: nobody can be known."),
    ],
)
def test_a_secret_that_is_missing_closes_the_door_and_says_so(
    browser: Browser, settings: dict[str, Any], environment: dict[str, str], sentence: str
) -> None:
    answer = browser(settings, **environment).get("/", headers=PAGE | {"X-Remote-User": "ada", "X-Aelab-Secret": ""})
    assert answer.status_code == 503
    assert sentence in answer.text


@pytest.mark.parametrize(
    ("login", "sentence"),
    [
        ({}, "access.login.provider is '', but a login needs it."),
        ({"provider": "http://id.example.org/.well-known/openid-configuration"}, "access.login.provider is 'http://id"),
        ({"provider": "https://id.example.org/"}, "access.login.provider is 'https://id.example.org/', but a login"),
        (LOGIN | {"client_id": ""}, "access.login.client_id is ''"),
        (LOGIN | {"address": "lab.example.org"}, "access.login.address is 'lab.example.org'"),
    ],
)
def test_a_login_without_what_it_needs_is_refused_with_the_settings(
    tmp_path: Path, login: dict[str, str], sentence: str
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"access": {"way": "login", "login": login}}))
    with pytest.raises(LabError) as refused:
        Lab.open(tmp_path)
    assert sentence in str(refused.value)


@pytest.fixture
def signed(browser: Browser) -> Callable[..., str]:
    """A browser at a dashboard with a login: what a cookie with these claims makes of it, signed as Streamlit signs it."""
    client = browser({"way": "login", "login": LOGIN, "others": "member"}, AELAB_CLIENT_SECRET="s")
    secrets_singleton.merge_programmatic_secrets(ways.provider(access._lab()))

    def opens(key: str = "", cookie_name: str = ways.SIGNED_IN, **claims: Any) -> str:
        said = {"email": "Ada@Lab.org", "is_logged_in": True, "origin": "https://lab.example.org"} | claims
        own = ways.provider(access._lab())["auth"]["cookie_secret"]
        value = create_signed_value(key or own, cookie_name, json.dumps(said)).decode()
        return client.get("/", cookies={ways.SIGNED_IN: value}).text

    return opens


def test_a_login_gives_the_name_that_the_provider_signed_for(signed: Callable[..., str]) -> None:
    assert signed() == "ada@lab.org peer"
    assert signed(email_verified=True) == "ada@lab.org peer"


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email": ""},
        {"email": None},
        {"email": ["ada@lab.org"]},
        {"is_logged_in": False},
        {"origin": "https://elsewhere.example"},
        {"key": "another"},
        {"cookie_name": "_streamlit_user_tokens"},
    ],
)
def test_a_login_that_was_not_signed_for_this_lab_is_nobodys(
    signed: Callable[..., str], claims: dict[str, Any]
) -> None:
    assert signed(**claims).startswith("Your session has ended")


def test_who_is_signed_in_but_on_no_list_is_told_so(browser: Browser, signed: Callable[..., str]) -> None:
    browser({"way": "login", "login": LOGIN, "admins": ["cyd@lab.org"], "others": "nobody"}, AELAB_CLIENT_SECRET="s")
    assert signed() == "ada@lab.org is not on the list of this lab: its admins can put you there."
    assert signed(email="cyd@lab.org") == "cyd@lab.org admin"


def test_another_sites_page_signs_nobody_out_at_the_providers_path_either(
    browser: Browser, signed: Callable[..., str]
) -> None:
    client = browser({"way": "login", "login": LOGIN}, AELAB_CLIENT_SECRET="s")
    for headers in ({"sec-fetch-site": "cross-site"}, {"referer": "https://evil.example/"}, {}):
        for path in ("/logout", "/auth/logout"):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 403
            assert 'action="/logout"' in answer.text
    here = {"sec-fetch-site": "same-origin"}
    assert client.get("/logout", headers=here).headers["location"] == "/auth/logout"
    assert client.get("/auth/logout", headers=here).text == " nobody"  # Streamlit's own route, which is not here


def test_an_identity_provider_that_is_down_says_so(browser: Browser) -> None:
    provider = f"http://127.0.0.1:{free_port()}/.well-known/openid-configuration"
    client = browser({"way": "login", "login": LOGIN | {"provider": provider}}, AELAB_CLIENT_SECRET="s")
    assert client.get("/runs?run=x", headers=PAGE).headers["location"] == "/login?next=/runs%3Frun%3Dx"
    page = client.get("/login?next=/runs%3Frun%3Dx", headers=PAGE)
    assert "Sign in with your account" in page.text
    answer = client.post("/login?next=/runs%3Frun%3Dx")
    assert answer.status_code == 503
    assert f"The identity provider {provider.split('/')[2]} does not answer" in answer.text
    assert 'action="login?next=/runs%3Frun%3Dx"' in answer.text  # where they wanted to go is kept


def test_an_admins_name_needs_the_admins_own_password(browser: Browser) -> None:
    client = browser({"admins": ["Ada"]}, AELAB_PASSWORD="all know this", AELAB_ADMIN_PASSWORD="few know this")

    def come_in(name: str, password: str) -> str:
        client.cookies.clear()
        answer = client.post("/login", data={"name": name, "password": password})
        return client.get("/").text if answer.status_code == 303 else answer.text

    assert come_in("bea", "all know this") == "bea member"
    assert "This is not the admins&#x27; password, which ada, who keeps this lab, needs." in come_in(
        "ada", "all know this"
    )
    assert come_in("ada", "few know this") == "ada admin"
    assert "This is not the password." in come_in("bea", "few know this")


def test_without_an_admins_password_nobody_comes_in_as_an_admin(browser: Browser) -> None:
    client = browser({"admins": ["ada"]}, AELAB_PASSWORD="all know this")
    for password in ("", "all know this"):
        assert "AELAB_ADMIN_PASSWORD" in client.post("/login", data={"name": "ada", "password": password}).text


def test_a_password_of_blanks_is_none(browser: Browser) -> None:
    guest = browser({"admins": ["ada"]}, AELAB_PASSWORD="open sesame", AELAB_ADMIN_PASSWORD=" ")
    assert guest.post("/login", data={"name": "ada", "password": " "}).status_code == 403
    proxy = browser({"way": "proxy"}, AELAB_PROXY_SECRET=" " * 20)
    assert proxy.get("/", headers={ways.SECRET_HEADER: " " * 20, "X-Remote-User": "ada"}).status_code == 503


def test_naming_admins_whom_nothing_could_let_in_is_refused(browser: Browser) -> None:
    first = {"access.admins": ["ada"]}
    browser({}, AELAB_PASSWORD="all know this")
    assert "the environment has no AELAB_ADMIN_PASSWORD, so that none of them could" in ways.shut_out(
        access._lab(), first
    )
    assert ways.shut_out(access._lab(), {"access.admins": [], "banner": "hello"}) == ""
    browser({}, AELAB_PASSWORD="all know this", AELAB_ADMIN_PASSWORD="few know this")
    assert ways.shut_out(access._lab(), first) == ""
    browser({"way": "proxy"}, AELAB_PROXY_SECRET=SECRET)
    assert ways.shut_out(access._lab(), first) == ""


def test_who_comes_in_gets_a_session_that_nobody_chose_for_them(browser: Browser) -> None:
    client = browser({}, AELAB_PASSWORD="all know this")
    planted = ways.token("eve", access._lab())
    client.cookies.set(ways.COOKIE, planted)
    answer = client.post("/login", data={"name": "ada", "password": "all know this"})
    given = answer.cookies[ways.COOKIE]
    assert given != planted
    assert ways.name_in({ways.COOKIE: given}, access._lab()) == "ada"


def test_who_becomes_an_admin_must_come_in_again(browser: Browser) -> None:
    client = browser({}, AELAB_PASSWORD="all know this")
    client.post("/login", data={"name": "ada", "password": "all know this"})
    assert client.get("/").text == "ada peer"
    again = browser({"admins": ["ada"]}, AELAB_PASSWORD="all know this", AELAB_ADMIN_PASSWORD="few know this")
    assert again.get("/", cookies=dict(client.cookies)).status_code == 401


@pytest.mark.parametrize("cookie", ["e30.x", "bnVsbA.x", "WzEsMl0.x", "W10.x", "x", "é.x", f"{'W' * 5000}.x"])
def test_a_cookie_of_another_shape_is_nobodys(browser: Browser, cookie: str) -> None:
    browser({}, AELAB_PASSWORD="all know this")
    assert ways.name_in({ways.COOKIE: cookie}, access._lab()) is None


@pytest.mark.parametrize("call", ["open", "link"])
def test_a_lab_that_cannot_be_written_has_a_secret_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with monkeypatch.context() as reading:
        reading.setattr(ways.os, call, Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
        found = ways.secret(tmp_path)
    assert len(found) == 32
    assert ways.secret(tmp_path) == found
    assert list(tmp_path.iterdir()) == []


def test_a_name_on_no_list_is_refused_at_the_form(browser: Browser) -> None:
    client = browser({"members": ["bea"], "others": "nobody"}, AELAB_PASSWORD="all know this")
    answer = client.post("/login", data={"name": "zoe", "password": "all know this"})
    assert "zoe is not on the list of this lab" in answer.text
    assert "set-cookie" not in answer.headers
    cookies = {ways.COOKIE: ways.token("zoe", access._lab())}
    answer = client.get("/_stcore/host-config", cookies=cookies)  # an open page asks for it, and shows what it is told
    said = "zoe is not on the list of this lab: its admins can put you there."
    assert (answer.status_code, answer.json()) == (401, said)


def test_a_pages_connection_ends_with_the_session(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser({}, AELAB_PASSWORD="all know this")
    client.post("/login", data={"name": "ada", "password": "all know this"})
    with client.websocket_connect("/_stcore/stream") as page:
        page.send_text("typed")
        assert page.receive_text() == "typed"
        now = time.time()
        monkeypatch.setattr(ways.time, "time", lambda: now + ways.MONTH)
        page.send_text("typed later")
        with pytest.raises(WebSocketDisconnect):
            page.receive_text()


def test_what_fails_unforeseen_shows_a_number_and_the_log_has_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    def page() -> None:
        import streamlit as st

        from ui import errors

        try:
            raise RuntimeError("/srv/lab/secret is a file of ada's")
        except RuntimeError as error:
            handled = errors.told(error)
        st.text(handled)

    test = AppTest.from_function(page, default_timeout=60).run()
    [shown], [handled] = test.error, test.text
    assert handled.value == "True"
    assert "secret" not in shown.value
    number = shown.value.split("Its number is ")[1].split(":")[0]
    [record] = [record for record in caplog.records if record.name == "aelab"]
    assert record.getMessage() == f"Error {number}"
    assert record.exc_info is not None
    assert "/srv/lab/secret" in str(record.exc_info[1])
