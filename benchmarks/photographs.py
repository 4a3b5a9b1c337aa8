"""Colours of photographs from their grey, and detail from half their side: a feature map as the code, against what the encoder sees.

    python -m benchmarks.photographs colourise [--steps 1500] [--loss mse] [--channels 32,32] [--path cifar10-photos.zip]
    python -m benchmarks.photographs super_resolve --channels 64 [--device cuda]

Trained on the CPU, on one thread, for minutes, or on a GPU. The photographs are found through AELAB_DATA: 10,000 to learn from, 2,000 to test.
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

SEEN = {"colourise": "grey", "super_resolve": "bicubic"}


def configured(options: argparse.Namespace) -> RunConfig:
    channels = [int(one) for one in options.channels.split(",")]
    return parse(
        {
            "data": {"name": "folder", "path": options.path},
            "model": {
                "backbone": {
                    "kind": "conv", "channels": channels, "kernel": 5, "stride": 1, "padding": 2, "output": "none",
                    "activation": options.activation,
                },
                "bottleneck": {"kind": "feature_map"},
                "objective": {"kind": "reconstruction", "loss": options.loss},
            },
            "task": {"kind": options.task},
            "training": {
                "epochs": 1000, "max_steps": options.steps, "batch_size": 16, "learning_rate": options.rate, "schedule": "cosine",
                "watch_every": 1000, "device": options.device, "clip_norm": 1.0, "seed": options.seed,
            },
        }
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=list(SEEN))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--loss", default="mse")
    parser.add_argument("--channels", default="32,32")
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--path", default="cifar10-photos.zip")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config, line = configured(options), SEEN[options.task]
    model, facts = trained(config), facts_of(config)
    images = load(config.data, "test", Lab.open().data_roots).images
    shown = seen(config, images, facts)
    x_hat = reconstruct(model, shown, facts)
    told(images, shown, x_hat, line)
    print(f"{options.steps} steps of 16, {len(images):,} test photographs; code {'x'.join(map(str, model.code_shape))}")
    if options.task == "colourise":
        some = np.random.default_rng(0).choice(np.argsort(mse(images, shown))[len(images) // 2 :], 16, replace=False)
        keep(np.stack([shown[some], x_hat[some], images[some]]), "colourise", 2)


def told(images: np.ndarray, shown: np.ndarray, x_hat: np.ndarray, line: str) -> None:
    found, before, after = gain(images, shown, x_hat), mse(images, shown), mse(images, x_hat)
    print(f"mean of the PSNRs: {line} {found['psnr_seen']:.2f} dB, the model {found['gain']:+.2f} dB")
    whole = [-10 * np.log10(errors.mean()) for errors in (before, after)]
    print(f"PSNR of the mean error: {line} {whole[0]:.2f} dB, the model {whole[1]:.2f} dB")
    print(f"better than {line}: {np.mean(after < before):.1%} of the photographs")
    for part, name in zip(np.array_split(np.argsort(before), 4), ("least", "less", "more", "most"), strict=True):
        off = psnr(images[part], x_hat[part]) - psnr(images[part], shown[part])
        print(
            f"  the quarter that {line} takes {name} from: {np.median(off):+.2f} dB (median), {off.mean():+.2f} dB (mean)"
        )


if __name__ == "__main__":
    main()
