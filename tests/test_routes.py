"""Who asks a route, with which token, and what it answers: one table over all routes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from aecore.jobs import owners, queue
from aecore.runs import Lab
from tests.conftest import tiny
from ui import access, api, tickets, ways
from ui.shield import Shield

SECRET = "nobody guesses this one"
SETTINGS = '{"access": {"way": "proxy", "admins": ["cyd"], "guests": ["gus"]}}'
ROUTES = {
    "/api/metrics?run=RUN": 200,
    "/api/metrics/stretch?run=RUN&first=0&last=1": 200,
    "/api/samples?run=RUN": 200,
    "/api/sample/RUN/0.png": 404,
    "/api/inputs/RUN.png": 404,
    "/api/seen/RUN.png": 404,
    "/api/points/RUN?split=test": 404,
    "/api/behind/RUN?split=test": 404,
    "/api/thumb/RUN/test/0.png": 200,
    "/api/thumbs/RUN/test.png?i=0": 200,
    "/api/decode/RUN?x=0&y=0&split=test": 404,
    "/api/selection/RUN/abc?split=test": 200,
    "/api/pair/RUN?other=RUN&split=test": 404,
    "/api/pair/OPEN?other=RUN&split=test": 404,
    "/api/watched/RUN": 404,
    "/api/moment/RUN/0": 404,
    "/api/extremes/RUN/0.png": 404,
    "/api/error/RUN/0.png": 404,
    "/api/pulse/RUN": 200,
}
"""{a route that names a run: what it says to its owner while it waits in the queue}: 404 is of pictures that are not there yet."""
OF_NO_RUN = {"/api/told?runs=RUN": "told", "/api/devices": "devices", "/api/notices": "notices", "/api/pulse": "pulse"}
TICKETED = "checkpoint"
"""See test_downloads."""


class Asks(NamedTuple):
    """Somebody who asks, and whose token they bring."""

    who: str
    token: Callable[[Lab, tuple[str, ...]], str]
    answer: str
    """'there': what the owner gets; 'gone': what everybody gets of a run that never was; 'no': 403."""
    private: str
    """The same of a private run."""


def of(name: str) -> Callable[[Lab, tuple[str, ...]], str]:
    return lambda lab, what: tickets.token(lab, name, *what)


def weeks_ago(weeks: int) -> Callable[[Lab, tuple[str, ...]], str]:
    return lambda lab, what: tickets._token(lab, "ada", int(time.time() // tickets.WEEK) - weeks, what)


def changed(lab: Lab, what: tuple[str, ...]) -> str:
    week, _, digest = of("ada")(lab, what).partition("-")
    return f"{week}-{digest[:-1]}{'A' if digest[-1] != 'A' else 'B'}"


def made_newer(lab: Lab, what: tuple[str, ...]) -> str:
    _, _, digest = weeks_ago(5)(lab, what).partition("-")
    return f"{int(time.time() // tickets.WEEK)}-{digest}"


TABLE = {
    "the owner": Asks("ada", of("ada"), "there", "there"),
    "the owner, on a page that was opened four weeks ago": Asks("ada", weeks_ago(4), "there", "there"),
    "an admin": Asks("cyd", of("cyd"), "there", "there"),
    "another member": Asks("bea", of("bea"), "there", "gone"),
    "a guest": Asks("gus", of("gus"), "there", "gone"),
    "another member with the owner's token": Asks("bea", of("ada"), "no", "no"),
    "the owner with another member's token": Asks("ada", of("bea"), "no", "no"),
    "an admin with the owner's token": Asks("cyd", of("ada"), "no", "no"),
    "nobody with the owner's token": Asks("", of("ada"), "no", "no"),
    "no token": Asks("ada", lambda lab, what: "", "no", "no"),
    "a word": Asks("ada", lambda lab, what: "guess", "no", "no"),
    "a token for another run": Asks("ada", lambda lab, what: of("ada")(lab, ("other-2-xxxx",)), "no", "no"),
    "a token five weeks old": Asks("ada", weeks_ago(5), "no", "no"),
    "an old token with today's week": Asks("ada", made_newer, "no", "no"),
    "a token of next week": Asks("ada", weeks_ago(-1), "no", "no"),
    "a changed token": Asks("ada", changed, "no", "no"),
    "a token that was cut": Asks("ada", lambda lab, what: of("ada")(lab, what)[:-1], "no", "no"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    path = tmp_path_factory.mktemp("routes") / "lab"
    path.mkdir()
    (path / "settings.json").write_text(SETTINGS)
    return Lab.open(path)


@pytest.fixture(scope="module")
def runs(lab: Lab) -> tuple[str, str]:
    """A run of ada's that all see, and a private one."""
    return queue.submit(lab, tiny(), "ada"), queue.submit(lab, tiny(), "ada", private=True)


