"""From the click to the first row on disk: the demo's two runs at once, cold, warm, and against importing torch.

python -m benchmarks.start [--rounds 3]

cold: no supervisor and no process ready; warm: a supervisor with its children waiting; probed: the same while a step of the
configuration is being measured for the Train page. All have the demo's images on disk.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aecore import data
from aecore.config import preset, with_values
from aecore.jobs import locks, measures, queue
from aecore.jobs.supervisor import ensure_supervisor, running, stop_supervisor
from aecore.runs import Lab


def click(lab: Lab) -> tuple[float, float]:
    """Submit the two runs; seconds until each has a first row, and until each has its first pictures."""
    config = with_values(preset("demo").config, {"training.max_steps": 60})
    begin = time.perf_counter()
    sizes = {"model.bottleneck.latent_dim": 2}, {"model.bottleneck.latent_dim": 16}
    folders = [lab.run(queue.submit(lab, with_values(config, size), "benchmark")) for size in sizes]
    ensure_supervisor(lab)
    rows = waited(begin, lambda: all(folder.metrics()[0] for folder in folders))
    pictures = waited(begin, lambda: all(folder.sample_steps() for folder in folders))
    while queue.live(lab) or queue.pending(lab):
        time.sleep(0.1)
    return rows, pictures


def waited(begin: float, condition) -> float:  # type: ignore[no-untyped-def]
    while not condition():
        time.sleep(0.005)
    return time.perf_counter() - begin


def importing_torch() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - begin


def supervised(lab: Lab, seconds: float) -> None:
    """Start the supervisor and give its children time to get ready."""
    ensure_supervisor(lab)
    while not running(lab):
        time.sleep(0.05)
    time.sleep(seconds)


def probed(lab: Lab) -> None:
    """Wish for a measure, and return in the middle of it."""
    shutil.rmtree(lab.path / "probes", ignore_errors=True)
    config = preset("demo").config
    where = measures.place(config, lab)
    assert where is not None
    measures.ask(lab, measures.key(config, where), config, where)
    while not locks.held(lab.path / "locks" / "probe.lock"):
        time.sleep(0.01)
    time.sleep(1)  # it imports torch now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ready", type=float, default=15, help="seconds that the children have to get ready")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab.open(Path(folder) / "lab")
        data.load(preset("demo").config.data, "train", lab.data_roots)
        data.load(preset("demo").config.data, "test", lab.data_roots)
        print("round  start    first row  first pictures  seconds after the click, both runs")
        for number in range(args.rounds):
            for start in ("cold", "warm", "probed"):
                if start != "cold":
                    supervised(lab, args.ready)
                if start == "probed":
                    probed(lab)
                rows, pictures = click(lab)
                stop_supervisor(lab)
                print(f"{number:5}  {start:6} {rows:10.2f} {pictures:15.2f}", flush=True)
        print(f"importing torch in a fresh process: {importing_torch():.2f} s")


if __name__ == "__main__":
    main()
