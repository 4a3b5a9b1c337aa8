"""A run that is watched costs the dashboard no run of a script: the browser asks for what is new, and says when words changed."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aecore.jobs import queue
from aecore.jobs.states import beat, claim, move
from aecore.runs import Lab, run
from tests.browser import chromium, dashboard, settle
from tests.conftest import TrainedRun, tiny
from ui import pulse
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
    pulse._table_stamp.cache_clear()
    return TestClient(Starlette(routes=routes.ROUTES))


def stamp(client: TestClient, path: str) -> Any:
    pulse._table_stamp.cache_clear()  # it is a second old at most, and a test does not wait
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
    for step in range(0, 1000, 10):
        beat(lab, job, attempt, step=step, total_steps=1000, loss=1.0 / (step + 1))
        of_run.add(stamp(ask, f"/api/pulse/{run_id}"))
        of_table.add(stamp(ask, "/api/pulse"))
    assert len(of_run) == 1
    assert len(of_table) == 10


def test_the_page_is_made_with_the_stamps_that_the_routes_give(
    trained_run: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(trained_run.lab.path))
    pulse._table_stamp.cache_clear()
    client = TestClient(Starlette(routes=routes.ROUTES))
    row = run(trained_run.lab, trained_run.id)
    assert stamp(client, f"/api/pulse/{row.id}") == pulse.run_stamp(row)


@pytest.fixture
def page(lab: Lab) -> Iterator[Page]:
    queue.submit(lab, LONG, "ada")
    with dashboard(lab.path) as address, chromium() as browser:
        opened = browser.new_page(viewport={"width": 1280, "height": 720})
        opened.goto(f"{address}/runs")
        yield opened


def test_ten_seconds_of_a_watched_run_send_no_message_and_its_end_does(lab: Lab, page: Page) -> None:
    messages: list[int] = []
    requests: list[str] = []

    def count(socket: WebSocket) -> None:
        socket.on("framereceived", lambda _: messages.append(1))

    page.on("websocket", count)
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    expect(page.locator("[class*=st-key-curves-] canvas[data-points]:not([data-points='0'])").first).to_be_visible()
    expect(page.get_by_text("Running on").first).to_be_visible()
    settle(page)
    assert messages, "the page itself came through the socket"
    for _ in range(WINDOWS):
        before, asked = len(messages), len(requests)
        page.wait_for_timeout(WATCHED)
        if len(messages) == before:
            break
    assert len(messages) == before
    assert sum("api/metrics" in url for url in requests[asked:]) > 3, "the curve went on meanwhile"
    assert sum("api/pulse" in url for url in requests[asked:]) > 3
    queue.stop(lab, run_id(lab), "ada")
    expect(page.get_by_text("cancelled").first).to_be_visible()
    assert len(messages) > before


def run_id(lab: Lab) -> str:
    return queue.live(lab)[0].run_id
