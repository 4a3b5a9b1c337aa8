"""The demo in Chromium, from the click: first point on the screen, both runs finished, both analysed.

    python -m benchmarks.demo [--rounds 3]

Each round has a new lab, a new dashboard and a new browser, all of them on this machine and so in each other's way.
at once: the click comes as soon as the page stands; later: after a visitor has read for 15 seconds.
"""

import argparse
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page

from aecore.jobs.supervisor import stop_supervisor
from aecore.runs import Lab, runs
from tests.browser import chromium, dashboard, settle

DRAWN = ".st-key-demo-curves canvas[data-points]:not([data-points='0'])"


def clicked(page: Page, lab: Lab) -> tuple[float, float, float]:
    """Seconds from the click to the first point on the screen, to the end of both runs, and to both analyses."""
    page.locator(".st-key-demo button").click()
    begin = time.perf_counter()
    page.locator(DRAWN).first.wait_for(timeout=60_000)
    shown = time.perf_counter() - begin
    finished = waited(begin, lambda: [row.state for row in runs(lab)] == ["completed"] * 2)
    filled = waited(begin, lambda: all(lab.run(row.id).analysis_metrics() for row in runs(lab)))
    return shown, finished, filled


def waited(begin: float, condition) -> float:  # type: ignore[no-untyped-def]
    while not condition():
        assert time.perf_counter() - begin < 300, "the demo does not end"
        time.sleep(0.1)
    return time.perf_counter() - begin


def visit(browser: Browser, reading: float) -> tuple[float, float, float]:
    """One visitor to a lab that nobody has used."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "lab"
        with dashboard(path) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(address)
            settle(page)
            time.sleep(reading)
            took = clicked(page, Lab.open(path))
            page.close()
        stop_supervisor(Lab.open(path))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print("click    first point  both finished  both analysed   seconds after the click")
    for _ in range(rounds):
        for name, reading in (("at once", 0.0), ("later", 15.0)):
            with chromium() as browser:
                shown, finished, filled = visit(browser, reading)
            print(f"{name:8} {shown:11.2f} {finished:14.2f} {filled:14.2f}", flush=True)


if __name__ == "__main__":
    main()
