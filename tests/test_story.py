"""The first five minutes, in a real browser: the demo from one click, watched, compared, and its latent space explored."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PATIENCE, chromium, dashboard, keep, offline, settle

LAPTOP, PROJECTOR = {"width": 1280, "height": 720}, {"width": 1920, "height": 1080}
DEMO_SECONDS = 600
"""How long a demo may take on a machine that does much else besides; what it takes on a quiet one is a benchmark's matter."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes of the story note who want to talk to another machine."""
    return tmp_path_factory.mktemp("outside") / "noted"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, outside: Path) -> Iterator[str]:
    place = tmp_path_factory.mktemp("story")
    with dashboard(place / "lab", **offline(outside)) as running:
        assert next(place.glob("dashboard-*.log")).read_text() == f"Autoencoder Lab: {running}\n"
        yield running


@pytest.fixture(scope="module")
def story(browser: Browser, address: str) -> Iterator[Page]:
    """One visitor's tab, in which the tests below follow each other like a visit does."""
    page = browser.new_page(viewport=LAPTOP)
    page.goto(address)
    settle(page)
    yield page
    page.close()


def points(page: Page, key: str) -> int:
    """Points that the chart has drawn so far."""
    return int(page.locator(f".st-key-{key} canvas").first.get_attribute("data-points") or 0)


def lasso(page: Page, corners: list[tuple[float, float]]) -> None:
    """Draw around part of the latent map; corners are shares of its width and height."""
    field = page.locator(".latent-map .field").bounding_box()
    assert field
    spots = [(field["x"] + field["width"] * x, field["y"] + field["height"] * y) for x, y in corners]
    page.keyboard.down("Shift")
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=6)
    page.mouse.up()
    page.keyboard.up("Shift")


def opens(page: Page, name: str, heading: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", name=heading).first).to_be_visible()
    settle(page)


def test_home_says_what_this_is_and_looks_alive_before_the_first_click(story: Page) -> None:
    expect(story.get_by_role("heading", name="Autoencoder Lab")).to_be_visible()
    expect(story.get_by_text("This machine")).to_be_visible()
    expect(story.locator(".st-key-film canvas[data-drawn='1']").first).to_be_visible()
    keep(story, "home-before")


def test_one_click_trains_two_models_and_the_curve_grows(story: Page) -> None:
    story.locator(".st-key-demo button").click()
    curve = story.locator(".st-key-demo-curves canvas").first
    expect(curve).to_have_attribute("data-points", re.compile(r"^[1-9]"))
    before = points(story, "demo-curves")
    expect(curve).not_to_have_attribute("data-points", str(before))
    assert points(story, "demo-curves") > before


def test_reconstructions_stand_under_the_originals_while_it_trains(story: Page) -> None:
    rows = story.locator(".st-key-demo-pictures canvas[data-drawn='1']")
    expect(rows).to_have_count(3)  # the originals, and one row for each model
    keep(story, "home-live")


def test_the_end_of_the_demo_offers_what_comes_next(story: Page) -> None:
    expect(story.get_by_role("link", name="Compare the two")).to_be_visible(timeout=DEMO_SECONDS * 1000)
    story.set_viewport_size(PROJECTOR)
    keep(story, "home-done-projector")
    story.set_viewport_size(LAPTOP)
    keep(story, "home-done")


def test_compare_shows_both_models_with_the_error_of_every_image(story: Page) -> None:
    opens(story, "Compare the two", "Compare")
    expect(story).to_have_url(re.compile(r"/compare\?runs=[^,]+,[^,]+$|/compare\?runs=.+%2C.+"))
    wall = story.locator(".st-key-wall-0 [data-cells]").first
    expect(wall).to_be_visible()
    assert wall.locator(".cell").count() >= 3 * 12
    errors = [float(text) for text in wall.locator("figure.model figcaption").all_inner_texts()]
    assert len(errors) >= 2 * 12
    assert all(error > 0 for error in errors)
    keep(story, "compare")
    story.set_viewport_size(PROJECTOR)
    keep(story, "compare-projector")
    story.set_viewport_size(LAPTOP)


def test_latent_shows_the_codes_and_a_selection_shows_their_images(story: Page) -> None:
    story.go_back()
    settle(story)
    opens(story, "Walk through the latent space", "Latent space")
    drawn = story.locator(".latent-map[data-state=ready]")
    expect(drawn).to_be_visible()
    assert int(drawn.get_attribute("data-points") or 0) >= 512
    story.wait_for_timeout(1000)  # the map glides to its place, and a lasso is drawn in what stands still
    panel = story.locator(".st-key-latent-panel")
    for _ in range(3):  # on a busy machine the map may still glide under the first one
        lasso(story, [(0.1, 0.1), (0.55, 0.1), (0.55, 0.9), (0.1, 0.9)])
        with contextlib.suppress(AssertionError):
            expect(panel.locator(".latent-tiles img").first).to_be_visible(timeout=60_000)
            break
    expect(panel.locator(".latent-tiles img").first).to_be_visible()
    expect(panel.get_by_text(re.compile(r"[\d,]+ of [\d,]+ selected"))).to_be_visible()
    story.wait_for_function(
        "[...document.querySelectorAll('.latent-tiles img')].every(img => img.complete && img.naturalWidth)",
        timeout=PATIENCE,
    )
    story.mouse.move(5, 5)
    keep(story, "latent")


def test_runs_lists_both_and_shows_the_chosen_one(story: Page) -> None:
    opens(story, "Runs", "Runs")
    expect(story.locator("[data-testid=stDataFrame]").first).to_be_visible()
    keep(story, "runs")


def test_train_draws_the_network_that_the_form_describes(story: Page) -> None:
    opens(story, "Train", "Train")
    expect(story.locator(".st-key-hourglass svg").first).to_be_visible()
    expect(story.locator("[data-testid=stNumberInput]").first).to_be_visible()
    keep(story, "train")


@pytest.mark.parametrize("page", ["", "train", "runs", "compare", "latent"])
def test_every_page_opens_by_itself_from_a_link_in_the_dark_on_a_projector(
    browser: Browser, address: str, story: Page, page: str
) -> None:
    tab = browser.new_page(viewport=PROJECTOR, color_scheme="dark")
    tab.goto(f"{address}/{page}")
    settle(tab)
    expect(tab.locator("h1").first).to_be_visible()
    assert tab.locator("[data-testid=stException]").count() == 0
    tab.wait_for_timeout(1500)  # for the picture only: what is fetched after the script is on the screen then
    keep(tab, f"{page or 'home'}-dark-projector")
    tab.close()


def test_nobody_in_this_story_has_asked_another_machine_and_none_could_ask_us(
    address: str, outside: Path, story: Page
) -> None:
    noted = outside.read_text(encoding="utf-8").splitlines()
    for part in ("streamlit run", "aecore.jobs.supervisor", "aecore.jobs.trainer"):
        assert any(part in line for line in noted if line.startswith("watched:")), f"{part} was not watched: {noted}"
    assert [line for line in noted if not line.startswith("watched:")] == []
    port = int(address.rpartition(":")[2])
    listening = [one.laddr for one in psutil.net_connections("tcp") if one.status == "LISTEN"]
    assert [place.ip for place in listening if place.port == port] == ["127.0.0.1"]
