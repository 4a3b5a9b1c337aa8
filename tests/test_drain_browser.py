"""Before maintenance, in two browsers: nothing new starts, what trains ends, the supervisor is started anew, and all goes on."""

import json
import re
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from aecore.__main__ import main
from aecore.jobs import queue, supervisor
from aecore.runs import Lab, events, run
from aecore.runs.database import OPEN
from tests.browser import PATIENCE, chromium, dashboard, keep
from tests.conftest import tiny
from ui import notices

BANNER = "Back at 14:00 <b>sharp</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def known_as(browser: Browser, address: str, name: str, password: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.clock.install()
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Come in").click()
    return page


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_lab_is_drained_restarted_and_goes_on(lab: Lab, browser: Browser) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1, "warm": 0, "access": {"admins": ["ada"]}}))
    lab.reread()
    first = queue.submit(lab, tiny(name="first", training__epochs=100), "bea")
    second = queue.submit(lab, tiny(name="second"), "bea")
    with dashboard(lab.path, password="shared", AELAB_ADMIN_PASSWORD="the keeper's") as address:
        until(lambda: run(lab, first).state == "running")  # it imports torch now, for longer than the training takes
        trainer = psutil.Process(int(str(queue.jobs(lab, first)[0].engine_ref).split(":")[2]))
        trainer.suspend()  # so that it is not over before the lab is drained
        try:
            assert run(lab, first).state == "running"
            keeper = known_as(browser, f"{address}/server", "ada", "the keeper's")
            hers = known_as(browser, address, "bea", "shared")
            expect(hers.get_by_text("second")).to_be_visible()
            drained_and_restarted(lab, keeper, hers)
        finally:
            trainer.resume()
        third = queue.submit(lab.seen_by("bea"), tiny(name="third"), "bea")
        until(lambda: run(lab, first).state == "completed")
        until(
            lambda: [job.state for job in queue.jobs(lab, first)] == ["completed", "completed"]
        )  # it is analysed, too
        assert [event.new for event in events(lab, first) if event.kind == "train"] == [
            *("queued", "starting", "running", "completed")
        ]
        until(lambda: run(lab, third).reason != "")
        for waiting in (second, third):
            row = run(lab, waiting)
            assert (row.state, row.started, row.reason) == ("queued", None, f"Waits: {supervisor.DRAINED}.")
        assert main(["drain", "off", "--lab", str(lab.path), "--user", "ada"]) == 0
        until(lambda: all(run(lab, waiting).state == "completed" for waiting in (second, third)))
        looks_again(hers)
        expect(hers.locator(".aelab-notices p")).to_have_text([BANNER])
        assert main(["banner", "--text", "", "--lab", str(lab.path), "--user", "ada"]) == 0
        looks_again(hers)
        expect(hers.locator(".aelab-notices")).to_have_count(0)
        renewed(lab, hers, second, third)


def renewed(lab: Lab, page: Page, *ids: str) -> None:
    """A page that was open for longer than its tokens hold is made anew, by itself."""
    until(
        lambda: not any(job.state in OPEN for one in ids for job in queue.jobs(lab, one))
    )  # nor does Compare wait for figures
    page.goto(f"{page.url.rpartition('/')[0]}/compare?runs={','.join(ids)}")
    expect(page.get_by_role("heading", name=re.compile("^Figures"))).to_be_visible()
    assert main(["delete", ids[-1], "--lab", str(lab.path), "--user", "bea"]) == 0
    gone = page.get_by_text(f"'{ids[-1]}' was deleted")
    with page.expect_response("**/api/notices?*") as answer:
        looks_again(page)
    assert answer.value.ok
    expect(gone).to_have_count(0)  # this page has no reason to look again
    page.route(
        "**/api/notices?*", lambda route: route.continue_(url=re.sub(r"token=\d+", "token=1", route.request.url))
    )
    with page.expect_response("**/api/notices?*") as answer:
        looks_again(page)
    assert answer.value.status == 403, "a token of too long ago"
    expect(gone).to_be_visible()
    page.unroute("**/api/notices?*")


def looks_again(page: Page) -> None:
    """The time until an open page asks what is new passes at once."""
    page.clock.fast_forward(1000 * notices.SECONDS)


def drained_and_restarted(lab: Lab, keeper: Page, hers: Page) -> None:
    """The keeper presses what there is to press; the other one reads it on a page that stays as it is."""
    expect(hers.locator(".aelab-notices")).to_have_count(0)
    hers.evaluate("window.untouched = true")
    finish = keeper.get_by_role("radio", name="Finish these").or_(keeper.get_by_role("button", name="Finish these"))
    finish.first.click()
    expect(keeper.get_by_text("1 train now.")).to_be_visible()
    looks_again(hers)
    expect(hers.locator(".aelab-notices")).to_contain_text("No new runs start")
    keeper.get_by_role("textbox", name="Banner for all").fill(BANNER)
    keeper.keyboard.press("Enter")
    expect(keeper.get_by_text("The banner is set.")).to_be_visible()
    looks_again(hers)
    expect(hers.locator(".aelab-notices p").first).to_have_text(BANNER)
    keep(hers, "drained")
    keep(keeper, "drained-server")
    before = supervisor.running(lab)
    keeper.get_by_role("button", name="Restart the supervisor").click()
    expect(keeper.get_by_text("The supervisor was restarted; runs go on.")).to_be_visible()
    until(lambda: supervisor.running(lab) not in (None, before))
    assert hers.evaluate("window.untouched")
    expect(hers.get_by_role("link", name="Server")).to_have_count(0)
