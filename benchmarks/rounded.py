"""What bfloat16 on the CPU costs and gives: time and error of presets trained with `training.precision` fp32 and bf16.

    python -m benchmarks.rounded [--only PRESET ...] [--epochs 5] [--seeds 3]

For each seed both are trained in turn, on one thread; the error is the mean squared error of all test images. MNIST is found through
AELAB_DATA.
"""

import argparse
import time
from statistics import mean, stdev

import torch

from aecore.analysis.reconstruction import mse, reconstruct
from aecore.analysis.seen import seen
from aecore.data import load
from aecore.runs import Lab
from benchmarks.behaviour import configured, facts_of, trained

PRESETS = ("compress-32", "scatter-2", "stacked-9-tuned", "linear-pca", "vae-2", "halving-196", "conv-16", "vae-16")


def taken(name: str, epochs: int, seed: int, precision: str) -> tuple[float, float]:
    """Seconds and test error of one run."""
    config = configured(
        name, [f"training.{key}" for key in (f"epochs={epochs}", f"seed={seed}", f"precision={precision}")]
    )
    began = time.perf_counter()
    model = trained(config)
    seconds = time.perf_counter() - began
    facts, test = facts_of(config), load(config.data, "test", Lab.open().data_roots)
    return seconds, float(mse(test.images, reconstruct(model, seen(config, test.images, facts), facts)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=PRESETS, metavar="PRESET")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.epochs} epochs, {options.seeds} seeds")
    print(
        f"{'preset':18}{'fp32 s':>9}{'bf16 s':>9}{'fp32 error':>13}{'bf16 error':>13}{'difference':>13}{'its error':>12}"
    )
    for name in options.only:
        exact, rounded = zip(
            *(
                (taken(name, options.epochs, seed, "fp32"), taken(name, options.epochs, seed, "bf16"))
                for seed in range(options.seeds)
            ),
            strict=True,
        )
        apart = [other[1] / one[1] - 1 for one, other in zip(exact, rounded, strict=True)]
        error = stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else float("nan")
        seconds, errors = ([mean(run[part] for run in runs) for runs in (exact, rounded)] for part in (0, 1))
        print(
            f"{name:18}{seconds[0]:>9.1f}{seconds[1]:>9.1f}{errors[0]:>13.5f}{errors[1]:>13.5f}{mean(apart):>+13.2%}{error:>12.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
