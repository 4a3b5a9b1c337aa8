"""Steering runs in a real browser: what only a click there shows, such as the question before somebody else's run."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from aecore.jobs import queue, steer
from aecore.runs import Lab, run
from tests.browser import chromium, dashboard, keep, settle
from tests.conftest import tiny


@pytest.fixture
def tab(lab: Lab) -> Iterator[Page]:
    """A visitor's tab at a dashboard on the lab; `goto` takes a path."""
    with dashboard(lab.path) as address, chromium() as browser:
        context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 720})
        yield context.new_page()


def test_somebody_elses_paused_run_goes_on_after_the_question_and_the_page_follows(lab: Lab, tab: Page) -> None:
    first = queue.submit(lab, tiny(name="theirs"), "bea")
    steer.pause(lab, first, "bea")
    tab.goto(f"/runs?run={first}")
    settle(tab)
    tab.locator(".st-key-resume button").click()
    question = tab.get_by_role("dialog")
    expect(question).to_contain_text("is not yours")
    keep(tab, "run-question")
    assert run(lab, first).state == "paused"
    tab.locator(".st-key-resume-anyway button").click()
    expect(question).to_have_count(0)
    # Nobody touches the page any more: it says by itself what has become of the run, and what can be done with it now.
    expect(tab.locator(".st-key-longer button")).to_be_visible()
    assert run(lab, first).state == "completed"
    keep(tab, "run-completed")
    tab.locator(".st-key-longer button").click()
    tab.locator(".st-key-extend button").click()
    expect(tab.get_by_role("link", name=f"goes on from {first}")).to_be_visible()
    expect(tab.locator("p", has_text=f"goes on from step {run(lab, first).step}")).to_be_visible()
    keep(tab, "run-extended")
