"""The plot of the live curves, drawn by a browser: what its axis says, and how its lines stand out."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import chromium
from ui.palette import RUNS

COMPONENTS = Path(__file__).parents[1] / "ui/components"
LABELS = """([last, width]) => {
  const said = [], pen = new Proxy(document.createElement("canvas").getContext("2d"), {
    get: (of, name) => name === "fillText" ? (text, x, y) => { if (y > 310 && y < 330) said.push([text, x, of.measureText(text).width]); }
      : typeof of[name] === "function" ? of[name].bind(of) : of[name],
    set: (of, name, value) => { of[name] = value; return true; },
  });
  const look = { em: 1, ink: "#000000", paper: "#ffffff", line: "#cccccc", font: "16px sans-serif" };
  const box = { x: 74, y: 36, w: width - 92, h: 270 };
  new Plot(pen, look, { box, range: { x: [0, last], y: [0, 1] }, log: false, whole: true, width, titles: { x: "step", y: "loss" } }).axes();
  return said;
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        made = browser.new_page()
        for part in ("curves_data", "curves_plot"):
            made.add_script_tag(path=COMPONENTS / f"{part}.js")
        yield made


@pytest.mark.parametrize("last", [32, 66, 846, 1_601, 4_690, 17_000, 469_000, 2_001_000])
@pytest.mark.parametrize("width", [513, 760, 1_200])
def test_an_axis_of_steps_has_four_to_nine_round_numbers_with_room_between_them(
    page: Page, last: int, width: int
) -> None:
    said = page.evaluate(LABELS, [last, width])
    assert (4 if last < 1e6 else 3) <= len(said) <= 9
    assert [text for text, _, _ in said[:2]] == ["0", f"{int(said[1][0].replace(',', '')):,}"]
    for (_, left, wide), (_, right, wider) in pairwise(said):
        assert right - left > (wide + wider) / 2 + 8


@pytest.mark.parametrize("paper", ["#fdfdfb", "#0f1117", "#ffffff"])
@pytest.mark.parametrize("colour", RUNS)
def test_the_curve_of_each_step_stands_out_by_three_to_one_and_no_more_than_it_must(
    page: Page, colour: str, paper: str
) -> None:
    share = page.evaluate("([colour, paper]) => faintest(colour, paper)", [colour, paper])
    ink, ground = channels(colour), channels(paper)
    mixed = [b + share * (a - b) for a, b in zip(ink, ground, strict=True)]
    lights = sorted([luminance(mixed), luminance(ground)])
    contrast = (lights[1] + 0.05) / (lights[0] + 0.05)
    assert contrast >= 2.95
    assert share in (0.4, 1) or contrast < 3.3


def channels(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def luminance(parts: list[float]) -> float:
    """Of sRGB, as WCAG 2.1 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
