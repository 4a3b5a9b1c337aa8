"""Compare in a real browser: two models disagree and it is found, a sweep fills its plot, a report opens without a network."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from aecore.jobs import sweep
from aecore.runs import Lab, runs
from tests.browser import chromium, dashboard, keep, settle
from tests.conftest import TwoRuns, close, tiny
from ui import ordering

LAPTOP, PROJECTOR = {"width": 1280, "height": 720}, {"width": 1920, "height": 1080}
PATIENCE = 240_000
"""Milliseconds that a handful of tiny runs may take on a machine that does much else besides."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(two_runs: TwoRuns) -> Iterator[str]:
    with dashboard(two_runs.lab.path) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, address: str, two_runs: TwoRuns) -> Iterator[Page]:
    tab = browser.new_page(viewport=LAPTOP, accept_downloads=True)
    tab.goto(f"{address}/compare?runs={','.join(two_runs.ids)}")
    settle(tab)
    yield tab
    tab.close()


def wall(page: Page) -> str:
    found = page.locator(".st-key-wall-0 [data-cells]")
    expect(found).to_be_visible(timeout=60_000)
    return str(found.get_attribute("data-mode"))


def choose(page: Page, key: str, option: str) -> None:
    page.locator(f".st-key-{key} [data-baseweb=select], .st-key-{key} [role=combobox]").first.click()
    page.get_by_role("option", name=option, exact=True).click()


def test_two_models_disagree_on_a_digit_and_it_is_found_in_two_clicks(page: Page) -> None:
    assert wall(page) == "pictures"
    choose(page, "order", "Where two disagree")  # the first click
    caption = page.locator(".st-key-wall-0 figure.original figcaption").first
    expect(caption).to_contain_text("gap", timeout=60_000)
    gaps = [
        float(text.rpartition(" ")[2])
        for text in page.locator(".st-key-wall-0 figure.original figcaption").all_inner_texts()
    ]
    assert gaps == sorted(gaps, reverse=True)
    keep(page, "compare-gap")
    page.locator(".st-key-wall-0 figure.model .cell").first.click()  # the second
    large = page.locator(".st-key-wall-0 dialog canvas")
    expect(large).to_be_visible()
    before = page.locator(".st-key-wall-0 dialog .told").inner_text()
    assert re.search(r"tiny, 2: [\d.]+ \| tiny, 4: ", before), "the two that disagree"
    page.keyboard.press("ArrowDown")
    expect(page.locator(".st-key-wall-0 dialog .told")).not_to_have_text(before)
    keep(page, "compare-swipe")
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()


def test_all_cells_zoom_together_and_differences_have_one_scale(page: Page) -> None:
    page.get_by_role("button", name="Zoom in").first.click()
    expect(page.locator(".st-key-wall-0 [data-cells]")).to_have_attribute("data-zoom", "1.50")
    page.get_by_role("button", name="Whole images").first.click()
    expect(page.locator(".st-key-wall-0 [data-cells]")).to_have_attribute("data-zoom", "1.00")
    page.get_by_role("radio", name="Differences").or_(page.get_by_role("button", name="Differences")).first.click()
    expect(page.locator(".st-key-wall-0 [data-mode=differences]")).to_be_visible(timeout=60_000)
    expect(page.locator(".st-key-wall-0 .bar")).to_contain_text("too bright by")
    page.set_viewport_size(PROJECTOR)
    keep(page, "compare-differences-projector")
    page.set_viewport_size(LAPTOP)


VIEW = """(root) => ({
  ...root.dataset,
  captions: [...root.querySelectorAll("figcaption, .head, .bar")].map((one) => one.textContent),
  cells: [...root.querySelectorAll("figure .cell")].map(getComputedStyle).map((one) => [one.backgroundImage.slice(-200), one.backgroundSize, one.backgroundPosition, one.width]),
  swipe: root.querySelector("dialog[open]") && [root.querySelector(".told").textContent, root.querySelector(".large").toDataURL()],
})"""


def view(page: Page) -> dict[str, Any]:
    """All that the wall shows: every caption, every pixel, and the swipe."""
    return dict(page.locator(".st-key-wall-0 [data-cells]").evaluate(VIEW))


