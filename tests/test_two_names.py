"""On the lab's network: two people in two browsers, each with a name that owns their runs."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from aecore.jobs import queue, steer
from aecore.runs import Lab, runs
from aecore.runs import run as read_run
from tests.browser import chromium, dashboard, keep, settle
from tests.conftest import tiny

PASSWORD = "squeeze and draw again"
LONG = tiny(name="long", training__epochs=100_000)
"""Runs until somebody stops it."""


@pytest.fixture
def people(lab: Lab) -> Iterator[tuple[str, BrowserContext, BrowserContext]]:
    """The dashboard's address, and two browsers that know nothing of each other."""
    with dashboard(lab.path, PASSWORD) as address, chromium() as browser:
        yield address, browser.new_context(), browser.new_context()


def enter(browser: BrowserContext, address: str, name: str, password: str = PASSWORD) -> Page:
    page = browser.new_page()
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Come in").click()
    return page


def test_two_people_own_their_runs_and_somebody_elses_is_stopped_only_after_a_question(
    lab: Lab, people: tuple[str, BrowserContext, BrowserContext]
) -> None:
    address, first, second = people
    queue.submit(lab, LONG, "Somebody")

    page = enter(first, address, "Ann", password="wrong")
    expect(page.get_by_role("alert")).to_contain_text("This is not the password")
    page.close()

    page = enter(first, f"{address}/train?clone={runs(lab)[0].id}", "Ann")
    expect(page.get_by_text("Ann").first).to_be_visible()
    page.locator(".st-key-queue-run button").click()
    expect(page.get_by_text(re.compile("Queued as")).first).to_be_visible()
    hers = runs(lab)[0]
    assert hers.owner == "Ann"

    page = enter(second, f"{address}/runs?run={hers.id}", "Ben")
    settle(page)
    page.locator(".st-key-stop button").click()
    expect(page.get_by_text("This run belongs to Ann")).to_be_visible()
    keep(page, "somebody-elses-run")
    page.locator(".st-key-leave button").click()
    expect(page.get_by_text("This run belongs to Ann")).to_be_hidden()
    assert read_run(lab, hers.id).want == "run"

    page.locator(".st-key-stop button").click()
    expect(page.get_by_text("This run belongs to Ann")).to_be_visible()
    steer.pause(lab, hers.id, "Ann")  # the page goes with the run, and the question stays
    expect(page.locator(".st-key-resume button")).to_have_count(1)
    expect(page.get_by_text("This run belongs to Ann")).to_be_visible()
    page.locator(".st-key-stop-anyway button").click()
    expect(page.get_by_text("This run belongs to Ann")).to_be_hidden()
    assert read_run(lab, hers.id).want == "cancel"
