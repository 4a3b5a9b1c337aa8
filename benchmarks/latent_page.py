"""The latent page with very many points in Chromium: picture on the screen, hover handler, decoding, a large selection.

    python -m benchmarks.latent_page --lab LAB --run RUN [--points 70000] [--rounds 5]

A copy of the lab is used. The run must be analysed; its codes are repeated, a little aside, up to so many points. "Does not
answer" is the longest time that the page was busy in one piece: frames themselves are drawn by a software renderer here. In turn
with the page a Streamlit app of one title is opened, of the same settings: what no page of Streamlit's can be faster than.
"""

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from playwright.sync_api import Browser, Page

from aecore.jobs.supervisor import stop_supervisor
from aecore.runs import Lab, RunFolder
from tests.browser import chromium, dashboard

SELECTED = 20_000
REST = 2_500
"""Milliseconds in which the rest of a page comes."""
READY = ".latent-map[data-state=ready]"
EMPTY = "import streamlit as st\n\nst.title('Empty')\n"
AGAIN = """async (root, route) => { const map = root.latentMap, took = [];
  for (let k = 0; k < 60; k++) {
    const url = route === "decode" ? map.decodeUrl(map.view.x + k / 7, map.view.y - k / 9) : map.pictureUrl(100 + 37 * k);
    const start = performance.now();
    await createImageBitmap(await (await fetch(new URL(url, document.baseURI))).blob());
    took.push(performance.now() - start);
  } return took; }"""
LAST = """root => { const map = root.latentMap, i = map.points.n - 1, took = [];
  const [x, y] = map.toScreen(map.points.x[i], map.points.y[i]);
  for (let k = 0; k < 60; k++) { map.hover = -1; const start = performance.now(); map.hovered(x, y, false); took.push(performance.now() - start); }
  return took; }"""
PAN = """async (root) => { const map = root.latentMap, took = [];
  const frame = () => new Promise((done) => requestAnimationFrame(() => done(performance.now())));
  for (let k = 0, last = await frame(); k < 20; k++) {
    map.view = { ...map.view, x: map.view.x + (k % 2 ? 1 : -1) * 20 / map.view.sx };
    map.glide();
    const now = await frame();
    took.push(now - last);
    last = now;
  } return took; }"""
SELECT = """(root, wanted) => { const map = root.latentMap, { x } = map.points, edge = [...x].sort((a, b) => a - b)[wanted];
  const polygon = [[-1e6, -1e6], [edge, -1e6], [edge, 1e6], [-1e6, 1e6]], start = performance.now();
  const chosen = map.within(polygon);
  map.select({ kind: "polygon", polygon }, chosen);
  const took = performance.now() - start;
  return [[...map.points.index].filter((i) => chosen.has(i)).length, took]; }"""
BUSY = """() => { new MutationObserver(() => { if (document.querySelector("h1") && !window.titled) window.titled = performance.now(); })
    .observe(document, { childList: true, subtree: true });
  let last = performance.now(); window.longest = 0;
  setInterval(() => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; }, 10); }"""

CAME = """performance.getEntriesByName("latent-ready")[0]?.startTime ?? window.titled"""


