"""The process that measures one configuration: `python -m aecore.jobs.probe LAB KEY`, started by the supervisor.

It imports torch by itself, at the lowest priority, and never comes from the nursery: a run that is queued needs what is warm.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aecore.config import RunConfig, parse, with_values
from aecore.jobs import endings, locks, measures
from aecore.jobs.measures import Answer, Measure
from aecore.runs import Lab, files
from aecore.runs.text import size

if TYPE_CHECKING:
    import torch

    from aecore.training import TrainState

SECONDS = 0.5
"""Of steps that are timed: one at least."""
WARM = 2
"""Steps before that: the first ones make buffers and choose algorithms."""
ENDLESS = {"training.epochs": 100_000, "training.watch_every": 10_000, "training.early_stopping": 0}


def measure(config: RunConfig, lab: Lab, threads: int) -> Measure:
    """Take a few steps, evaluate a batch, take a picture, and see what it took. Nothing is written.

    Raises:
        ConfigError, DataError: what does not fit or cannot be had.
        TooLarge: where it would not fit into what is free: nothing is tried then.
    """
    from aecore import training
    from aecore.analysis.sampling import Sampler
    from aecore.jobs import train  # what a run's process imports, too

    begin = time.perf_counter()
    device = training.device.choose(config.training.device)
    prepared = training.prepare(config, lab.data_roots, device)
    refuse_too_large(train.needed(config, prepared, device), device)
    config = with_values(config, ENDLESS | {"training.max_steps": None})
    state = training.start(config, prepared.facts, threads)
    few = prepared.watching(training.device.at_once(state.model, device))
    maker = training.engines.of(state, few, config)
    rows = training.train(state, few, config, maker)
    started = time.perf_counter() - begin
    recorded = state.engine["engine"] in training.engines.RECORDED
    _timed(lambda: _advance(rows, state), device, training.engines.recorded.WARM + 1 if recorded else WARM)
    step = _timed(lambda: _advance(rows, state), device)
    watch = partial(training.loop.watch, state, few, config, maker)
    if recorded:
        watch()
    look = _timed(watch, device, 1)
    Sampler(few, state.model, config).take(state.model)
    return Measure(
        memory=training.device.peak(device),
        step=step,
        watch=look * len(prepared.watch_images) / len(few.watch_images),
        start=started,
        images=len(prepared.train_images),
        device=training.device.describe(device),
    )


class TooLarge(ValueError):
    """It would not fit; `str` says so, and what would."""


def refuse_too_large(needs: dict[str, Any], device: "torch.device") -> None:
    """Raises TooLarge where the estimate, which is within 15 %, is more than is free: trying would take it from others."""
    free = measures.room("gpu" if device.type == "cuda" else "cpu").free
    expected = needs["memory"]["of_batch"]
    if expected > free:
        whose = "the GPU" if device.type == "cuda" else "the machine"
        raise TooLarge(
            f"It does not fit: it needs about {size(expected)}, and {whose} has {size(free)} free. "
            f"{endings.smaller(free, needs['memory'])}"
        )


def _advance(rows: Any, state: "TrainState") -> None:
    """To the next step."""
    before = state.step
    while state.step == before:
        next(rows)


def _timed(call: Callable[[], object], device: "torch.device", times: float = inf) -> float:
    """Mean seconds of a call: so often, or for SECONDS. By the clock, or on the CPU by the processor where that is less: others
    may have it, and the run will have a place of its own."""
    import torch

    done, begin, worked = 0, time.perf_counter(), time.process_time()
    while done < times and (done == 0 or time.perf_counter() - begin < SECONDS):
        call()
        done += 1
    if device.type == "cuda":
        torch.cuda.synchronize()
        return (time.perf_counter() - begin) / done
    return min(time.perf_counter() - begin, time.process_time() - worked) / done


def probe(lab_path: Path, name: str) -> None:
    """Meet one wish: measure it, or say why that cannot be done."""
    path = measures.wish_path(Lab.open(lab_path), name)
    wish = files.read_json(path)
    if wish is None:
        return  # its viewer has gone on
    lab, config = Lab.open(lab_path, wish["data_root"]), parse(wish["config"])
    try:
        found = Answer(measure(config, lab, wish["threads"]))
    except TooLarge as error:
        found = Answer(None, str(error))
    except Exception as error:
        found = Answer(None, f"A first step failed. {endings.explain(error).reason}")
    measures.answer(lab, name, found)


def main(lab: str, name: str) -> None:
    os.nice(19)
    with contextlib.suppress(OSError):  # the kernel takes this one first; Linux only
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    held = locks.acquire(Path(lab) / "locks" / "probe.lock")
    if held is not None:  # else a supervisor before this one started one that still measures
        probe(Path(lab), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
