"""Colours of photographs from their grey: a feature-map code at full size against the grey that it sees.

    python -m benchmarks.colour [--steps 1500] [--path cifar10-photos.zip]

Trained on the CPU, on one thread, for minutes. The photographs are found through AELAB_DATA: 10,000 to learn from, 2,000 to test.
"""

import argparse

import numpy as np
import torch

from aecore.analysis.evaluation import gain
from aecore.analysis.reconstruction import mse, psnr, reconstruct
from aecore.analysis.seen import seen
from aecore.config import RunConfig, parse
from aecore.data import load
from aecore.runs import Lab
from benchmarks.behaviour import facts_of, keep, trained


def configured(steps: int, path: str) -> RunConfig:
    return parse(
        {
            "data": {"name": "folder", "path": path},
            "model": {
                "backbone": {"kind": "conv", "channels": [32, 32], "kernel": 5, "stride": 1, "padding": 2, "output": "none"},
                "bottleneck": {"kind": "feature_map"},
                "objective": {"kind": "reconstruction", "loss": "mse"},
            },
            "task": {"kind": "colourise"},
            "training": {
                "epochs": 1000, "max_steps": steps, "batch_size": 16, "learning_rate": 0.002, "schedule": "cosine",
                "watch_every": 1000, "device": "cpu", "clip_norm": 1.0,
            },
        }
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--path", default="cifar10-photos.zip")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = configured(options.steps, options.path)
    model, facts = trained(config), facts_of(config)
    images = load(config.data, "test", Lab.open().data_roots).images
    grey = seen(config, images, facts)
    x_hat = reconstruct(model, grey, facts)
    found = gain(images, grey, x_hat)
    before, after = mse(images, grey), mse(images, x_hat)
    print(f"{options.steps} steps of 16, {len(images):,} test photographs; code {'x'.join(map(str, model.code_shape))}")
    print(f"mean of the PSNRs: grey {found['psnr_seen']:.2f} dB, with colours {found['gain']:+.2f} dB")
    print(
        f"PSNR of the mean error: grey {-10 * np.log10(before.mean()):.2f} dB, with colours {-10 * np.log10(after.mean()):.2f} dB"
    )
    print(f"better than grey: {np.mean(after < before):.1%} of the photographs")
    order = np.argsort(before)
    for part, name in zip(np.array_split(order, 4), ("least", "less", "more", "most"), strict=True):
        off = psnr(images[part], x_hat[part]) - psnr(images[part], grey[part])
        print(f"  the quarter with {name} colour: {np.median(off):+.2f} dB (median)")
    rng = np.random.default_rng(0)
    shown = rng.choice(order[len(order) // 2 :], 16, replace=False)
    keep(np.stack([grey[shown], x_hat[shown], images[shown]]), "colourise", 2)


if __name__ == "__main__":
    main()
