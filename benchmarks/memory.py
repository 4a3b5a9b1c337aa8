"""Measured peak memory of every preset against `aecore.training.memory.estimate`: hold 15 %.

    python -m benchmarks.memory [--device cpu|cuda] [--only PRESET ...] [--steps 6] [--repeat 1] [--jobs 1]

Each preset trains for a few steps, evaluates and takes a sample in a process of its own, on random images of its data set's
shape and number. CPU: the process's peak resident set. CUDA: `max_memory_allocated` plus the context (memory in use on the
device less what PyTorch reserved, by a process that is alone on it); `reserved` is what its allocator held on to. The median of
the repetitions is shown.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def main() -> None:
    arguments = _arguments()
    if arguments.child:
        print(json.dumps(CHILDREN.get(arguments.child, measure)(arguments)))
        return
    from aecore.config import presets

    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, device {arguments.device}"
    )
    print(f"{'preset':22}{'estimate':>12}{'measured':>12}{'ratio':>8}{'runtime':>10}{'reserved':>10}   (MB)")
    worst, names = 0.0, arguments.only or list(presets())
    if arguments.device == "cuda":
        arguments.context = child("context", arguments)["context"]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = pool.map(lambda name: [child(name, arguments) for _ in range(arguments.repeat)], names)
    for name, runs in zip(names, found, strict=True):
        row = sorted(runs, key=lambda run: run["measured"])[len(runs) // 2]
        ratio = row["estimate"] / row["measured"]
        worst = max(worst, abs(ratio - 1))
        numbers = [f"{row[key] / 1e6:>{width}.0f}" for key, width in (("estimate", 12), ("measured", 12))]
        rest = [f"{row[key] / 1e6:>10.0f}" for key in ("runtime", "reserved")]
        print(f"{name:22}{''.join(numbers)}{ratio:>8.3f}{''.join(rest)}", flush=True)
    print(f"worst: {100 * worst:.1f} % (hold 15 %)")
    sys.exit(worst > 0.15)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", nargs="+", metavar="PRESET")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="presets that are measured at once")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--context", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args()


def child(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """`measure` in a process of its own, or what is asked in its place."""
    kept = {key: str(getattr(arguments, key)) for key in ("device", "steps", "context")}
    options = [word for key, value in kept.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "benchmarks.memory", "--child", name, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Bytes: the estimate, the measured peak, what was there before the model, what the allocator reserved."""
    import torch

    from aecore import training
    from aecore.analysis.sampling import Sampler
    from aecore.config import override, preset
    from aecore.data import facts

    device, context = arguments.device, arguments.context
    changes = [f"training.device={device}", f"training.max_steps={arguments.steps}"]
    config = override(preset(arguments.child).config, changes)
    known = facts(config.data, [])
    expected = training.memory.estimate(config, known)
    images = random_data(config, known, device)
    runtime = _peak(device) - sum(t.nbytes for t in (images.train_images, images.watch_images))
    state = training.start(config, known)
    sampler = Sampler(images, state.model, config)
    for row in training.train(state, images, config):
        if row is not None and row.name == "mse":
            sampler.take(state.model)
    reserved = torch.cuda.memory_reserved() if device == "cuda" else 0
    return {
        "estimate": expected.total,
        "measured": _peak(device) + context,
        "runtime": context or runtime,
        "reserved": reserved,
    }


def random_data(config: Any, known: Any, device: str) -> Any:
    """As `training.prepare` would give, without a data set."""
    import numpy as np
    import torch

    from aecore.training import Data
    from aecore.training.data import most_watched

    n = min(known.n_train, config.training.subset or known.n_train)
    watched = most_watched(n)
    draw = lambda count: torch.randint(0, 256, (count, *known.shape), dtype=torch.uint8, device=device)
    label = lambda count: torch.zeros(count, dtype=torch.int64, device=device)
    return Data(draw(n), label(n), draw(watched), label(watched), np.arange(watched), "test", known)


def _peak(device: str) -> float:
    import torch

    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def context(arguments: argparse.Namespace) -> dict[str, float]:
    """Bytes of the GPU that a process takes before any model. Other processes must be off that GPU."""
    import torch

    torch.zeros(1, device="cuda") @ torch.zeros(1, device="cuda")  # loads cuBLAS as well
    free, total = torch.cuda.mem_get_info()
    return {"context": float(total - free - torch.cuda.memory_reserved())}


CHILDREN = {"context": context}
"""What else is measured in a process of its own."""


if __name__ == "__main__":
    main()
