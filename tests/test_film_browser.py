"""What components draw by themselves, in a real browser and without a dashboard: the film of several runs, and the scales of the map."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import chromium
from ui.live import FOLDER, script
from ui.pictures import png

HERE = "http://127.0.0.1:9/"
PICTURE = png(np.zeros((1, 8, 8 * 4), np.uint8))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page, whose pictures are all the same."""

    def answer(route: Route) -> None:
        is_picture = ".png" in route.request.url
        body = {"body": PICTURE, "content_type": "image/png"} if is_picture else {"body": "<div class='root'></div>"}
        route.fulfill(**body, **({} if is_picture else {"content_type": "text/html"}))

    opened = browser.new_page(viewport={"width": 900, "height": 600})
    opened.route("**/*", answer)
    opened.goto(HERE)
    yield opened
    opened.close()


def film(page: Page, *samples: list[tuple[int, int, float]], watched: tuple[int, ...] = (1, 1, 1)) -> None:
    """The wall of runs that have ended, with these samples of each: step, epoch, seconds; `watched` tells on which images."""
    told = {"count": 4, "shape": [1, 8, 8], "seen": False, "target": "", "ended": True, "colour": "#123456"}
    runs = [
        told | {"id": str(n), "label": str(n), "token": "t", "samples": each, "watched": watched[n]}
        for n, each in enumerate(samples)
    ]
    page.add_script_tag(type="module", content=script("strips") + "\nwindow.strips = strips;")
    page.wait_for_function("() => Boolean(window.strips)")
    data = {"runs": runs, "loop": False, "size": 24, "lines": 1, "shared": False}
    page.evaluate("(data) => { strips({ data, parentElement: document.body }); }", data)
    originals = 1 + sum(one != other for one, other in pairwise(watched[: len(samples)]))
    expect(page.locator("canvas[data-drawn='1']")).to_have_count(originals + len(samples))


def at(page: Page, place: int) -> list[str]:
    """What stands beside each run's pictures at a place of the slider."""
    page.locator("input").evaluate("(one, place) => { one.value = place; one.oninput(); }", place)
    return page.locator(".name.run span").all_inner_texts()


def test_all_rows_of_a_film_show_about_the_same_moment(page: Page) -> None:
    film(
        page,
        [(0, 0, 0.0), (364, 2, 1.4), (640, 4, 2.6), (846, 6, 3.4)],
        [(0, 0, 0.0), (349, 2, 1.3), (671, 4, 2.7), (846, 6, 3.5)],
    )
    assert page.locator("input").get_attribute("max") == "3"
    assert at(page, 2) == ["epoch 4 · 2.6 s", "epoch 4 · 2.7 s"]
    assert at(page, 1) == ["epoch 2 · 1.4 s", "epoch 2 · 1.3 s"]
    assert at(page, 3) == ["epoch 6 · 3.4 s", "epoch 6 · 3.5 s"]


def test_a_film_is_as_long_as_its_longest_run(page: Page) -> None:
    film(page, [(0, 0, 0.0), (50, 1, 1.0)], [(0, 0, 0.0), (500, 1, 1.0), (1000, 2, 2.0)], [(0, 0, 0.0)])
    assert page.locator("input").get_attribute("max") == "2"
    assert at(page, 1) == ["epoch 1 · 1.0 s", "epoch 1 · 1.0 s", "untrained"]
    assert page.get_by_text("step 500").count() == 1


def test_runs_that_watch_other_images_stand_below_their_own(page: Page) -> None:
    one = [(0, 0, 0.0), (50, 1, 1.0)]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(HERE).partition("?")[0]))
    film(page, one, one, one, watched=(1, 1, 2))
    names = page.locator(".name b").all_inner_texts()
    assert names == ["Original", "0", "1", "Original", "2"]
    assert [path for path in asked if "inputs" in path] == ["api/inputs/0.png", "api/inputs/2.png"]
    assert page.locator(".name:not(.run) span").all_inner_texts() == ["held-out images", "other held-out images"]


def scales(page: Page, y: float, alike: bool) -> Any:
    """Pixels a unit along both axes, of points of 10 units along x and `y` along y in a square field."""
    page.add_script_tag(content=(FOLDER / "latent_plane.js").read_text())
    x = np.linspace(0, 10, 50).tolist()
    points = f"{{ n: 50, x: new Float32Array({x}), y: new Float32Array({x}.map((v) => v * {y / 10})) }}"
    return page.evaluate(
        f"(() => {{ const {{ sx, sy }} = fit({points}, 100, 100, {str(alike).lower()}); return [sx, sy]; }})()"
    )


def test_the_numbers_of_an_axis_tell_each_line_from_the_next_however_near_one_looks(page: Page) -> None:
    page.add_script_tag(content=(FOLDER / "latent_plane.js").read_text())
    texts = lambda centre, scale: [text for _, text in page.evaluate(f"ticks({centre}, {scale}, 500, 90)")]
    assert texts(0, 50) == ["−4", "−2", "0", "2", "4"]
    assert texts(-2.455, 50_000) == ["−2.46", "−2.458", "−2.456", "−2.454", "−2.452", "−2.45"]
    assert texts(0, 1e6) == ["−2e−4", "−1e−4", "0", "1e−4", "2e−4"]
    assert texts(3e5, 1e-3) == ["1e5", "2e5", "3e5", "4e5", "5e5"]


def test_classes_that_are_one_pile_have_one_name(page: Page) -> None:
    page.add_script_tag(content=(FOLDER / "latent_plane.js").read_text())
    x, y = np.full(60, 3.0), np.full(60, 1.0)
    group = np.tile(np.arange(6), 10)
    x[group == 2] += np.arange(10)  # spread out
    x[group == 3] += 1  # a pile elsewhere
    x[4] = 9  # one of a pile that strays
    points = f"{{ n: 60, x: {x.tolist()}, y: {y.tolist()}, group: {group.tolist()} }}"
    found = page.evaluate(f"piles(middles({points}, new Array(60).fill(1), 5), {{ sx: 90, sy: 90 }})")
    assert [(one["group"], one["others"]) for one in found] == [(0, [1, 4]), (2, []), (3, [])], "5 has no name"


def test_principal_components_have_one_scale_and_units_of_the_code_their_own(page: Page) -> None:
    thin, wide = scales(page, 0.1, alike=True), scales(page, 0.1, alike=False)
    assert thin[0] == thin[1]
    assert wide[1] > 50 * wide[0]
