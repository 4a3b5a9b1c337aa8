"""Training throughput of the presets against what a user would do otherwise, against the machine's limits, and how it grows.

    python -m benchmarks.throughput [--only PRESET ...] [--rounds 9] [--threads 1] [--device cpu] [--write docs/benchmarks]

Every line is a ratio of two things measured in turn in one process. More than 1: ours is faster. JAX and pythae where they are
installed (pip install jax; pip install --no-deps pythae). Images are random, of the data set's shape: pixels cost the same.
"""

import argparse
import os
from pathlib import Path
from typing import Any

DENSE = ("compress-32", "scatter-2", "stacked-9-tuned", "linear-pca", "vae-2", "compress-32-cifar10")
CONVOLUTIONAL = ("conv-16", "stacked-9-conv", "conv-valid-5x5-tanh", "vae-16", "demo")
HOLD: dict[tuple[bool, str], tuple[float, float | None]] = {
    (True, "the tutorial's loop"): (6.0, 7.5),
    (True, "JAX lax.scan"): (0.9, 1.0),
    (True, "resident eager PyTorch"): (1.25, 2.0),
    (True, "pythae's trainer"): (1.2, None),
    (False, "pythae's trainer"): (1.2, None),
    (False, "resident eager PyTorch"): (1.5, None),
}
"""(dense, against) -> what is to be held on the CPU at batch 128, and the stretch."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[*DENSE, *CONVOLUTIONAL], metavar="PRESET")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--write", type=Path, help="folder for training.json and training.md")
    parser.add_argument("--without", nargs="*", default=[], metavar="WAY", help="ways to leave out")
    return parser


def case(name: str, device: str, threads: int, steps: int | None = None, **changes: object) -> Any:
    """A preset at batch 128 on random images, as many as `steps` full batches."""
    import torch

    from aecore.config import Facts, preset, with_values
    from aecore.data import facts
    from benchmarks.memory import random_data
    from benchmarks.ways import Case

    config = with_values(
        preset(name).config,
        {
            "training.device": device,
            "training.batch_size": 128,
            "training.subset": None,
            "training.optimiser": "adam",
            "training.weight_decay": 0.0,
            "training.schedule": "constant",
            "training.warmup_steps": 0,
        }
        | {key.replace("__", "."): value for key, value in changes.items()},
    )
    short = config.model.backbone.kind == "dense" or (device == "cpu" and name == "demo")
    steps = steps or {"cpu": (6, 120), "cuda": (60, 240)}[device][short]
    known: Facts = facts(config.data, [])._replace(n_train=steps * config.training.batch_size)
    torch.manual_seed(0)
    return Case(name, config, random_data(config, known, device), steps, torch.device(device), threads)


def lines(names: list[str], device: str, threads: int, rounds: int, without: list[str]) -> tuple[list[Any], list[str]]:
    """Each preset against each way, and what could not be measured."""
    from benchmarks.table import Line, compare
    from benchmarks.ways import WAYS, Missing, ours

    found, missing = [], []
    for name in names:
        trained = case(name, device, threads)
        dense = trained.config.model.backbone.kind == "dense"
        bursts = {}
        for way, make in WAYS.items():
            if way in without:
                continue
            try:
                bursts[way] = make(trained)
                bursts[way]()  # compiles what compiles
            except Missing as why:
                missing.append(f"{name} against {way}: {why}")
                bursts.pop(way, None)
            except Exception as error:
                missing.append(f"{name} against {way}: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
                bursts.pop(way, None)
        for way, figures in compare(ours(trained), bursts, rounds).items():
            hold, stretch = (
                HOLD.get((dense, way), (None, None)) if device == "cpu" else GPU_HOLD.get((dense, way), (None, None))
            )
            line = Line(name, way, **figures, hold=hold, stretch=stretch)
            print(
                f"{name:20} against {way:24} {line.ratio:7.2f} ({line.low:.2f} to {line.high:.2f}), work {line.work:.2f}",
                flush=True,
            )
            found.append(line._asdict())
    return found, missing


GPU_HOLD: dict[tuple[bool, str], tuple[float, float | None]] = {
    (True, "the tutorial's loop"): (100.0, None),
    (False, "the tutorial's loop"): (10.0, None),
    (True, "resident eager PyTorch"): (4.0, None),
}


def settle(threads: int) -> None:
    """As many threads for every library as one slot has, on as many cores: JAX's own setting does not keep it to them. Before
    any of them is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["TQDM_DISABLE"] = "1"  # pythae's bar
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def main() -> None:
    asked = arguments(__doc__).parse_args()
    settle(asked.threads)
    import torch

    torch.set_num_threads(asked.threads)
    from benchmarks import growth
    from benchmarks.table import save

    found, missing = lines(asked.only, asked.device, asked.threads, asked.rounds, asked.without)
    tables = {"Against others (theirs over ours)": found} | growth.tables(asked.device, asked.threads)
    if not torch.cuda.is_available():
        missing.append("GPU lines: this machine has none; `python -m benchmarks.gpu` takes them on one that has.")
    if asked.write:
        save(asked.write, "training", "Training throughput", tables, missing)


if __name__ == "__main__":
    main()
