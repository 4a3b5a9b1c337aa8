"""From the click on the demo to the first row on disk, to the first point on the screen, and to the end of both runs.

    python -m benchmarks.start [--rounds 3]

Each round starts the dashboard on an empty lab, waits until its supervisor's children are warm (and once clicks at once, for
the cold figure), and clicks in a real Chromium. The ratio is against importing torch in a fresh process, in turn.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.browser import chromium, dashboard, settle

WARM = 12.0
"""Seconds after which the supervisor's children have imported torch."""


def round_trip(wait: float) -> dict[str, float]:
    """Seconds from one click on the demo to what follows it; `wait` seconds after the page was opened."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        lab = Path(folder) / "lab"
        with dashboard(lab) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(address)
            settle(page)
            time.sleep(wait)
            click = time.monotonic()
            page.locator(".st-key-demo button").click()
            first_row = until(lambda: any(lab.glob("runs/*/metrics.csv"))) - click
            canvas = page.locator(".st-key-demo-curves canvas").first
            first_point = until(lambda: int(canvas.get_attribute("data-points") or 0) > 0) - click
            ended = until(lambda: len(list(lab.glob("runs/*/result.json"))) == 2, 120) - click
            analysed = until(lambda: len(list(lab.glob("runs/*/analysis/metrics.json"))) == 2, 120) - click
        subprocess.run(["pkill", "-f", f"aecore.jobs.supervisor {lab}"], check=False)
        time.sleep(1)
    return {
        "first row on disk": first_row,
        "first point on screen": first_point,
        "both ended": ended,
        "analysed": analysed,
    }


def until(condition: object, seconds: float = 60) -> float:
    """The moment at which a condition holds. Raises TimeoutError."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return time.monotonic()
        time.sleep(0.02)
    raise TimeoutError(f"not within {seconds} s")


def torch_import() -> float:
    """Seconds of a fresh process that imports torch."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the demo from the click on.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"importing torch in a fresh process: {statistics.median(torch_import() for _ in range(3)):.2f} s")
    for name, wait in (("warm", WARM), ("cold", 0.0)):
        found = [round_trip(wait) for _ in range(rounds)]
        for what in found[0]:
            values = [one[what] for one in found]
            print(f"{name}, {what}: {statistics.median(values):.2f} s (of {', '.join(f'{v:.2f}' for v in values)})")


if __name__ == "__main__":
    main()
