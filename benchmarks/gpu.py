"""Every GPU line of training in one go, under 8 minutes: torch 2.11 or newer and what `aecore` itself imports, no dashboard.

    python -m benchmarks.gpu [--only PRESET ...] [--rounds 5] [--seconds 420] [--write docs/benchmarks]

Where there is no GPU it says that the lines are missing, and that is all.
"""

import dataclasses
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMPILED = ("compress-32", "conv-16")
"""Presets that torch.compile is measured with: it takes longer than all the others together."""
STEPS = 40


def equality(names: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The largest difference of any loss or term over 40 steps as a share of the loss, a smaller last batch among them, and what failed."""
    found, missing = [], []
    for name in names:
        try:
            eager, again, graphs = (losses(name, engine) for engine in ("eager", "eager", "auto"))
            found.append(
                {"preset": name, "steps": STEPS, "graphs": apart(eager, graphs), "eager again": apart(eager, again)}
            )
        except Exception as error:
            missing.append(f"{name} as CUDA graphs: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
    return found, missing


def losses(name: str, engine: str) -> list[tuple[float, float]]:
    """Each term of each step, and the loss of that step."""
    from aecore import training
    from benchmarks.throughput import case

    trained = case(name, "cuda", 1, steps=8, training__engine=engine, training__max_steps=STEPS, training__epochs=9)
    few = {part: getattr(trained.data, part)[:-70] for part in ("train_images", "train_labels")}
    data = dataclasses.replace(trained.data, **few)
    state = training.start(trained.config, data.facts, 1)
    rows = [row for row in training.train(state, data, trained.config) if row is not None and row.split == "train"]
    whole = {row.step: row.value for row in rows if row.name == "loss"}
    return [(row.value, whole[row.step]) for row in rows]


def apart(ones: list[tuple[float, float]], others: list[tuple[float, float]]) -> float:
    """By how much of a step's loss its terms differ."""
    return max(abs(a - b) / max(abs(loss), 1e-12) for (a, loss), (b, _) in zip(ones, others, strict=True))


def precisions(names: list[str], threads: int) -> list[dict[str, Any]]:
    """Microseconds of a recorded step in each precision, and with whatever kernels of cuDNN are the fastest."""
    from benchmarks.throughput import case
    from benchmarks.ways import ours

    found = []
    for name in names:
        for precision, exact in itertools.product(("fp32", "tf32", "bf16"), (True, False)):
            trained = case(name, "cuda", threads, training__precision=precision, training__exact=exact)
            took = seconds(ours(trained)) / trained.steps
            found.append({"preset": name, "precision": precision, "exact": str(exact), "us a step": 1e6 * took})
    return found


def streaming(threads: int) -> list[dict[str, Any]]:
    """Microseconds of a step with the training images on the device, and read from the host's memory."""
    import torch

    from aecore.training import streamed
    from benchmarks.throughput import case
    from benchmarks.ways import ours

    found = []
    for name in ("compress-32-cifar10", "colourise"):
        trained = case(name, "cuda", threads, steps=40)
        images = trained.data.train_images
        away = streamed.on_host(images.cpu().numpy(), torch.device("cuda"))
        both = {
            "on the device": trained,
            "on the host": trained._replace(data=dataclasses.replace(trained.data, train_images=away)),
        }
        bytes_a_step = images[: trained.config.training.batch_size].nbytes
        for where, each in both.items():
            took = 1e6 * seconds(ours(each)) / each.steps
            found.append({"preset": name, "images": where, "KB a step": bytes_a_step / 1e3, "us a step": took})
    return found


def seconds(burst: Callable[[], None]) -> float:
    """Of the quickest of three, after one in which libraries choose and steps are recorded."""
    burst()
    took = []
    for _ in range(3):
        begin = time.perf_counter()
        burst()
        took.append(time.perf_counter() - begin)
    return min(took)


def main() -> None:
    from benchmarks.throughput import arguments, lines

    parser = arguments(__doc__)
    parser.set_defaults(device="cuda", rounds=5, write=Path("docs/benchmarks"))
    parser.add_argument("--seconds", type=float, default=420, help="after which nothing further is begun")
    asked = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("This machine has no GPU: the GPU lines are missing.")
        return
    from benchmarks import growth
    from benchmarks.growth import WATCHING
    from benchmarks.table import save

    begin, found = time.monotonic(), []
    equal, missing = equality(["compress-32", "vae-2", "conv-16", "stacked-9-conv", "denoise-mnist", "aae"])
    tables: dict[str, list[dict[str, Any]]] = {"CUDA graphs against eager, same seed": equal}
    for name in asked.only:
        if time.monotonic() - begin > 0.7 * asked.seconds:
            missing.append(f"{name}: no time was left")
            continue
        without = [
            *asked.without,
            "JAX lax.scan",
            "pythae's trainer",
            *(["torch.compile"] if name not in COMPILED else []),
        ]
        some, why = lines([name], "cuda", asked.threads, asked.rounds, without)
        found += some
        missing += why
        tables["Against others (theirs over ours)"] = found
        save(asked.write, "gpu", "Training throughput on a GPU", tables, missing)
    rest: list[Callable[[], dict[str, Any]]] = [
        lambda: {WATCHING: [growth.watching(name, "cuda", asked.threads) for name in growth.SHOWN]},
        lambda: {"Precision": precisions(["compress-32", "conv-16"], asked.threads)},
        lambda: {"Images that do not fit the device": streaming(asked.threads)},
        lambda: growth.tables("cuda", asked.threads),
    ]
    for number, part in enumerate(rest):
        if time.monotonic() - begin > asked.seconds:
            missing.append(f"{len(rest) - number} of {len(rest)} other tables: no time was left")
            break
        tables |= part()
        save(asked.write, "gpu", "Training throughput on a GPU", tables, missing)
    print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
