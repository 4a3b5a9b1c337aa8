"""The Runs page's script with many runs in the lab, as Streamlit's own test harness runs it, which adds to it.

    python -m benchmarks.runs_page [--runs 1000] [--keep LAB]

The runs are rows and folders as the queue makes them, with results, tags and notes; none was trained.
"""

import argparse
import os
import random
import tempfile
import time
from pathlib import Path

from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from aecore.config import RunConfig, parse, with_values
from aecore.jobs import marks, queue
from aecore.runs import Lab, database

ROOT = Path(__file__).parents[1]


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


def fill(lab: Lab, count: int) -> list[str]:
    """Make `count` runs that have ended, each with a result; some with tags and a note."""
    chance = random.Random(0)
    ids = [queue.submit(lab, config(place, chance), ["ada", "bea", "cyd"][place % 3]) for place in range(count)]
    now = time.time()
    for place, run_id in enumerate(ids):
        error = chance.uniform(0.005, 0.05)
        lab.run(run_id).write_result({"mse": error, "psnr": 20 - error, "ssim": 1 - error, "seconds": 12.5, "n": 360})
        with database.writing(lab.engine) as connection:
            state = chance.choice(["completed"] * 8 + ["failed", "cancelled"])
            values = {"state": state, "step": 500, "total_steps": 500, "epoch": 10, "loss": error, "ended": now + place}
            job = database.jobs.c.run_id == run_id
            connection.execute(update(database.jobs).where(job).values(**values, started=now, images_per_second=9e3))
    marks.tag(lab, ids[::5], ["sweep", "for the paper"])
    marks.annotate(lab, ids[-1], "the *best* so far <b>really</b>")
    return ids


Took = tuple[float, float]
"""Seconds on the clock, and of the processor."""


def said(name: str, took: list[Took]) -> None:
    parts = []
    for kind, numbers in zip(("clock", "processor"), map(sorted, zip(*took, strict=True)), strict=True):
        late = numbers[min(len(numbers) - 1, int(len(numbers) * 0.95))]
        parts.append(f"{kind} p50 {numbers[len(numbers) // 2]:5.3f} s, p95 {late:5.3f} s")
    print(f"{name:<34} {'   '.join(parts)}   n {len(took)}", flush=True)


def measured(query: dict[str, str], rounds: int) -> list[Took]:
    """Of the page's script, again and again in one session; the first run is left out."""
    test = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=120)
    test.user = {}
    test.run().switch_page("../pages/runs.py")
    test.query_params.update(query)
    took = []
    for _ in range(rounds + 1):
        clock, processor = time.perf_counter(), time.process_time()
        test.run()
        took.append((time.perf_counter() - clock, time.process_time() - processor))
        assert not test.exception, test.exception
    return took[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="a folder for the lab, which is made once and used again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lab = Lab.open(asked.keep or Path(place) / "lab")
        if not any((lab.path / "runs").iterdir()):
            fill(lab, asked.runs)
        os.environ["AELAB_HOME"] = str(lab.path)
        views = {
            "all": {},
            "filtered by a field and a result": {"filter": "learning_rate=0.001 result.mse<0.02"},
            "seeds together": {"seeds": "together"},
            "ten more columns, sorted": {"cols": COLUMNS, "sort": "-result.psnr"},
        }
        for name, query in views.items():
            said(name, measured(query, asked.rounds))


COLUMNS = "name,state,loss,result.mse,result.psnr,result.ssim,training.learning_rate,training.seed,training.epochs"
COLUMNS += ",training.batch_size,model.bottleneck.kind,model.objective.kind,training.optimiser"


if __name__ == "__main__":
    main()
