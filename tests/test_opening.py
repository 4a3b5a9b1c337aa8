"""What Home's document shows before Streamlit's scripts are there: the words and the first pictures of the page, where it will have them."""

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from aecore.jobs import queue
from aecore.jobs.states import claim, move
from aecore.runs import Lab
from tests.browser import chromium, dashboard
from ui import demo, kiosk
from ui.moments import inputs_of, sample_of
from ui.opening import ACROSS, opening
from ui.samples import folder_of

TOLD = re.compile(r"^opened\((\{.*\}), (\".*\")\);$", re.MULTILINE)
BOXES = """(root) => [...root.querySelectorAll("h1, .name, canvas")].map((one) => {
  const { x, y, width, height } = one.getBoundingClientRect();
  return [x, y, width, height];
})"""


def pictures(home: str) -> list[dict[str, Any]]:
    """Of each run of the film that a document has: what it is told."""
    found = TOLD.search(home)
    assert found
    return json.loads(found[1])["runs"]


def pixels(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))))


@pytest.fixture
def at_home(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    return lab


def test_the_recorded_demo_begins_as_it_was_untrained(at_home: Lab) -> None:
    for told, size in zip(pictures(opening()), demo.CODE_SIZES, strict=True):
        folder = folder_of(f"recorded-{size}")
        wanted = {"inputs": inputs_of(folder).images, "sample": sample_of(folder, 0).x_hat}
        assert told["samples"] == [[0, 0, None]]
        assert told["count"] == ACROSS
        for name, images in wanted.items():
            side_by_side = np.concatenate(list(images[:ACROSS, 0]), axis=1)
            np.testing.assert_array_equal(pixels(told["drawn"][name]), side_by_side)


def finished_pair(lab: Lab) -> list[str]:
    """A demo that this lab has trained, as far as its pictures are concerned: code size 2 first."""
    pair = [queue.submit(lab, config, "ada") for config in demo.configs()]
    for run, size in zip(pair, demo.CODE_SIZES, strict=True):
        job = queue.jobs(lab, run)[0].id
        move(lab, job, "starting", by="supervisor")
        claim(lab, job, "local:x:1:1")
        move(lab, job, "completed", by="trainer")
        film = folder_of(f"recorded-{size}").path / "samples"
        shutil.copytree(film, lab.run(run).path / "samples", dirs_exist_ok=True)
        shutil.copy(film / f"{LATER:08}.npz", lab.run(run).sample_path(0))
    return pair


LATER = 846
"""A step of the recorded demo's, which stands for the first one of another."""


def test_the_labs_own_demo_comes_before_the_recorded_one(at_home: Lab) -> None:
    pair = finished_pair(at_home)
    found = pictures(opening())
    assert [told["id"] for told in found] == pair
    x_hat = sample_of(at_home.run(pair[1]), LATER).x_hat
    np.testing.assert_array_equal(pixels(found[1]["drawn"]["sample"]), np.concatenate(list(x_hat[:ACROSS, 0]), axis=1))


def test_a_demo_whose_pictures_are_gone_leaves_it_to_the_page(at_home: Lab) -> None:
    for run in finished_pair(at_home):
        shutil.rmtree(at_home.run(run).path / "samples")
    assert opening() == ""


def test_a_kiosk_and_a_lab_that_cannot_be_opened_have_none(
    at_home: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert opening()
    with monkeypatch.context() as changed:
        changed.setenv(kiosk.VARIABLE, "20260101-000000-abcd")
        assert opening() == ""
    (tmp_path / "file").write_text("no lab")
    monkeypatch.setenv("AELAB_HOME", str(tmp_path / "file"))
    assert opening() == ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dashboard(tmp_path_factory.mktemp("opening") / "lab", base="/lab") as running:
        yield running


MAIN = re.compile(r"/static/js/index\.[\w-]+\.js$")
"""The script that Streamlit's page begins with."""


def opened(page: Page, address: str) -> Route:
    """Home, while Streamlit's scripts keep it waiting; go on with the route, and they come."""
    held: list[Route] = []
    page.route(MAIN, lambda one: held.append(one))
    page.goto(f"{address}/", wait_until="commit")
    expect(page.locator("#opening canvas[data-drawn='1']")).to_have_count(3)
    page.wait_for_function(
        "[...document.fonts].some((face) => face.status === 'loaded')"
    )  # its style sheet may come late
    page.evaluate("document.fonts.ready.then(() => null)")
    assert len(held) == 1
    return held[0]


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_it_stands_where_the_page_will_and_goes_when_that_has_drawn_the_same(
    browser: Browser, address: str, size: tuple[int, int]
) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page = context.new_page()
    scripts = opened(page, address)
    before = page.locator("#opening article").evaluate_all(
        f"(all) => all.flatMap((one) => ({BOXES})(one.shadowRoot ?? one))"
    )
    scripts.continue_()
    expect(page.locator("#opening")).to_have_count(0)
    expect(page.locator(".st-key-film canvas[data-drawn='1']")).to_have_count(3)
    expect(page.get_by_role("button", name=demo.LABEL)).to_be_enabled()
    after = page.locator(".st-key-hero").evaluate(BOXES)
    film = page.locator(".st-key-film .rows").evaluate(BOXES)
    np.testing.assert_allclose(after + film, before, atol=1)
    context.close()


def test_it_has_the_theme_that_the_page_will_have(browser: Browser, address: str) -> None:
    context = browser.new_context(color_scheme="dark", reduced_motion="reduce")
    page = context.new_page()
    seen = []
    for then in ("Light", "Dark"):
        scripts = opened(page, address)
        seen.append(page.locator("#opening").evaluate(LOOK))
        scripts.continue_()
        expect(page.locator("#opening")).to_have_count(0)
        assert page.locator(".stApp").evaluate(LOOK) == seen[-1]
        page.unroute_all()
        page.get_by_test_id("stMainMenu").click()
        page.get_by_test_id(f"stMainMenuItem-theme-{then}").click()
    assert seen[0] != seen[1], "dark by the system, then light by choice"
    context.close()


LOOK = "(one) => { const { backgroundColor, color } = getComputedStyle(one); return [backgroundColor, color]; }"


def test_it_is_homes_alone(browser: Browser, address: str) -> None:
    page = browser.new_page()
    for other in ("train", "runs", "?demo=a,b"):
        answer = page.goto(f"{address}/{other}")
        assert answer
        assert 'id="opening"' not in answer.text()
    page.close()
