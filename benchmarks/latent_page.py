"""The latent page with very many points in Chromium: picture on the screen, hover handler, decoding, a large selection.

    python -m benchmarks.latent_page --lab LAB --run RUN [--points 70000] [--rounds 5]

A copy of the lab is used. The run must be analysed; its codes are repeated, a little aside, up to so many points. "Does not
answer" is the longest time that the page was busy in one piece: frames themselves are drawn by a software renderer here.
"""

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page

from aecore.jobs.supervisor import stop_supervisor
from aecore.runs import Lab, RunFolder
from tests.browser import chromium, dashboard

SELECTED = 20_000
READY = ".latent-map[data-state=ready]"
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
  for (let k = 0; k < 20; k++) {
    const start = performance.now();
    map.view = { ...map.view, x: map.view.x + (k % 2 ? 1 : -1) * 20 / map.view.sx };
    map.draw(); map.painter.gl?.finish();
    took.push(performance.now() - start);
    await new Promise((done) => setTimeout(done));
  } return took; }"""
SELECT = """(root, wanted) => { const map = root.latentMap, { x } = map.points, edge = [...x].sort((a, b) => a - b)[wanted];
  const polygon = [[-1e6, -1e6], [edge, -1e6], [edge, 1e6], [-1e6, 1e6]], start = performance.now();
  const chosen = map.within(polygon);
  map.select({ kind: "polygon", polygon }, chosen);
  const took = performance.now() - start;
  return [[...map.points.index].filter((i) => chosen.has(i)).length, took]; }"""
BUSY = """() => { let last = performance.now(); window.longest = 0;
  setInterval(() => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; }, 10); }"""


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


def opened(browser: Browser, url: str) -> tuple[Page, float, float]:
    """A page in a browser that has seen nothing, and in one that has: seconds until all points are drawn."""
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.add_init_script(f"({BUSY})()")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector(READY, timeout=60_000)
        seconds.append(time.perf_counter() - start)
    return page, seconds[0], seconds[1]


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
        with dashboard(lab) as address, chromium() as browser:
            url = f"{address}/latent?run={asked.run}&split=train&n=all"
            opened(browser, url)  # the server's first visitor pays for its imports
            pages = [opened(browser, url) for _ in range(asked.rounds)]
            page = pages[-1][0]
            map_ = page.locator(".latent-map")
            assert map_.evaluate("root => root.latentMap.points.n") == asked.points
            said(f"from the address to {asked.points:,} points, new browser", [first for _, first, _ in pages], "s")
            said("the same, the dashboard's scripts in its cache", [again for _, _, again in pages], "s")
            said("does not answer while it opens", [p.evaluate("window.longest") for p, _, _ in pages])
            time.sleep(1)
            said("hover handler, anywhere", hovers(page))
            said("hover handler, the last point", map_.evaluate(LAST))
            said("picture of a place, request to bitmap", map_.evaluate(AGAIN, "decode"))
            said("picture of a point, request to bitmap", map_.evaluate(AGAIN, "thumb"))
            said("moving the map, one frame by software", map_.evaluate(PAN))
            select(page, min(SELECTED, asked.points // 2))
        stop_supervisor(Lab.open(lab))


if __name__ == "__main__":
    main()
