"""What the measures need: a lab of their own, small runs, and waiting."""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from aecore import manifest
from aecore.config import RunConfig, parse
from aecore.jobs import queue
from aecore.jobs.supervisor import running, stop_supervisor
from aecore.runs import Lab, LabError

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0
"""Seconds after which something that should have happened is taken for lost, on a machine that does much else."""


def small(steps: int, seed: int = 0) -> RunConfig:
    """Convolutions on noisy, shifted digits: every kind of random number is drawn at every step."""
    return _config({"kind": "conv", "channels": [4, 8]}, steps, seed)


def large(steps: int, seed: int = 0) -> RunConfig:
    """74 MB of weights; with the optimiser's moments a checkpoint has 220 MB."""
    return _config({"kind": "dense", "widths": [3000, 3000]}, steps, seed)


def _config(backbone: dict[str, object], steps: int, seed: int) -> RunConfig:
    return parse(
        {
            "name": "torture",
            "data": {"name": "digits"},
            "model": {"backbone": backbone, "bottleneck": {"kind": "vector", "latent_dim": 4}},
            "task": {"kind": "denoise"},
            "training": {
                "epochs": 100_000,
                "max_steps": steps,
                "batch_size": 32,
                "augmentation": "shift",
                "device": "cpu",
                "seed": seed,
            },
        }
    )


@contextlib.contextmanager
def laboratory(**settings: object) -> Iterator[Lab]:
    """A lab in a temporary folder, gone afterwards with every process that it had."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "lab"
        path.mkdir()
        (path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        lab = Lab.open(path)
        try:
            yield lab
        finally:
            _close(lab)


def _close(lab: Lab) -> None:
    for run_id in {job.run_id for job in (*queue.pending(lab), *queue.live(lab))}:
        with contextlib.suppress(LabError):
            queue.stop(lab, run_id, "torture")
    with contextlib.suppress(TimeoutError):
        until(lambda: not queue.live(lab) or not running(lab), "the runs' end", 30)
    stop_supervisor(lab)
    for process in processes(lab):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def processes(lab: Lab) -> list[psutil.Process]:
    """Every process that was started for this lab."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(lab.path) in process.cmdline() and process.pid != os.getpid():
                found.append(process)
    return found


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
    """Wait for something to become true; the seconds that it took. Raises TimeoutError with a sentence."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.01)
    return time.monotonic() - begin


def pid(job: queue.Job) -> int | None:
    """The process that works on a job, None where there is none yet."""
    return int(job.engine_ref.split(":")[2]) if job.engine_ref else None


def alive(number: int) -> bool:
    """Whether a process still does anything: one that nobody has collected does not."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def content(lab: Lab, run_id: str) -> dict[str, str]:
    """sha256 of what must not depend on interruptions: all metrics, weights, optimiser, random numbers and counters."""
    folder = lab.run(run_id)
    newest = manifest.newest(folder.checkpoints)
    if newest is None:
        return {}
    files = [folder.path / "metrics.csv", *sorted(newest.glob("*.safetensors"))]
    state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
    del state["rows"]  # of the last step, where its checkpoint came before they were written; the metrics have them
    counters = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    return {"state.json": counters, **{path.name: manifest.digest_of(path) for path in files}}


def twice(lab: Lab, run_id: str) -> int:
    """Rows of metrics.csv that are there more than once."""
    keys = [row[:1] + row[2:4] for row in lab.run(run_id).metrics()[0]]
    return len(keys) - len(set(keys))
