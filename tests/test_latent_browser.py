"""The latent map in a real browser: hovering, lasso, decoding, 70,000 points that turn, and a linked pair."""

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from aecore.runs import Lab, RunFolder
from tests.browser import chromium, dashboard, keep, settle
from tests.conftest import TwoRuns, close

ABOVE = "[class*=st-key-latent-split]"
"""What stands above the map, and comes after it."""


class Place(NamedTuple):
    """A dashboard on a lab of this file's own, with the two runs of the session, and a browser."""

    lab: Lab
    ids: tuple[str, str]
    address: str
    browser: Browser

    def open(self, before: str = "", /, **query: str) -> Page:
        """The Latent page, once its map and what follows it are there and its script has run; `before` runs in it before everything else."""
        page = self.browser.new_page(viewport={"width": 1280, "height": 720})
        page.add_init_script(before)
        page.goto(f"{self.address}/latent?" + "&".join(f"{name}={value}" for name, value in query.items()))
        for part in (".latent-map[data-state=ready]", ABOVE):
            page.wait_for_selector(part, timeout=60_000)
        settle(page)
        return page


@pytest.fixture(scope="module")
def here(two_runs: TwoRuns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("latent") / "lab"
    shutil.copytree(two_runs.lab.path, path, ignore=shutil.ignore_patterns("locks", "*.lock"))
    own = Lab.open(path)
    with dashboard(path) as address, chromium() as browser:
        yield Place(own, two_runs.ids, address, browser)
    close(own)


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place of the map's field, 0 to 1 from its left and top, in pixels of the page."""
    found = page.locator(".latent-map .field").bounding_box()
    assert found
    return found["x"] + found["width"] * x, found["y"] + found["height"] * y


def lasso(page: Page, first: tuple[float, float], *others: tuple[float, float]) -> None:
    """Draw around what lies between these places, and wait for its pictures."""
    page.keyboard.down("Shift")
    page.mouse.move(*place(page, *first))
    page.mouse.down()
    for corner in others:
        page.mouse.move(*place(page, *corner), steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_selector(".latent-tiles img")


def on(map_: Locator, script: str) -> Any:
    return map_.evaluate(f"root => {{ const map = root.latentMap; {script} }}")


def test_hovering_lasso_decoding_and_drawing_work_together(here: Place) -> None:
    page = here.open(run=here.ids[0], split="test")
    map_, card = page.locator(".latent-map"), page.locator(".latent-map .card")
    keep(page, "latent")

    x, y, index = on(
        map_, "const [x, y] = map.toScreen(map.points.x[5], map.points.y[5]); return [x, y, map.points.index[5]]"
    )
    corner = page.locator(".latent-map .over").bounding_box()
    page.mouse.move(corner["x"] + x, corner["y"] + y)
    card.get_by_text(f"test image {index}").wait_for()
    card.get_by_text("reconstruction").wait_for()
    keep(page, "latent-hover")

    page.mouse.move(*place(page, 0.99, 0.01))
    card.get_by_text("The decoder draws").wait_for()
    page.mouse.click(*place(page, 0.985, 0.02))
    page.get_by_text("Pinned places").wait_for()

    lasso(page, (0.02, 0.02), (0.6, 0.02), (0.6, 0.98), (0.02, 0.98))
    chosen = on(map_, "return map.chosen.size")
    assert 0 < chosen < len(here.lab.run(here.ids[0]).analysis("test")["labels"])
    assert page.get_by_text(f"{chosen} of ").first.is_visible(), "both sides count alike"
    keep(page, "latent-selection")

    page.get_by_role("combobox", name="Colour").click()
    page.get_by_role("listbox").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("listbox").wait_for(state="detached")
    assert on(map_, "return map.chosen.size") == chosen, "that Escape was the menu's"
    page.keyboard.press("Escape")
    page.wait_for_selector(".latent-tiles", state="detached")
    page.locator("[class*=st-key-latent-draw] button").first.click()
    board = page.get_by_label("Draw here").bounding_box()
    page.mouse.move(board["x"] + 90, board["y"] + 60)
    page.mouse.down()
    page.mouse.move(board["x"] + 90, board["y"] + 220, steps=5)
    page.mouse.up()
    page.get_by_text("Your drawing").wait_for()
    assert on(map_, "return map.data.marks[0][0]") == "your drawing"
    keep(page, "latent-drawing")
    page.keyboard.press("Escape")

    page.locator(".latent-map .legend button").nth(1).click()
    assert on(map_, "return map.shown.reduce((a, b) => a + b, 0)") == on(map_, "return map.counts[1]")
    other = "const other = map.points.group.findIndex((group) => group !== 1);"
    faint = on(map_, f"{other} return [...map.colours.slice(4 * other, 4 * other + 3)]")
    assert faint == [218, 219, 221], "a pile of what is not shown is no darker than this, whatever colour lies on it"


NEIGHBOURS = """const at = (i) => map.toScreen(map.points.x[i], map.points.y[i]), own = (i) => map.pick(...at(i)) === i;
  for (let i = 0; i < map.points.n; i++) for (const j of own(i) ? map.around(...at(i)) : [])
    if (j !== i && own(j) && Math.hypot(at(i)[0] - at(j)[0], at(i)[1] - at(j)[1]) > 9) return [i, j, map.pictureUrl(j), map.points.index[j]];"""


def point_at(page: Page, map_: Locator, place: int) -> None:
    """Move to a point, wherever the page has the map and the map has the point by now."""
    corner = map_.locator(".over").bounding_box()
    assert corner
    x, y = on(map_, f"return map.toScreen(map.points.x[{place}], map.points.y[{place}])")
    page.mouse.move(corner["x"] + x, corner["y"] + y)


def test_the_pictures_of_points_around_the_pointer_are_there_before_it_and_names_give_way(here: Place) -> None:
    page, asked = here.open(run=here.ids[0], split="test"), []
    map_, card = page.locator(".latent-map"), page.locator(".latent-map .card")
    first, second, url, index = on(map_, NEIGHBOURS)
    point_at(page, map_, first)
    root = map_.element_handle()
    page.wait_for_function("([root, url]) => root.latentMap.card.pictures.kept.has(url)", arg=[root, url])
    page.on("request", lambda request: asked.append(request.url))
    point_at(page, map_, second)
    card.get_by_text(f"test image {index} ").wait_for()
    card.get_by_text("reconstruction").wait_for()
    assert not [url for url in asked if f"/test/{index}.png" in url], "it was there"

    name, x, y, _ = on(map_, "return map.overlay.named[0]")
    corner = page.locator(".latent-map .over").bounding_box()
    assert corner
    page.mouse.move(corner["x"] + x, corner["y"] + y)
    faint = "([root, text]) => { const { named, faint } = root.latentMap.overlay; return (named[faint]?.[0] ?? null) === text; }"
    page.wait_for_function(faint, arg=[root, name])
    page.mouse.move(5, 5)
    page.wait_for_function(faint, arg=[root, None])


def test_a_selection_is_shown_alone_and_all_points_again(here: Place) -> None:
    page = here.open(run=here.ids[0], split="test")
    root = page.locator(".latent-map").element_handle()
    lasso(page, (0.02, 0.02), (0.5, 0.02), (0.5, 0.98), (0.02, 0.98))
    shown = "([root, n]) => root.latentMap.points.n === n"
    some, every = on(page.locator(".latent-map"), "return [map.chosen.size, map.points.n]")
    assert 0 < some < every
    page.get_by_role("button", name="Only these").click()
    page.wait_for_function(shown, arg=[root, some])
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function(shown, arg=[root, every])


def test_an_image_of_ones_own_is_marked_and_its_box_gives_way_to_what_is_said_of_it(
    here: Place, tmp_path: Path
) -> None:
    page, box = here.open(run=here.ids[0], split="test"), ".st-key-latent-image button"
    (broken := tmp_path / "broken.png").write_bytes(b"no image")
    Image.new("L", (28, 28), 255).save(white := tmp_path / "white.png")
    for file, said in ((broken, "broken.png cannot be read as an image."), (white, "Your image")):
        settle(page)  # nobody chooses a file within a script's run
        page.locator(box).first.click()  # its second one is for narrow screens
        page.locator("input[type=file]").wait_for(state="attached")
        settle(page)
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_text(said).wait_for()
        expect(page.locator("input[type=file]")).to_have_count(0)
    map_ = page.locator(".latent-map")
    page.wait_for_function("root => root.latentMap.data.marks.length === 1", arg=map_.element_handle())
    assert [text for text, *_ in on(map_, f"{NEAR} {WORDS}")] == ["your image"]
    [(said, left, right)] = on(map_, f"{FAR} {WORDS}")
    assert said == "your image, further out"
    assert 0 <= left < right <= on(map_, "return map.w")


NEAR = "map.data.marks = [['your image', map.view.x, map.view.y]];"
FAR = "map.data.marks = [['your image', -1e6, 1e6]];"
WORDS = """const said = [], { overlay } = map, { halo, pen } = overlay, left = map.toScreen(map.view.x, 0)[0] - map.w / 2;
overlay.halo = (text, x) => { const half = pen.measureText(text).width / 2; said.push([text, x - left - half, x - left + half]); };
overlay.draw();
overlay.halo = halo;
return said.filter(([text]) => text.startsWith("your"));"""
"""What stands beside the mark, and from where to where in the field."""


def test_a_class_that_is_out_of_sight_is_not_named_and_no_name_is_cut(here: Place) -> None:
    map_ = here.open(run=here.ids[0], split="test").locator(".latent-map")
    every, some, none, cut = on(map_, NAMES)
    assert every == on(map_, "return map.middles.length")
    assert 0 < some < every
    assert none == 0
    assert cut == []


NAMES = """const { overlay, view } = map, cut = [], before = { ...view };
const named = (x, y, zoom) => {
  Object.assign(view, { x, y, sx: before.sx * zoom, sy: before.sy * zoom });
  overlay.draw();
  cut.push(...overlay.named.filter(([, px, py, wide]) => py < 12 || py > map.h || !map.inField(px - wide / 2, py) || !map.inField(px + wide / 2, py)));
  return overlay.named.length;
};
const found = [named(before.x, before.y, 1)];
const far = map.middles.reduce((a, b) => (Math.hypot(a.x - before.x, a.y - before.y) > Math.hypot(b.x - before.x, b.y - before.y) ? a : b));
found.push(named(far.x, far.y, 200), named(1e6, 1e6, 1));
for (const zoom of [1.5, 2, 3, 5, 8, 20]) for (const { x, y } of map.middles) named(x, y, zoom);
Object.assign(view, before);
return [...found, cut];"""
"""Names at first, near one class, and far from all; those that do not lie in the field."""


def test_no_number_of_an_axis_is_cut_wherever_the_map_is_moved(here: Place) -> None:
    map_ = here.open(run=here.ids[0], split="test").locator(".latent-map")
    numbers, cut = on(map_, NUMBERS)
    assert numbers > 200
    assert cut == []


NUMBERS = """const { overlay } = map, { pen, canvas } = overlay, write = pen.fillText, cut = [];
let numbers = 0;
pen.fillText = (text, x, y, most = Infinity) => {
  if (/^[−.0-9e]+$/.test(text) && !pen.getTransform().b) {
    const wide = Math.min(most, pen.measureText(text).width), left = x - wide * (pen.textAlign === "center" ? 0.5 : 1);
    numbers += 1;
    if (left < 0 || left + wide > canvas.clientWidth || y < 6) cut.push([text, x, y]);
  }
  write.call(pen, text, x, y, ...(most < Infinity ? [most] : []));
};
for (let step = 0; step < 60; step++) {
  map.view.x += 7 / map.view.sx;
  map.view.y += 3 / map.view.sy;
  if (step === 30) { map.view.sx *= 3e4; map.view.sy *= 3e4; }
  overlay.draw();
}
delete pen.fillText;
return [numbers, cut];"""


def test_a_new_visitor_sees_the_map_which_stays_when_the_rest_of_the_page_comes(here: Place) -> None:
    page, asked = here.browser.new_page(viewport={"width": 1280, "height": 720}), []
    page.on("request", lambda request: asked.append(request.url) if "/api/points/" in request.url else None)
    page.goto(f"{here.address}/latent?run={here.ids[0]}&split=test")
    page.wait_for_selector(".latent-map[data-state=ready]", timeout=60_000)
    first = page.locator(".latent-map .field").bounding_box()
    for part in ("[class*=st-key-latent-below]", ABOVE):
        page.wait_for_selector(part, timeout=60_000)
    settle(page)
    page.wait_for_selector(f"{ABOVE} button")  # the form of a control is read after its place
    assert page.locator(".latent-map .field").bounding_box() == first, "it stays where a hand may be drawing already"
    expect(page.locator(".latent-map[data-state=ready]")).to_have_count(1)
    assert len(asked) == 1, "its points are read once"


CARD = """const given = WebGL2RenderingContext.prototype.getParameter;
WebGL2RenderingContext.prototype.getParameter = function (name) {
  const value = given.call(this, name);
  return typeof value === "string" ? "a graphics card" : value;
};"""
FIELD = """map.draw();
const copy = Object.assign(document.createElement("canvas"), { width: map.field.width, height: map.field.height });
copy.getContext("2d").drawImage(map.field, 0, 0);
return copy.toDataURL();"""


@pytest.mark.parametrize("dims", ["2", "3"])
def test_without_a_graphics_card_the_processor_draws_the_same_picture(here: Place, dims: str) -> None:
    found = {}
    for painter, before in (("CanvasPainter", ""), ("GLPainter", CARD)):
        page = here.open(before, run=here.ids[1], split="test", dims=dims)
        map_ = page.locator(".latent-map")
        assert on(map_, "return map.painter.constructor.name") == painter
        image = Image.open(io.BytesIO(base64.b64decode(on(map_, FIELD).partition(",")[2])))
        pixels = np.asarray(image, float)
        found[painter] = pixels[..., :3] * pixels[..., 3:] / 255
    apart = np.abs(found["CanvasPainter"] - found["GLPainter"])
    drawn = found["GLPainter"].max(-1) > 0
    assert drawn.sum() > 5_000
    assert apart[drawn].mean() < 8, "middles of discs lie up to an eighth of a pixel elsewhere"
    assert apart[~drawn].mean() < 0.5


def repeated(folder: RunFolder, points: int) -> int:
    """So many codes of the training images, each a little aside; returns how many images the other splits have."""
    splits = {split: folder.analysis(split) or {} for split in ("train", "val", "test")}
    again = np.arange(points) % len(splits["train"]["codes"])
    splits["train"] = {name: array[again] for name, array in splits["train"].items()}
    aside = np.random.default_rng(0).normal(0, 0.3, splits["train"]["codes"].shape)
    splits["train"]["codes"] = (splits["train"]["codes"] + aside).astype(np.float32)
    folder.write_analysis(splits, {})
    return sum(len(splits[split]["codes"]) for split in ("val", "test"))


def test_70_000_points_in_three_dimensions_turn_and_answer(here: Place) -> None:
    others = repeated(here.lab.run(here.ids[1]), 70_000)
    page = here.open(run=here.ids[1], split="train", n="all", dims="3")
    map_, card = page.locator(".latent-map"), page.locator(".latent-map .card")
    assert on(map_, "return map.points.n") == 70_000

    before = on(map_, "return map.turn.yaw")
    page.mouse.move(*place(page, 0.4, 0.5))
    page.mouse.down()
    page.mouse.move(*place(page, 0.6, 0.45), steps=5)
    page.mouse.up()
    assert on(map_, "return map.turn.yaw") > before + 0.5
    keep(page, "latent-3d")

    last = "const [x, y] = map.toScreen(map.points.x[69999], map.points.y[69999]);"
    x, y = on(map_, f"{last} return [x, y]")
    corner = page.locator(".latent-map .over").bounding_box()
    page.mouse.move(corner["x"] + x, corner["y"] + y)
    card.get_by_text("train image").wait_for()
    apart = (
        "const [a, b] = map.toScreen(map.points.x[map.hover], map.points.y[map.hover]); return Math.hypot(a - x, b - y)"
    )
    assert on(map_, f"{last} {apart}") < 1.5
    index = on(map_, "return map.points.index[map.hover]")
    assert f"train image {index:,}" in card.inner_text()

    lasso(page, (0.35, 0.3), (0.6, 0.3), (0.6, 0.7), (0.35, 0.7))
    images, shown = on(map_, "return [map.chosen.size, [...map.points.index].filter((i) => map.chosen.has(i)).length]")
    assert 0 < images < shown < 70_000
    assert page.get_by_text(f"{shown:,} of 70,000 selected").is_visible(), "both sides count alike from that side"

    page.locator(".latent-map .legend .behind").click()
    there = "new Promise((done) => { const look = () => map.backdrop ? done() : setTimeout(look, 50); look(); })"
    on(map_, f"return {there}")
    assert on(map_, "return map.backdrop[0].length") == others
    assert page.locator(".latent-map .legend .behind").inner_text().endswith(f"{others:,}")


def test_the_linked_pair_shares_a_selection_and_glides(here: Place) -> None:
    first, second = here.ids
    page = here.open(run=first, split="test", below="pair", beside=second)
    maps = page.locator(".latent-map[data-state=ready]")
    expect(maps).to_have_count(3, timeout=90_000)
    settle(page)
    one, two = maps.nth(1), maps.nth(2)
    views = [map_.evaluate("root => root.latentMap.view") for map_ in (one, two)]
    assert views[0] == views[1], "the same place is the same place in both"
    assert views[0]["sx"] == views[0]["sy"], "what was turned keeps its form"
    one.scroll_into_view_if_needed()
    one.evaluate(
        "root => { const map = root.latentMap, { x, index } = map.points, middle = [...x].sort((a, b) => a - b)[x.length >> 1];"
        " const polygon = [[-1e6, -1e6], [middle, -1e6], [middle, 1e6], [-1e6, 1e6]];"
        " map.select({ kind: 'polygon', polygon }, new Set([...index].filter((_, i) => x[i] < middle))); }"
    )
    count = one.evaluate("root => root.latentMap.chosen.size")
    expect(page.get_by_text(f"{count} of 297 selected")).to_be_visible(timeout=60_000)
    settle(page)
    for map_ in (two, maps.nth(0)):
        map_.evaluate(
            "(root, count) => new Promise((done) => { const look = () => root.latentMap.chosen?.size === count ? done() : setTimeout(look, 50); look(); })",
            count,
        )
    keep(page, "latent-pair")
    page.get_by_text("Gliding", exact=True).click()
    glide = page.locator(".latent-map[data-state=ready]").nth(1)
    expect(maps).to_have_count(2, timeout=60_000)
    before = glide.evaluate("root => root.latentMap.points.x[0]")
    page.get_by_text("second", exact=True).click()
    glide.evaluate(
        "(root, before) => new Promise((done) => { const look = () => root.latentMap.points.x[0] !== before ? done() : setTimeout(look, 50); look(); })",
        before,
    )
