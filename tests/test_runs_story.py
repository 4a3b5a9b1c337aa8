"""The Runs page in a real browser: one slider moves everything, a reload keeps the state, a filter, several runs at once."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from aecore.jobs import queue, states
from aecore.jobs.foreground import train_here
from aecore.runs import Lab, run, runs
from tests.browser import chromium, dashboard, keep, settle
from tests.conftest import close, tiny

LAPTOP, PROJECTOR = {"width": 1280, "height": 720}, {"width": 1920, "height": 1080}
MARKUP = "<b>bold</b> *x* $y$"
PATIENCE = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three short runs: code sizes 2, 4 and 8, the last with a name that is markup."""
    lab = Lab.open(tmp_path_factory.mktemp("runs-story") / "lab")
    for name, size in (("two", 2), ("four", 4), (MARKUP, 8)):
        train_here(lab, tiny(name=name, model__bottleneck__latent_dim=size), "ada")
    yield lab
    close(lab)


@pytest.fixture(scope="module")
def address(trained: Lab) -> Iterator[str]:
    with dashboard(trained.path) as running:
        yield f"{running}/runs"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport=LAPTOP)
    page.goto(address)
    settle(page)
    yield page
    page.close()


def opened(page: Page) -> Page:
    """Wait until the newest run's moment is on the screen."""
    expect(page.locator("[class*=st-key-moment-] .images figure").first).to_be_visible(timeout=PATIENCE)
    return page


def query(page: Page, name: str) -> str | None:
    """A parameter of the page's address."""
    return parse_qs(urlsplit(page.url).query).get(name, [None])[0]


def expect_query(page: Page, **wanted: str) -> None:
    for name, value in wanted.items():
        expect(page).to_have_url(re.compile(rf"[?&]{name}={re.escape(value)}(&|$)"), timeout=PATIENCE)


def shown_steps(page: Page) -> dict[str, str | None]:
    """The step that each part shows."""
    return {
        "curves": page.locator("[class*=st-key-curves-] canvas").get_attribute("data-marker"),
        "pictures": page.locator("[class*=st-key-pictures-] .time").inner_text().replace("step ", "").replace(",", ""),
        "points": page.locator("[class*=st-key-moment-] .root").get_attribute("data-step"),
        "images": page.locator("[class*=st-key-moment-] .images .inside").get_attribute("data-step"),
    }


def expect_step(page: Page, step: int) -> None:
    text = str(step)
    expect(page.locator("[class*=st-key-curves-] canvas")).to_have_attribute("data-marker", text, timeout=PATIENCE)
    expect(page.locator("[class*=st-key-moment-] .images .inside")).to_have_attribute(
        "data-step", text, timeout=PATIENCE
    )
    comes_true(page, lambda: set(shown_steps(page).values()) == {text})