def opens_again(browser: Browser, page: Page) -> None:
    """The address opens the same view for somebody who was never here."""
    context = browser.new_context(viewport=page.viewport_size)
    tab = context.new_page()
    tab.goto(page.url)
    settle(tab)
    wanted = view(page)
    expect(tab.locator(".st-key-wall-0 [data-cells]")).to_have_attribute("data-zoom", wanted["zoom"], timeout=60_000)
    for _ in range(600):
        if view(tab) == wanted:
            break
        tab.wait_for_timeout(100)
    assert view(tab) == wanted
    context.close()


def test_the_keyboard_reaches_every_cell_and_opens_it(page: Page) -> None:
    cells = page.locator(".st-key-wall-0 figure .cell")
    cells.first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    columns = page.locator(".st-key-wall-0 .block").first.locator(".head").count()
    expect(cells.nth(columns + 2)).to_be_focused()
    assert page.locator(".st-key-wall-0 figure .cell[tabindex='0']").count() == 1, "one stop for the tab key"
    page.keyboard.press("Space")
    expect(page.locator(".st-key-wall-0 dialog .told")).to_contain_text("tiny, 4")
    page.keyboard.press("Escape")
    expect(cells.nth(columns + 2)).to_be_focused()


def test_the_address_opens_exactly_this_view(page: Page, browser: Browser) -> None:
    choose(page, "order", ordering.GAP)
    choose(page, "a", "tiny, 4")
    choose(page, "b", "tiny, 2")
    page.get_by_role("radio", name="20 images").or_(page.get_by_role("button", name="20 images")).first.click()
    expect(page.locator(".st-key-wall-0 figure.original")).to_have_count(20, timeout=60_000)
    cell = page.locator(".st-key-wall-0 figure .cell").nth(2)
    page.get_by_role("button", name="Zoom in").first.click()
    page.get_by_role("button", name="Zoom in").first.click()
    box = cell.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 25, box["y"] + box["height"] / 2 + 12)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"[?&]zoom=2\.25%2C0\.\d+%2C0\.\d+"), timeout=60_000)
    opens_again(browser, page)
    page.locator(".st-key-wall-0 figure.baseline .cell").nth(3).click()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(r"[?&]swipe=\d+%2C\d+%2C\d+%2C0\.6(&|$)"), timeout=60_000)
    opens_again(browser, page)
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("swipe="), timeout=60_000)
    page.get_by_role("button", name="Whole images").first.click()
    expect(page).not_to_have_url(re.compile("zoom="), timeout=60_000)


def test_an_address_names_the_epoch_the_class_and_the_columns_too(
    browser: Browser, address: str, two_runs: TwoRuns
) -> None:
    tab = browser.new_page(viewport=LAPTOP)
    tab.goto(
        f"{address}/compare?runs={','.join(two_runs.ids)}&images=Validation%20images,%20epoch%20by%20epoch&beside=Mean%20image&beside=PCA"
    )
    settle(tab)
    wall(tab)
    before = view(tab)
    slider = tab.get_by_role("slider", name="Models after")
    slider.press("Home")
    slider.press("ArrowRight")
    expect(tab).to_have_url(re.compile(r"[?&]epoch=epoch(\+|%20)1"), timeout=60_000)
    choose(tab, "class", "3")
    expect(tab.locator(".st-key-wall-0 figure.original figcaption").first).to_have_text("3", timeout=60_000)
    settle(tab)
    assert view(tab)["cells"] != before["cells"]
    opens_again(browser, tab)
    keep(tab, "compare-epoch")
    tab.close()


def test_it_looks_as_it_should_in_the_dark_on_a_projector(page: Page, browser: Browser) -> None:
    tab = browser.new_page(viewport=PROJECTOR, color_scheme="dark")
    tab.goto(page.url)
    settle(tab)
    expect(tab.locator(".st-key-wall-0 [data-mode=differences]")).to_be_visible(timeout=60_000)
    keep(tab, "compare-dark-projector")
    tab.close()


