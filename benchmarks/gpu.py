"""Every GPU line of training in one go, under 8 minutes: torch 2.11 or newer and what `aecore` itself imports, no dashboard.

    python -m benchmarks.gpu [--only PRESET ...] [--rounds 5] [--write docs/benchmarks]

Where there is no GPU it says that the lines are missing, and that is all.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

BUDGET = 420.0
"""Seconds after which no further preset is begun, so that what was measured is written in time."""


STEPS = 40


def equality(names: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The largest relative difference of any loss or term over 40 steps, a smaller last batch among them, and what failed."""
    found, missing = [], []
    for name in names:
        try:
            eager, again, graphs = (losses(name, engine) for engine in ("eager", "eager", "graphs"))
            found.append(
                {"preset": name, "steps": STEPS, "graphs": apart(eager, graphs), "eager again": apart(eager, again)}
            )
        except Exception as error:
            missing.append(f"{name} as CUDA graphs: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
    return found, missing


def losses(name: str, engine: str) -> list[float]:
    from aecore import training
    from benchmarks.throughput import case

    trained = case(name, "cuda", 1, steps=8, training__engine=engine, training__max_steps=STEPS, training__epochs=9)
    few = {part: getattr(trained.data, part)[:-70] for part in ("train_images", "train_labels")}
    data = dataclasses.replace(trained.data, **few)
    state = training.start(trained.config, data.facts, 1)
    return [
        row.value for row in training.train(state, data, trained.config) if row is not None and row.split == "train"
    ]


def apart(ones: list[float], others: list[float]) -> float:
    return max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(ones, others, strict=True))


def precisions(names: list[str], threads: int) -> list[dict[str, Any]]:
    """Microseconds of a step in each precision, as CUDA graphs where they can be had."""
    from benchmarks.throughput import case
    from benchmarks.ways import best

    found = []
    for name in names:
        for precision in ("fp32", "tf32", "bf16"):
            trained = case(name, "cuda", threads, training__precision=precision)
            burst, _ = best(trained)
            burst()
            begin = time.perf_counter()
            burst()
            took = 1e6 * (time.perf_counter() - begin) / trained.steps
            found.append({"preset": name, "precision": precision, "us a step": took})
    return found


def main() -> None:
    from benchmarks.throughput import arguments, lines

    parser = arguments(__doc__)
    parser.set_defaults(device="cuda", rounds=5, write=Path("docs/benchmarks"))
    asked = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("This machine has no GPU: the GPU lines are missing.")
        return
    from benchmarks import growth
    from benchmarks.table import save

    begin, found = time.monotonic(), []
    equal, missing = equality(["compress-32", "vae-2", "conv-16", "stacked-9-conv", "denoise-mnist", "aae"])
    for name in asked.only:
        if time.monotonic() - begin > BUDGET / 2:
            missing.append(f"{name}: no time was left")
            continue
        some, why = lines(
            [name], "cuda", asked.threads, asked.rounds, [*asked.without, "JAX lax.scan", "pythae's trainer"]
        )
        found += some
        missing += why
    tables = {"CUDA graphs against eager, same seed": equal, "Against others (theirs over ours)": found}
    tables |= {"Precision": precisions(["compress-32", "conv-16"], asked.threads)}
    if time.monotonic() - begin < BUDGET:
        tables |= growth.tables("cuda", asked.threads)
    else:
        missing.append("floor and growth: no time was left")
    save(asked.write, "gpu", "Training throughput on a GPU", tables, missing)
    print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