def comes_true(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for what the page's script, or another of its components, does a moment later."""
    for _ in range(PATIENCE // 100):
        if condition():
            return
        page.wait_for_timeout(100)
    assert condition()


def slider(page: Page):  # type: ignore[no-untyped-def]
    return page.get_by_role("slider", name="Training step")


def test_one_slider_moves_the_curves_the_pictures_the_points_and_the_best_and_worst_images(
    page: Page, trained: Lab
) -> None:
    steps = trained.run(runs(trained)[0].id).sample_steps()
    opened(page)
    expect_step(page, steps[-1])
    error = page.locator("[class*=st-key-moment-] .bars em").first.inner_text()
    slider(page).press("Home")
    expect_step(page, 0)
    expect_query(page, at="0")
    assert page.locator("[class*=st-key-moment-] .bars em").first.inner_text() != error
    rows = page.locator("[class*=st-key-pictures-] canvas[data-drawn='1']")
    expect(rows).to_have_count(3, timeout=PATIENCE)  # original, reconstruction, error
    keep(page, "runs-untrained")
    slider(page).press("End")
    expect_step(page, steps[-1])
    expect(page).not_to_have_url(re.compile("at="), timeout=PATIENCE)


def test_a_click_on_the_curve_and_the_play_button_move_it_too(page: Page, trained: Lab) -> None:
    steps = trained.run(runs(trained)[0].id).sample_steps()
    curve = opened(page).locator("[class*=st-key-curves-] canvas")
    box = curve.bounding_box()
    assert box
    curve.click(position={"x": 80, "y": box["height"] / 2})
    expect_step(page, 0)
    page.get_by_role("button", name="Play from the untrained model on").click()
    expect_step(page, steps[-1])


def test_a_reload_and_a_rerun_keep_what_was_chosen(page: Page, trained: Lab) -> None:
    opened(page)
    curves = page.locator("[class*=st-key-curves-]")
    for name in ("MSE", "epoch", "log", "clip"):
        curves.get_by_role("button", name=name, exact=True).click()
    smoothing = page.get_by_role("slider", name="Smoothing")
    smoothing.fill("0.6")
    page.locator("[class*=st-key-moment-] .bars button").nth(4).click()
    slider(page).press("Home")
    wanted = {
        "curve": "mse",
        "x": "epoch",
        "scale": "log",
        "outliers": "shown",
        "smooth": "0.6",
        "class": "3",
        "at": "0",
    }
    expect_query(page, **wanted)
    page.get_by_role("tab", name="Log").click()
    page.get_by_text("Seeds together").click()  # the page's script runs again
    expect_query(page, seeds="together", **wanted)
    page.reload()
    settle(page)
    opened(page)
    expect_query(page, seeds="together", **wanted)
    expect_step(page, 0)
    for name, pressed in {"MSE": "true", "epoch": "true", "log": "true", "clip": "false"}.items():
        expect(curves.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", pressed)
    expect(smoothing).to_have_value("0.6")
    expect(page.locator("[class*=st-key-moment-] .bars button").nth(4)).to_have_attribute("aria-selected", "true")


def test_a_filter_leaves_what_it_says_and_stands_in_the_url(page: Page, address: str) -> None:
    box = page.get_by_role("textbox", name="Filter")
    box.fill("latent_dim<8 owner=ada")
    box.press("Enter")
    expect(page.get_by_text("2 of 3 runs.")).to_be_visible(timeout=PATIENCE)
    assert query(page, "filter") == "latent_dim<8 owner=ada"
    box.fill("betta=4")
    box.press("Enter")
    expect(page.get_by_text("No run has a field 'betta'")).to_be_visible(timeout=PATIENCE)
    page.goto(f"{address}?filter=code%3D4")
    settle(page)
    expect(page.get_by_text("1 of 3 runs.")).to_be_visible(timeout=PATIENCE)


def test_a_name_that_is_markup_is_shown_as_it_was_typed(page: Page) -> None:
    expect(page.get_by_role("heading", name=MARKUP)).to_be_visible(timeout=PATIENCE)


def test_on_the_compare_page_too(page: Page, address: str, trained: Lab) -> None:
    page.goto(address.replace("/runs", "/compare") + "?runs=" + ",".join(row.id for row in runs(trained)))
    settle(page)
    expect(page.locator(".st-key-wall-0 .head b").get_by_text(MARKUP, exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("cell", name=MARKUP).first).to_be_visible(timeout=PATIENCE)
    assert page.get_by_text("bold", exact=True).count() == 0, "an element of its own"


def tick(page: Page, row: int) -> None:
    """Tick a row of the table, which is drawn on a canvas: heads and rows are equally high."""
    table = page.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    assert box
    high = box["height"] / 4  # a head and three rows
    table.click(position={"x": 18, "y": high * (row + 1.5)})


def test_several_runs_are_ticked_tagged_and_archived_at_once(page: Page, trained: Lab) -> None:
    ids = [row.id for row in runs(trained)]
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=PATIENCE)
    page.wait_for_timeout(1000)  # the table's canvas takes clicks once it has been drawn
    tick(page, 1)
    expect(page.get_by_text("1 ticked")).to_be_visible(timeout=PATIENCE)
    tick(page, 2)
    expect(page.get_by_text("2 ticked")).to_be_visible(timeout=PATIENCE)
    keep(page, "runs-ticked")
    page.locator(".st-key-bulk-tag button").click()
    page.get_by_role("textbox", name="Add tags").fill("demo, <i>x</i>")
    page.get_by_role("button", name="Apply").click()
    wanted = [(), ("demo", "<i>x</i>"), ("demo", "<i>x</i>")]
    comes_true(page, lambda: [run(trained, run_id).tags for run_id in ids] == wanted)
    expect(page.get_by_text("2 ticked")).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")  # else the first click only closes the box of tags
    expect(page.get_by_role("textbox", name="Add tags")).to_be_hidden(timeout=PATIENCE)
    page.locator(".st-key-bulk-archive button").click()
    page.get_by_role("button", name="Archive all the same").click()  # they are ada's
    expect(page.get_by_text("1 of 3 runs, 2 in the archive.")).to_be_visible(timeout=PATIENCE)
    assert [run(trained, run_id).archived is not None for run_id in ids] == [False, True, True]


def test_it_looks_as_it_should_in_the_dark_on_a_projector(browser: Browser, address: str) -> None:
    tab = browser.new_page(viewport=PROJECTOR, color_scheme="dark")
    tab.goto(address)
    settle(tab)
    opened(tab)
    assert tab.locator("[data-testid=stException]").count() == 0
    keep(tab, "runs-moment-projector")
    tab.close()


NOTED = """
window.told = [];
const Real = window.Notification;
window.Notification = class extends Real {
  constructor(title, options) { super(title, options); window.told.push([title, options.body, Real.permission]); }
};
"""
"""What a page shows as notifications; they are shown all the same."""


def test_a_browser_that_was_asked_tells_of_the_end_of_a_run_on_any_page_and_once(
    browser: Browser, address: str, trained: Lab
) -> None:
    run_id = queue.submit(trained, tiny(name=MARKUP), "bea", engine="foreground")  # nobody trains it
    context = browser.new_context(viewport=LAPTOP, permissions=["notifications"])
    context.add_init_script(NOTED)
    tab = context.new_page()
    tab.goto(f"{address}?run={run_id}")
    settle(tab)
    tab.locator(".st-key-tell-box button").first.click()
    tab.get_by_role("button", name="Tell me in this browser").click()
    expect(tab.get_by_role("button", name="This browser tells you")).to_be_visible()
    keep(tab, "runs-tell")
    tab.goto(address.replace("/runs", "/train"))
    settle(tab)
    assert tab.evaluate("window.told") == []
    assert states.move(
        trained, run(trained, run_id).job_id, "failed", by="supervisor", reason="The loss is <b>nan</b>.\nx"
    )
    comes_true(tab, lambda: bool(tab.evaluate("window.told.length")))
    assert tab.evaluate("window.told") == [[f"{MARKUP}: failed", "The loss is <b>nan</b>.", "granted"]]
    assert tab.evaluate("localStorage.getItem('aelab-tell')") == "{}"
    context.close()


def test_a_browser_that_blocks_notifications_says_so(browser: Browser, address: str, trained: Lab) -> None:
    name = "www.evil.example https://evil.example eve@evil.example"
    run_id = queue.submit(trained, tiny(name=name), "bea", engine="foreground")
    tab = browser.new_page(viewport=LAPTOP)  # nobody is there to allow them
    tab.add_init_script("Object.defineProperty(Notification, 'permission', { get: () => 'denied' })")
    tab.goto(f"{address}?run={run_id}")
    settle(tab)
    tab.locator(".st-key-tell-box button").first.click()
    expect(tab.get_by_role("button", name="Tell me in this browser")).to_be_disabled()
    expect(tab.get_by_text("Notifications of this page are blocked")).to_be_visible()
    expect(tab.get_by_role("heading", name="evil.example")).to_be_visible()
    assert tab.locator("a[href*='evil.example']").count() == 0, "an address in a name is no link"
    tab.close()
