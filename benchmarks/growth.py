"""The machine's limits and how far from them we are, what watching costs, and how time grows with everything that can grow."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from aecore import training
from aecore.models import Batch, Progress, build
from benchmarks.throughput import DENSE, case
from benchmarks.ways import Case, ours

ROUNDS = 3
WATCHING = "Watching after an epoch, as a share of the epoch"
PRESET, SHOWN = "compress-32", ("compress-32", "vae-2", "conv-16", "stacked-9-conv")


def tables(device: str, threads: int) -> dict[str, list[dict[str, Any]]]:
    """Every table of this module by its heading."""
    return {
        "The floor: counted operations over the measured matrix rate, counted bytes over the measured copy rate": [
            floor(name, device, threads) for name in SHOWN
        ],
        WATCHING: [watching(name, device, threads) for name in SHOWN],
        "Growth: images": sweep(device, threads, "images", (1, 2, 4, 8), lambda n: {"steps": 20 * n}),
        "Growth: latent size": sweep(
            device, threads, "latent_dim", (2, 8, 32, 128), lambda n: {"model__bottleneck__latent_dim": n}
        ),
        "Growth: width of the first layer": sweep(
            device, threads, "width", (64, 128, 256, 512), lambda n: {"model__backbone__widths": (n, 64)}
        ),
        "Growth: batch size": sweep(
            device, threads, "batch_size", (32, 128, 512), lambda n: {"training__batch_size": n, "steps": 2560 // n}
        ),
        "Growth: runs at once on one device": together(device, threads),
    }


def floor(name: str, device: str, threads: int) -> dict[str, Any]:
    """Microseconds of a step: what the operations and the bytes must take, and what it took, all in one round."""
    trained = case(name, device, threads, steps=20 if name in DENSE else 3)
    operations, moved = operations_of(trained), bytes_of(trained)
    burst, rounds = ours(trained), []
    burst()
    for _ in range(ROUNDS):
        flops, copied = matrix_rate(trained.device), copy_rate(trained.device)
        begin = time.perf_counter()
        burst()
        rounds.append((flops, copied, (time.perf_counter() - begin) / trained.steps))
    flops, copied, took = (statistics.median(column) for column in zip(*rounds, strict=True))
    least = max(operations / flops, moved / copied)
    return {
        "preset": name,
        "MFLOP a step": operations / 1e6,
        "GFLOP/s": flops / 1e9,
        "MB a step": moved / 1e6,
        "GB/s": copied / 1e9,
        "floor, us": 1e6 * least,
        "achieved, us": 1e6 * took,
        "achieved over floor": took / least,
    }


def operations_of(trained: Case) -> float:
    """Operations of the products and convolutions of one step, forward and backward, as PyTorch counts them."""
    model = build(trained.config.model, trained.data.facts).to(trained.device)
    x = trained.data.train_images[: trained.config.training.batch_size].float() / 255
    with FlopCounterMode(display=False) as counter:
        sum(model.training_step(Batch(x, x), Progress(1, 1))[0].values()).backward()
    return float(counter.get_total_flops())


def bytes_of(trained: Case) -> float:
    """Bytes that one step must move at least: Adam reads four numbers a weight and writes three, the products read it twice and
    write its gradient; a pixel is one byte, then a number read by the encoder and by the loss."""
    model = build(trained.config.model, trained.data.facts)
    weights = sum(parameter.numel() for parameter in model.parameters())
    pixels = trained.config.training.batch_size * trained.data.train_images[0].numel()
    return 4.0 * 10 * weights + pixels * (1 + 3 * 4)


def matrix_rate(device: torch.device) -> float:
    """Operations per second of a square product, of 1,024 or on a GPU of 4,096."""
    side = 4096 if device.type == "cuda" else 1024
    a, b = torch.randn(2, side, side, device=device)
    return 2 * side**3 / quickest(lambda: a @ b, device)


def copy_rate(device: torch.device) -> float:
    """Bytes per second, read and written, of a copy of 4 MB (which a processor's cache holds), or on a GPU of 256 MB (which its
    cache does not)."""
    a = torch.randn(1 << (26 if device.type == "cuda" else 20), device=device)
    b = torch.empty_like(a)
    return 2 * a.nbytes / quickest(lambda: b.copy_(a), device)


def quickest(call: Callable[[], object], device: torch.device) -> float:
    """Seconds; on a GPU of ten calls in a row, so that launching and waiting do not count."""
    times, calls = [], 10 if device.type == "cuda" else 1
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) / calls)
    return min(times)


def watching(name: str, device: str, threads: int) -> dict[str, Any]:
    """Seconds of evaluating the watched images, as many as the data set has beside a whole epoch, and of that epoch."""
    from aecore.config import preset
    from aecore.data import facts
    from aecore.training.data import most_watched
    from aecore.training.loop import watch

    trained = case(name, device, threads, steps=20 if name in DENSE else 3)
    whole = facts(preset(name).config.data, []).n_train
    burst, state = ours(trained), training.start(trained.config, trained.data.facts, threads)
    burst()
    few, step = trained.data, training.engines.of(state, trained.data, trained.config)
    for _ in range(2):  # recorded, where it is
        watch(state, few, trained.config, step)
    steps, looks = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        burst()
        middle = time.perf_counter()
        watch(state, few, trained.config, step)
        steps.append((middle - begin) / (trained.steps * trained.config.training.batch_size))
        looks.append((time.perf_counter() - middle) / len(few.watch_images))
    epoch, look = whole * statistics.median(steps), most_watched(whole) * statistics.median(looks)
    return {"preset": name, "images": whole, "epoch, s": epoch, "watching, s": look, "share of the epoch": look / epoch}


def sweep(
    device: str, threads: int, what: str, sizes: tuple[int, ...], changes: Callable[[int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Microseconds an image for each size, all sizes in each round."""
    cases = {size: case(PRESET, device, threads, **({"steps": 20} | changes(size))) for size in sizes}
    bursts = {size: ours(trained) for size, trained in cases.items()}
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(ROUNDS + 1):
        for size, burst in bursts.items():
            begin = time.perf_counter()
            burst()
            if number:
                took[size].append(time.perf_counter() - begin)
    images = {size: trained.steps * trained.config.training.batch_size for size, trained in cases.items()}
    return [
        {
            what: size,
            "images": images[size],
            "epoch, s": statistics.median(times),
            "us an image": 1e6 * statistics.median(times) / images[size],
        }
        for size, times in took.items()
    ]


def together(device: str, threads: int, counts: tuple[int, ...] = (1, 2, 3)) -> list[dict[str, Any]]:
    """Seconds of an epoch where so many processes train at once, each with its own threads."""
    found = []
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.growth", device, str(threads)]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        times = [float(child.communicate()[0]) for child in children]
        found.append(
            {"runs": count, "epoch, s": statistics.median(times), "epochs a second": count / statistics.median(times)}
        )
    return found


def _child(device: str, threads: int) -> float:
    """Median seconds of an epoch over about five seconds, so that all processes overlap."""
    torch.set_num_threads(threads)
    burst, times = ours(case(PRESET, device, threads, steps=40)), []
    burst()
    end = time.perf_counter() + 5
    while time.perf_counter() < end:
        begin = time.perf_counter()
        burst()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print(_child(sys.argv[1], int(sys.argv[2])))
