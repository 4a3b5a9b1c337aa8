"""Every page's script with many runs in the lab, what the first one imports, and the time from the start to the first picture.

    python -m benchmarks.pages [--runs 1000] [--rows 1000] [--rounds 40] [--keep LAB] [--write docs/benchmarks]
                               [--part fill|imports|scripts|picture] [--only runs]

The scripts run as Streamlit's own test harness runs them, which adds to them. Most runs are rows and folders as the queue makes
them, with results, tags, notes and curves of `--rows` lines; two were really trained and analysed, and one counts as running.
What a page imports is what its script waits for: what the dashboard imports beside it, for later, does not count.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from aecore.config import RunConfig, parse, with_values
from aecore.jobs import marks, queue
from aecore.jobs.foreground import train_here
from aecore.runs import Lab, database, runs
from aecore.runs.folder import MetricRow
from benchmarks.compare_wall import EMPTY
from benchmarks.table import save

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "sklearn", "pandas", "plotly", "scipy")
HOLD = 0.3
"""Seconds of a page's script at the 95th percentile."""


def config(place: int, chance: random.Random) -> RunConfig:
    """Sixteen sizes and rates, each with several seeds."""
    kind = chance.choice(["vector", "gaussian"])
    base = parse({"name": f"sweep-{place // 4 % 16}", "data": {"name": "digits"}})
    values = {
        "model.bottleneck.kind": kind,
        "model.objective.kind": "elbo" if kind == "gaussian" else "reconstruction",
        "training.learning_rate": 10 ** -(2 + place // 4 % 3),
        "training.seed": place % 4,
        "training.epochs": 10 + place // 4 % 16,
    }
    return with_values(base, values)


def fill(lab: Lab, count: int, rows: int) -> None:
    """Make `count` runs that have ended, each with a result and a curve; some with tags and a note. Then two that were really trained, and one that counts as running."""
    chance = random.Random(0)
    ids = [queue.submit(lab, config(place, chance), ["ada", "bea", "cyd"][place % 3]) for place in range(count)]
    now = time.time()
    for place, run_id in enumerate(ids):
        error = chance.uniform(0.005, 0.05)
        lab.run(run_id).write_result({"mse": error, "psnr": 20 - error, "ssim": 1 - error, "seconds": 12.5, "n": 360})
        lab.run(run_id).append_metrics(curve(rows, error))
        state = chance.choice(["completed"] * 8 + ["failed", "cancelled"])
        _set(lab, run_id, state=state, step=rows, epoch=10, loss=error, started=now, ended=now + place)
    marks.tag(lab, ids[::5], ["sweep", "for the paper"])
    marks.annotate(lab, ids[-1], "the *best* so far <b>really</b>")
    small = parse({"data": {"name": "digits"}, "model": {"backbone": {"kind": "dense", "widths": [64]}}})
    for size in (4, 8):
        train_here(lab, with_values(small, {"model.bottleneck.latent_dim": size, "name": f"trained-{size}"}), "ada")
    live = queue.submit(lab, with_values(small, {"name": "live"}), "ada")
    lab.run(live).append_metrics(curve(rows, 0.01))
    _set(
        lab,
        live,
        state="running",
        engine="foreground",
        step=rows // 2,
        started=now,
        steps_per_second=1e-3,
        heartbeat=now,
    )


def curve(rows: int, error: float) -> list[MetricRow]:
    return [(step, step // 100, "train", "loss", error * (1 + 9 / (step + 1))) for step in range(rows)]


def _set(lab: Lab, run_id: str, **values: Any) -> None:
    with database.writing(lab.engine) as connection:
        mine = update(database.jobs).where(database.jobs.c.run_id == run_id)
        connection.execute(mine.values(total_steps=1000, images_per_second=9e3, **values))


def script(page: str, query: dict[str, str], rounds: int) -> list[tuple[float, float]]:
    """Seconds by the clock and of the processor of the page's script, again and again in one session; the first is left out."""
    test = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=120)
    test.user = {}
    test.query_params.update(query)
    if page != "home":
        test.switch_page(f"../pages/{page}.py")
    took = []
    for _ in range(rounds + 1):
        clock, processor = time.perf_counter(), time.process_time()
        test.run()
        took.append((time.perf_counter() - clock, time.process_time() - processor))
        assert not test.exception, test.exception
    return took[1:]


def line(name: str, took: list[tuple[float, float]]) -> dict[str, Any]:
    clock, processor = (sorted(numbers) for numbers in zip(*took, strict=True))
    late = min(len(clock) - 1, int(0.95 * len(clock)))
    found = {"page": name, "clock p50, s": clock[len(clock) // 2], "clock p95, s": clock[late]}
    found |= {"processor p50, s": processor[len(clock) // 2], "processor p95, s": processor[late], "hold": HOLD}
    print(
        "  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{value:<34}" for key, value in found.items())
    )
    return found


def imported(page: str, query: dict[str, str]) -> dict[str, Any]:
    """Heavy libraries that the first run of a page's script imports in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.pages", "--first", page, "--query", json.dumps(query)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def first(page: str, query: dict[str, str]) -> dict[str, Any]:
    from ui import warm

    before, noted = set(sys.modules), Noted()
    sys.meta_path.insert(0, noted)
    warm.start()  # as app.py does
    begin = time.perf_counter()
    script(page, query, 0)
    took = time.perf_counter() - begin
    harness = [name for name in HEAVY if name in before]
    mine = [name for name in HEAVY if name in noted.names]
    return {"page": page, "imports": ", ".join(mine) or "-", "harness": ", ".join(harness) or "-", "first run, s": took}


class Noted(MetaPathFinder):
    """Finds nothing, and remembers what is looked for by anybody but the dashboard's own warm-up."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if threading.current_thread().name != "warm-up":
            self.names.add(name)


def first_picture(lab: Path, rounds: int = 4) -> list[dict[str, Any]]:
    """Seconds from `streamlit run` until Home's first picture (it comes with the document) is on the screen of a tab that is open,
    by the browser's own clock, and until the page has drawn it itself, beside an empty page of Streamlit's; the first round's
    browser is new, later on it has the scripts."""
    from tests.browser import chromium, dashboard, free_port

    found = []
    with chromium() as browser, tempfile.TemporaryDirectory() as place:
        (bare := Path(place) / "empty.py").write_text(EMPTY)
        pages = {"an empty page": (str(bare), "titled", "titled"), "Home": ("app.py", "opening", "page")}
        visitors = {name: (browser.new_context(), free_port()) for name in pages}
        for number, (name, (app, first, whole)) in itertools.product(range(rounds), pages.items()):
            visitor, port = visitors[name]
            page = visitor.new_page()
            page.add_init_script(SEEN)
            begin = time.time()
            # a user's Python keeps what it has compiled
            with dashboard(lab, port=port, app=app, PYTHONDONTWRITEBYTECODE="") as address:
                served = time.time() - begin
                page.goto(address, wait_until="commit")
                page.wait_for_function(f"window.came?.{first} && came.{whole}")
                drawn, took = (page.evaluate(f"came.{what}") / 1000 - begin for what in (first, whole))
                told = {"answers, s": served, "first picture, s": drawn, "the page's own, s": took}
                found.append({"what": name, "round": number} | told)
                page.close()
            print(found[-1], flush=True)
    return found


SEEN = """
window.came = {};
const seen = (what) => requestAnimationFrame(() => setTimeout(() => came[what] ??= performance.timeOrigin + performance.now()));
new MutationObserver((_, looks) => { if (document.querySelector("h1")) { looks.disconnect(); seen("titled"); } })
  .observe(document, { childList: true, subtree: true });
document.addEventListener("aelab-drawn", ({ detail }) => seen(detail.getRootNode().host?.closest("#opening") ? "opening" : "page"));
"""
"""When a title and the pictures are on the screen: after the frame that shows them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="a folder for the lab, which is made once and used again")
    parser.add_argument("--write", type=Path, help="folder for pages.json and pages.md")
    parser.add_argument("--part", choices=["fill", *PARTS], help="one part alone; `fill` only makes the lab")
    parser.add_argument("--only", default="", help="only the pages that begin so")
    parser.add_argument("--first", help=argparse.SUPPRESS)
    parser.add_argument("--query", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.first:
        print(json.dumps(first(asked.first, json.loads(asked.query))))
        return
    with tempfile.TemporaryDirectory() as place:
        lab = Lab.open(asked.keep or Path(place) / "lab")
        if not any((lab.path / "runs").iterdir()):
            fill(lab, asked.runs, asked.rows)
        os.environ["AELAB_HOME"] = str(lab.path)
        shown = {name: query for name, query in views(lab).items() if name.startswith(asked.only)}
        wanted = [asked.part] if asked.part else list(PARTS)
        tables = {PARTS[part]: measured(part, lab, shown, asked.rounds) for part in wanted if part in PARTS}
        if asked.write and tables:
            title = f"The pages, {asked.runs:,} runs with {asked.rows:,} rows each"
            save(asked.write, f"pages-{asked.part}" if asked.part else "pages", title, tables, [])


PARTS = {
    "imports": "What the first run of a page waits for",
    "scripts": "The script of a page",
    "picture": "From `streamlit run` to the first picture",
}


def measured(part: str, lab: Lab, shown: dict[str, dict[str, str]], rounds: int) -> list[dict[str, Any]]:
    if part == "picture":
        return first_picture(lab.path)
    if part == "scripts":
        return [line(name, script(name.split(":")[0], query, rounds)) for name, query in shown.items()]
    found = []
    for page, query in {name.split(":")[0]: query for name, query in shown.items()}.items():
        found.append(imported(page, query))
        print(found[-1], flush=True)
    return found


def views(lab: Lab) -> dict[str, dict[str, str]]:
    """Page, and what of it -> its query."""
    live, second, one, some = (row.id for row in runs(lab, limit=4))
    return {
        "home": {},
        "train": {},
        "server": {},
        "runs: all": {},
        "runs: one that trains": {"run": live},
        "runs: one that was analysed": {"run": one},
        "runs: one with a long curve": {"run": some},
        "runs: filtered by a field and a result": {"filter": "learning_rate=0.001 result.mse<0.02"},
        "runs: seeds together": {"seeds": "together"},
        "runs: ten more columns, sorted": {"cols": COLUMNS, "sort": "-result.psnr"},
        "compare": {"runs": f"{one},{second}"},
        "latent": {"run": one},
    }


COLUMNS = "name,state,loss,result.mse,result.psnr,result.ssim,training.learning_rate,training.seed,training.epochs"
COLUMNS += ",training.batch_size,model.bottleneck.kind,model.objective.kind,training.optimiser"


if __name__ == "__main__":
    main()
