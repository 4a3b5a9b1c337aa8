"""How long ten models and twenty images take from the address to the screen.

    python -m benchmarks.compare_wall [--lab LAB --runs A,B,...] [--models 10] [--images 20] [--rounds 5]

Without a lab it trains the models itself, on `glyphs` for one epoch each. A new browser each time, and the same one again; in turn
with an empty page of Streamlit's. Twice: by this program's clock, which has to ask the page, and by the page's own, from the
beginning of the navigation to the frame after every cell was painted (to the title, of an empty page).
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser

from aecore.config import preset, with_values
from aecore.jobs.foreground import train_here
from aecore.jobs.supervisor import stop_supervisor
from aecore.runs import Lab
from tests.browser import chromium, dashboard

EMPTY = "import streamlit as st\n\nst.title('Empty')\n"
DRAWN = "[data-cells]"
"""Set once every cell is on the screen."""
TITLED = """new MutationObserver(() => { if (document.querySelector("h1") && !window.titled) window.titled = performance.now(); })
    .observe(document, { childList: true, subtree: true });"""
CAME = """performance.getEntriesByName("wall-drawn")[0]?.startTime ?? window.titled"""


class Took(NamedTuple):
    """Seconds until what is wanted stands there, by both clocks, in a new browser and in the same one again."""

    new: float
    again: float
    new_own: float
    again_own: float


def trained(lab: Lab, count: int) -> list[str]:
    """Runs of the demo for one epoch, code sizes 2, 3, ..."""
    base = with_values(preset("demo").config, {"training.epochs": 1, "training.device": "cpu"})
    return [train_here(lab, with_values(base, {"model.bottleneck.latent_dim": 2 + i}), "bench") for i in range(count)]


def measure(browser: Browser, address: str, wanted: str, cells: int = 0) -> Took:
    """Open an address in a new browser profile, and in the same one again."""
    context, found, own = browser.new_context(viewport={"width": 1920, "height": 1080}), [], []
    page = context.new_page()
    page.add_init_script(TITLED)
    for _ in range(2):
        begin = time.monotonic()
        page.goto(address, wait_until="commit")
        stands = page.wait_for_selector(wanted, timeout=120_000)
        found.append(time.monotonic() - begin)
        drawn = int(stands.get_attribute("data-cells") or 0) if stands else 0
        assert drawn >= cells, f"{drawn} cells were drawn, not {cells}"
        own.append(page.evaluate(CAME) / 1000)
        page.wait_for_timeout(2000)  # the rest of the page follows
    context.close()
    return Took(*found, *own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path)
    parser.add_argument("--runs", default="")
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab.open(args.lab or Path(folder) / "lab")
        runs = args.runs.split(",") if args.runs else trained(lab, args.models)
        (bare := Path(folder) / "empty.py").write_text(EMPTY)
        with dashboard(lab.path) as address, dashboard(lab.path, app=str(bare)) as floor, chromium() as browser:
            url = f"{address}/compare?runs={','.join(runs)}&rows={args.images}+images"
            pages = {
                f"{len(runs)} models x {args.images} images": (url, DRAWN, len(runs) * args.images),
                "an empty page of Streamlit's": (floor, "h1", 0),
            }
            for _ in range(2):  # what servers read or import once, for all their visitors
                for page in pages.values():
                    measure(browser, *page)
            times = [[measure(browser, *page) for page in pages.values()] for _ in range(args.rounds)]
        stop_supervisor(lab)
    for name, took in zip(pages, zip(*times, strict=True), strict=True):
        middle = Took(*(statistics.median(column) for column in zip(*took, strict=True)))
        print(f"{name}: {middle.new:.2f} s in a new browser, {middle.again:.2f} s in one that was there before")
        print(f"  by the page's own clock {middle.new_own:.2f} s and {middle.again_own:.2f} s")


if __name__ == "__main__":
    main()