@pytest.fixture
def client(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    monkeypatch.setenv("AELAB_PROXY_SECRET", SECRET)
    monkeypatch.delenv("AELAB_PASSWORD", raising=False)
    app = Starlette(routes=[*access.ROUTES, *api.ROUTES], middleware=[Middleware(Shield), Middleware(access.Door)])
    return TestClient(app, follow_redirects=False)


def ask(client: TestClient, who: str, address: str, token: str) -> tuple[int, str]:
    headers = {"X-Remote-User": who, "X-Aelab-Secret": SECRET} if who else {}
    answer = client.get(f"{address}{'&' if '?' in address else '?'}token={token}", headers=headers)
    return answer.status_code, answer.text


def test_every_route_is_in_the_table() -> None:
    pattern = {route.path.split("/")[2] for route in api.ROUTES} - {TICKETED}
    assert pattern == {path.split("/")[2].partition("?")[0] for path in [*ROUTES, *OF_NO_RUN]}


@pytest.mark.parametrize("row", TABLE)
@pytest.mark.parametrize("address", ROUTES)
def test_a_route_answers_by_the_table(
    client: TestClient, lab: Lab, runs: tuple[str, str], address: str, row: str
) -> None:
    who, token, *expected = TABLE[row]

    def said(run: str) -> tuple[int, str]:
        names = (runs[0],) if "OPEN" in address else (run,) if "other" in address else ()
        status, text = ask(client, who, address.replace("RUN", run).replace("OPEN", runs[0]), token(lab, (*names, run)))
        return status, text.replace(run, "X")

    never = said("never-2-was2")
    for run, answer in zip(runs, expected, strict=True):
        if answer == "no":
            assert said(run) == never
            assert never[0] == 403
        elif answer == "gone":
            assert said(run) == never
            assert never[0] in (200, 404)
        else:
            assert said(run)[0] == ROUTES[address]
            assert said(run) != never


@pytest.mark.parametrize("row", TABLE)
@pytest.mark.parametrize("address", OF_NO_RUN)
def test_a_route_that_names_no_run_asks_for_a_token_of_its_own(
    client: TestClient, lab: Lab, runs: tuple[str, str], address: str, row: str
) -> None:
    who, token, answer, private = TABLE[row]
    status, text = ask(client, who, address.replace("RUN", ",".join(runs)), token(lab, (OF_NO_RUN[address],)))
    assert status == (403 if answer == "no" else 200)
    if "told" in address and status == 200:
        assert (runs[0] in text, runs[1] in text) == (True, private == "there")


def test_a_token_ends_with_the_password_and_with_the_right(
    client: TestClient, lab: Lab, runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, token = f"/api/metrics?run={runs[0]}", of("bea")(lab, runs[:1])
    assert ask(client, "bea", address, token)[0] == 200
    owners.hide(lab, [runs[0]], True, "ada")
    assert ask(client, "bea", address, token)[0] == 404
    owners.hide(lab, [runs[0]], False, "ada")
    assert ask(client, "bea", address, token)[0] == 200
    monkeypatch.setenv("AELAB_PASSWORD", "a new one")
    assert ask(client, "bea", address, token)[0] == 403


@pytest.mark.parametrize("cookie", ["", "guess", "old", "tampered", "cut"])
def test_a_cookie_that_is_wrong_old_or_tampered_opens_no_route(
    client: TestClient, lab: Lab, runs: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cookie: str
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(tmp_path / "lab"))
    monkeypatch.setenv("AELAB_PASSWORD", "all know this")
    here, now = Lab.open(tmp_path / "lab"), time.time()
    run = queue.submit(here, tiny(), "ada")
    content, _, signature = ways.token("ada", here).partition(".")
    with monkeypatch.context() as then:
        then.setattr(ways.time, "time", lambda: now - ways.MONTH - 1)
        old = ways.token("ada", here)
    other = ways.token("bea", here).partition(".")[0]
    forged = {"old": old, "tampered": f"{other}.{signature}", "cut": f"{content}.{signature[:-1]}"}.get(cookie, cookie)
    client.cookies.set(ways.COOKIE, forged)
    for address in [*ROUTES, *OF_NO_RUN]:
        status, text = ask(client, "", address.replace("RUN", run), of("ada")(here, (run,)))
        assert (status, run in text) == (403, False)
    client.cookies.set(ways.COOKIE, ways.token("ada", here))
    assert ask(client, "", f"/api/metrics?run={run}", of("ada")(here, (run,)))[0] == 200