def grow(folder: RunFolder, points: int) -> None:
    """Make the analysed training split so long."""
    kept = folder.analysis("train")
    assert kept is not None, f"{folder.id} is not analysed"
    n = len(kept["labels"])
    again = np.arange(points) % n
    grown = {name: array[again] for name, array in kept.items()}
    grown["codes"] = grown["codes"] + 0.01 * (np.arange(points) // n)[:, None].astype(np.float32)
    folder.write_analysis({"train": grown}, {})


def said(name: str, took: list[float], unit: str = "ms") -> None:
    took = sorted(took)
    middle, late = took[len(took) // 2], took[int(len(took) * 0.95)]
    print(f"{name:<44} p50 {middle:7.2f} {unit}   p95 {late:7.2f} {unit}   n {len(took)}", flush=True)


class Opened(NamedTuple):
    """A page, and how it came."""

    page: Page
    new: float
    """Seconds until what is wanted is there, in a browser that has seen nothing."""
    again: float
    """The same in the same browser."""
    own: tuple[float, float]
    """Both by the page's own clock, from the address on, until it was drawn: nobody has to notice it."""
    busy: float
    """Longest time in one piece that it did not answer, the second time, in milliseconds."""


def opened(browser: Browser, url: str, wanted: str) -> Opened:
    """Open a page twice, in a context of its own."""
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.add_init_script(f"({BUSY})()")
    seconds, own, busy = [], [], 0.0
    for _ in range(2):
        start = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector(wanted, timeout=60_000)
        seconds.append(time.perf_counter() - start)
        busy = page.evaluate("window.longest")
        own.append(page.evaluate(CAME) / 1000)
        page.wait_for_timeout(REST)  # else the second time begins with what is left of the first
    return Opened(page, seconds[0], seconds[1], (own[0], own[1]), busy)


def come_up(browser: Browser, url: str, floor: str, rounds: int, points: int) -> Page:
    """Open the map and an empty page in turn, say how long both took, and return the last map's page."""
    pages: list[Opened] = []
    empty: list[Opened] = []
    for _ in range(rounds + 1):
        for found, address, wanted in ((empty, floor, "h1"), (pages, url, READY)):
            if found:
                found[-1].page.context.close()
            found.append(opened(browser, address, wanted))
    (_, *empty), (_, *pages), page = empty, pages, pages[-1].page  # the first visitor pays for the servers' imports
    said("an empty page of Streamlit's, new browser", [found.new for found in empty], "s")
    said("the same, its scripts in the browser's cache", [found.again for found in empty], "s")
    said(f"from the address to {points:,} points, new browser", [found.new for found in pages], "s")
    said("the same, the scripts in the browser's cache", [found.again for found in pages], "s")
    for place, kind in enumerate(("new browser", "again")):
        said(f"by its own clock, {kind}, an empty page", [found.own[place] for found in empty], "s")
        said(f"by its own clock, {kind}, the points", [found.own[place] for found in pages], "s")
    said("does not answer while it opens", [found.busy for found in pages])
    return page


def hovers(page: Page) -> list[float]:
    """Milliseconds of the handler for 400 moves of the pointer across the map."""
    box: Any = page.locator(".latent-map .field").bounding_box()
    chance = random.Random(0)
    page.locator(".latent-map").evaluate("root => { root.latentMap.timings.length = 0; }")
    for _ in range(400):
        page.mouse.move(box["x"] + box["width"] * chance.random(), box["y"] + box["height"] * chance.random())
    took: list[float] = page.locator(".latent-map").evaluate("root => root.latentMap.timings")
    return took


def select(page: Page, wanted: int) -> None:
    """A selection of so many points, until its gallery is there."""
    start = time.perf_counter()
    found, highlight = page.locator(".latent-map").evaluate(SELECT, wanted)
    page.get_by_text(f"{found:,} of ").first.wait_for()
    page.wait_for_function("[...document.querySelectorAll('.latent-tiles img')].filter((i) => i.complete).length >= 60")
    said(f"selection of {found:,} points, highlighted", [highlight])
    said("the same, until 60 of its pictures stand beside the map", [time.perf_counter() - start], "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--points", type=int, default=70_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lab = Path(place) / "lab"
        shutil.copytree(asked.lab, lab, ignore=shutil.ignore_patterns("*.lock", "locks"))
        grow(RunFolder(lab / "runs" / asked.run), asked.points)
        (bare := Path(place) / "empty.py").write_text(EMPTY)
        with dashboard(lab) as address, dashboard(lab, app=str(bare)) as floor, chromium() as browser:
            url = f"{address}/latent?run={asked.run}&split=train&n=all"
            page = come_up(browser, url, floor, asked.rounds, asked.points)
            map_ = page.locator(".latent-map")
            assert map_.evaluate("root => root.latentMap.points.n") == asked.points
            time.sleep(1)
            said("hover handler, anywhere", hovers(page))
            said("hover handler, the last point", map_.evaluate(LAST))
            first, *decoded = map_.evaluate(AGAIN, "decode")
            said("picture of the first place, request to bitmap", [first])
            said("picture of a place, request to bitmap", decoded)
            said("picture of a point, request to bitmap", map_.evaluate(AGAIN, "thumb"))
            said("moving the map, from frame to frame", map_.evaluate(PAN))
            select(page, min(SELECTED, asked.points // 2))
        stop_supervisor(Lab.open(lab))


if __name__ == "__main__":
    main()
