"""A run that is watched costs the dashboard no run of a script: the browser asks for what is new, and says when words changed."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aecore.jobs import queue
from aecore.jobs.states import beat, claim, move
from aecore.runs import Lab, run
from tests.browser import chromium, dashboard, settle
from tests.conftest import TrainedRun, tiny
from ui import pulse, shared
from ui.api import pulse as routes

LONG = tiny(name="long", training__epochs=100_000)
"""Trains until somebody stops it."""
WATCHED = 10_000
"""Milliseconds in which messages are counted."""
WINDOWS = 6
"""So many times: what a run says of itself in its first seconds is news."""


@pytest.fixture
def ask(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    shared.forget()
    return TestClient(Starlette(routes=routes.ROUTES))


def stamp(client: TestClient, path: str) -> Any:
    shared.forget()  # it is a second old at most, and a test does not wait
    return client.get(path).json()["stamp"]


def test_a_stamp_is_another_one_when_the_page_would_say_something_else(ask: TestClient, lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    address = f"/api/pulse/{run_id}"
    seen = {stamp(ask, address)}
    job = queue.jobs(lab, run_id)[0].id
    move(lab, job, "starting", by="supervisor")
    attempt = claim(lab, job, "local:a:1:1")
    seen.add(stamp(ask, address))
    lab.run(run_id).log_path.write_text("a line\n")
    seen.add(stamp(ask, address))
    move(lab, job, "completed", by="trainer", attempt=attempt)
    seen.add(stamp(ask, address))
    lab.run(run_id).write_result({"mse": 0.1})
    seen.add(stamp(ask, address))
    assert len(seen) == 5
    assert stamp(ask, address) in seen, "nothing has changed since"
    assert stamp(ask, "/api/pulse/nobody") == routes.GONE


def test_steps_change_the_stamp_of_a_run_never_and_of_the_table_ten_times(ask: TestClient, lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    job = queue.jobs(lab, run_id)[0].id
    move(lab, job, "starting", by="supervisor")
    attempt = claim(lab, job, "local:a:1:1")
    assert attempt is not None
    of_run, of_table = set(), set()
    for step in range(10, 1000, 10):
        beat(lab, job, attempt, step=step, total_steps=1000, loss=1.0 / (step + 1))
        of_run.add(stamp(ask, f"/api/pulse/{run_id}"))
        of_table.add(stamp(ask, "/api/pulse"))
    assert len(of_run) == 1
    assert len(of_table) == 10


def test_the_page_is_made_with_the_stamps_that_the_routes_give(
    trained_run: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(trained_run.lab.path))
    shared.forget()
    client = TestClient(Starlette(routes=routes.ROUTES))
    row = run(trained_run.lab, trained_run.id)
    assert stamp(client, f"/api/pulse/{row.id}") == pulse.run_stamp(row)


class Visit:
    """A page that somebody looks at, and what came and went meanwhile."""

    def __init__(self, page: Page, address: str):
        self.page, self.messages, self.requests = page, 0, list[str]()
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address)

    def _count(self, _: object) -> None:
        self.messages += 1

    def asked(self, route: str, since: int) -> int:
        return sum(route in url for url in self.requests[since:])


@pytest.fixture
def visits(lab: Lab) -> Iterator[tuple[Visit, Visit]]:
    """Home and the page of a run that trains."""
    queue.submit(lab, LONG, "ada")
    with dashboard(lab.path) as address, chromium() as browser:
        yield Visit(browser.new_page(), address), Visit(browser.new_page(), f"{address}/runs")


def test_ten_seconds_of_a_watched_run_send_no_message_and_its_end_does(lab: Lab, visits: tuple[Visit, Visit]) -> None:
    home, of_run = visits
    drawn = "[class*=st-key-curves-] canvas[data-points]:not([data-points='0'])"
    expect(of_run.page.locator(drawn).first).to_be_visible()
    expect(of_run.page.get_by_text("Running on").first).to_be_visible()
    expect(home.page.get_by_text("· ends ").first).to_be_visible()
    for visit in visits:
        settle(visit.page)
        assert visit.messages, "the page itself came through the socket"
    for _ in range(WINDOWS):
        before, asked = [visit.messages for visit in visits], [len(visit.requests) for visit in visits]
        home.page.wait_for_timeout(WATCHED)
        if [visit.messages for visit in visits] == before:
            break
    assert [visit.messages for visit in visits] == before
    assert of_run.asked("api/metrics", asked[1]) > 3, "the curve went on meanwhile"
    assert home.asked("api/devices", asked[0]) > 3
    queue.stop(lab, run_id(lab), "ada")
    expect(home.page.get_by_text("cancelled ·").first).to_be_visible()
    expect(of_run.page.get_by_role("heading").filter(has_text="cancelled")).to_be_visible()
    assert all(visit.messages > seen for visit, seen in zip(visits, before, strict=True))


def run_id(lab: Lab) -> str:
    return queue.live(lab)[0].run_id
