"""The card at the cursor and what colours the points; the controls above the map and the sections below it."""

import numpy as np
import pytest
from playwright.sync_api import expect

from aecore.data.fonts import FONTS
from tests.test_latent_browser import Place, here, on, point_at  # noqa: F401 (a fixture)
from ui import latent_colours
from ui.palette import label_colour

SHAPES = [(16, 48), (48, 16), (8, 8), (28, 28), (96, 96), (256, 256), (218, 178), (4, 512), (512, 4)]
"""Height and width of pictures."""
SHOWN = """
map.cursor = [map.w / 2, map.h / 2];
map.card.show("#000000", ["a", "Font: DejaVu Sans Bold Oblique"], picture, words, "test image 1 · error 0.1");
const card = map.card.root.getBoundingClientRect(), box = (one) => one.getBoundingClientRect().toJSON();
return { card, plot: box(map.plot), figures: [...map.card.root.querySelectorAll("figure")].map((one) => [box(one.children[0]), box(one.children[1])]) };"""


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_the_card_holds_its_pictures_whatever_their_shape_each_word_below_its_own(
    here: Place,  # noqa: F811
    size: tuple[int, int],
) -> None:
    page = here.open(run=here.ids[0], split="test")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    map_ = page.locator(".latent-map")
    for words in (["image", "reconstruction"], ["image"]):
        for high, wide in SHAPES:
            given = f"const words = {words}, picture = new OffscreenCanvas({wide} * words.length, {high});"
            found = on(map_, f'{given} picture.getContext("2d"); {SHOWN}')
            assert inside(found["card"], found["plot"]), (high, wide)
            assert len(found["figures"]) == len(words)
            for canvas, word in found["figures"]:
                assert inside(canvas, found["card"]), (high, wide)
                assert inside(word, found["card"]), (high, wide)
                assert canvas["bottom"] <= word["top"], (high, wide)
                assert canvas["left"] == word["left"], (high, wide)
            if len(words) == 2:
                (first, _), (second, _) = found["figures"]
                assert first["right"] < second["left"] or first["bottom"] < second["top"], (high, wide)


def inside(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(one[side] >= other[side] - 0.5 for side in ("left", "top")) and all(
        one[side] <= other[side] + 0.5 for side in ("right", "bottom")
    )


def test_the_card_says_what_colours_a_point_beside_its_label(here: Place) -> None:  # noqa: F811
    for colour, title in (("error", "Error: "), ("label", "")):
        page = here.open(run=here.ids[0], split="test", colour=colour)
        map_ = page.locator(".latent-map")
        point_at(page, map_, 5)
        page.locator(".latent-map .card").get_by_text("reconstruction").wait_for()
        label, group = on(
            map_, "const { hover: i, points: p } = map; return [map.name(p.label[i]), map.groupName(p.group[i])]"
        )
        said = page.locator(".latent-map .card .title span").all_inner_texts()
        assert said == ([label, title + group] if title else [label])
        assert group in page.locator(".latent-map .legend b").all_inner_texts()


def test_ranges_and_fonts_are_called_by_words() -> None:
    assert latent_colours.bins(np.linspace(-20, 20, 801)).names[0] == "−20 to −15"
    assert latent_colours.bins(np.array([-1.0, 2.0])).names == ("−1", "2")
    fonts = latent_colours.bins(np.arange(16.0), latent_colours.NAMED["factor.font"])
    assert fonts.names == tuple(FONTS)
    assert fonts.colours[3] == label_colour(3)


def test_the_controls_of_the_axes_stand_in_the_row_of_the_others(here: Place) -> None:  # noqa: F811
    page = here.open(run=here.ids[1], split="test", map="dims", dims="3")
    expect(page.get_by_role("combobox", name="Axis 3")).to_be_visible()
    boxes = [one.bounding_box() for one in page.locator(".st-key-latent-head > *").all()]
    bottoms = {round(box["y"] + box["height"]) for box in boxes if box}
    assert len(boxes) == 9
    assert len(bottoms) == 1


STALE = """() => {
  window.both = 0;
  const there = (part) => document.querySelector(part);
  new MutationObserver(() => { if (there(".st-key-latent-beside") && there(".latent-figures")) window.both++; })
    .observe(document.body, { childList: true, subtree: true });
}"""


def test_a_section_shows_nothing_of_another_one_while_it_is_computed(here: Place) -> None:  # noqa: F811
    page = here.open(run=here.ids[0], split="test", below="quality")
    page.locator(".latent-figures").first.wait_for()
    page.evaluate(STALE)
    page.get_by_text("Beside another model or moment").click()
    expect(page.locator(".latent-map[data-state=ready]")).to_have_count(3, timeout=90_000)
    assert page.evaluate("window.both") == 0