def test_a_large_wall_comes_first_and_stays_where_it_is_when_the_rest_follows(
    browser: Browser, address: str, two_runs: TwoRuns
) -> None:
    context = browser.new_context(viewport=PROJECTOR)
    tab = context.new_page()
    tab.goto(f"{address}/compare?runs={','.join(two_runs.ids)}&rows=48+images")
    root = tab.locator(".st-key-wall-0 [data-cells]")
    expect(root).to_be_visible(timeout=60_000)
    root.evaluate("(root) => { root.mark = 'the same'; }")
    expect(tab.get_by_role("heading", name=re.compile("^Figures"))).to_be_visible(timeout=60_000)
    expect(tab.get_by_label("Order")).to_be_visible()
    settle(tab)
    assert root.evaluate("(root) => root.mark") == "the same", "it was not drawn again"
    context.close()


def test_the_report_opens_with_the_network_off(page: Page, browser: Browser, tmp_path: Path) -> None:
    with page.expect_download(timeout=60_000) as saved:
        page.get_by_role("button", name="Save as one HTML file").first.click()
    file = tmp_path / "comparison.html"
    saved.value.save_as(file)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text(encoding="utf-8"))
    context = browser.new_context(viewport=LAPTOP, offline=True)
    tab, asked = context.new_page(), []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    expect(tab.locator("[data-wall] figure .cell").first).to_be_visible(timeout=60_000)
    assert tab.locator("[data-wall]").get_attribute("data-mode") == "differences"
    expect(tab.get_by_role("cell", name="PCA, 2 numbers").first).to_be_visible()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
    keep(tab, "compare-report")
    context.close()


def test_a_plot_is_saved_as_svg_and_as_png_by_the_browser(page: Page) -> None:
    for key in ("costs-0-error-against-code-size", "compare-curves"):
        plot = page.locator(f".st-key-{key}")
        plot.scroll_into_view_if_needed()
        for kind, head in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
            with page.expect_download(timeout=60_000) as saved:
                plot.get_by_role("button", name=kind).click(force=True)
            assert Path(saved.value.path()).read_bytes().startswith(head)


def test_the_buttons_of_a_plot_cover_nothing_of_it(page: Page) -> None:
    plot = page.locator(".st-key-costs-0-error-against-code-size")
    plot.scroll_into_view_if_needed()
    plot.hover()
    tops = "(svg) => Math.min(...[...svg.querySelectorAll('text, line, circle')].map((one) => one.getBoundingClientRect().top))"
    box = plot.locator(".files").bounding_box()
    assert box
    assert box["y"] + box["height"] <= plot.locator("svg").evaluate(tops) + 1


def test_the_file_of_the_live_curves_has_their_lines_names_and_titles(page: Page) -> None:
    plot = page.locator(".st-key-compare-curves")
    expect(plot.locator("canvas")).not_to_have_attribute("data-points", "0")
    with page.expect_download(timeout=60_000) as saved:
        plot.get_by_role("button", name="SVG").click()
    file = Path(saved.value.path()).read_text(encoding="utf-8")
    colours = [
        plot.locator(".name").nth(at).evaluate("(one) => one.style.getPropertyValue('--colour')") for at in (0, 1)
    ]
    for name, colour in zip(("tiny, 2", "tiny, 4"), colours, strict=True):
        assert name in file
        assert len(re.findall(rf'<path [^>]*stroke="{colour}"', file)) == 3, "each step, the means, the held-out images"
    assert {"step", "loss: squared error, mean over pixels, images in [0,1]"} <= set(
        re.findall(r">([^<]+)</text>", file)
    )


def test_a_sweep_fills_its_plot_while_its_runs_finish(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lab = Lab.open(tmp_path_factory.mktemp("sweep") / "lab")
    name, ids = sweep.submit(lab, sweep.plan(tiny(training__epochs=20), {"code_size": "1,2,4,8"}), "ada", at_once=2)
    with dashboard(lab.path) as running:
        tab = browser.new_page(viewport=LAPTOP)
        tab.goto(f"{running}/compare?sweep={name}")
        settle(tab)
        marks = tab.locator(".st-key-sweep-mse svg circle")
        expect(marks.first).to_be_attached(timeout=PATIENCE)
        expect(marks).to_have_count(len(ids), timeout=PATIENCE)
        expect(tab.locator(".st-key-sweep-mse svg")).to_contain_text("PCA")
        settle(tab)
        keep(tab, "compare-sweep")
        tab.set_viewport_size(PROJECTOR)
        keep(tab, "compare-sweep-projector")
        tab.close()
    assert [row.state for row in runs(lab)] == ["completed"] * 4
    close(lab)
