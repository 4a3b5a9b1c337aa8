"""Train the tutorials' presets and ours, and write docs/RESULTS.md: published, ours, seconds, machine, command, pictures.

    python -m benchmarks.results [--only PRESET ...] [--device cpu|cuda] [--lab DIR] [--write docs/RESULTS.md]

Each row is one `python -m aecore train ...` in a process of its own; the lab keeps the runs, and a row that is there is not
trained again. MNIST and the photographs are found through AELAB_DATA.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ["--dataset", "folder", "--set", "data.path=cifar10-photos.zip"]
LAST_STEPS = 100


class Case(NamedTuple):
    """A preset, what the command line changes of it, and what was published."""

    preset: str
    options: list[str]
    published: str


CASES = [
    Case("linear-pca", [], "-"),
    Case("halving-196", [], "-"),
    Case("stacked-9", [], "-"),
    Case("stacked-9-tuned", [], "-"),
    Case("stacked-9-conv", [], "-"),
    Case(
        "scatter-2",
        [],
        "0.187, 0.185, 0.169, 0.158, 0.156, 0.160, 0.159, 0.163, 0.163, 0.151 (last batch of each epoch)",
    ),
    Case("conv-valid-5x5", [], "at least 0.833 (its floor)"),
    Case("conv-valid-5x5-tanh", [], "-"),
    Case("compress-32", [], "-"),
    Case("compress-32-cifar10", PHOTOS, "-"),
    Case("stl10-conv-100", ["--dataset", "patches", "--set", "training.max_steps=300"], "-"),
    Case("stl10-conv-100-tanh", ["--dataset", "patches", "--set", "training.max_steps=300"], "-"),
    Case("demo", [], "-"),
    Case("conv-16", [], "-"),
    Case("vae-2", [], "-"),
]


class Measured(NamedTuple):
    """What one run reached."""

    case: Case
    command: str
    seconds: float
    device: str
    last_loss: float
    epoch_ends: list[float]
    result: dict[str, Any]
    picture: str


def machine() -> str:
    """The processor's name and cores, and the GPU where there is one."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    return f"{cpu}, {os.cpu_count()} cores{gpu}; torch {torch.__version__}"


def train(case: Case, lab: Path, device: str) -> tuple[str, str]:
    """Train one preset unless the lab has it already. Returns the run id and the command that reproduces it."""
    command = ["python", "-m", "aecore", "train", "--preset", case.preset, *case.options]
    mark = lab / f"{case.preset}.json"
    if not mark.exists():
        environment = {**os.environ, "AELAB_HOME": str(lab)}
        where = ["--set", f"training.device={device}", "--json"]
        shown = subprocess.run(
            [sys.executable, *command[1:], *where], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        if shown.returncode:
            raise SystemExit(f"{case.preset}: {shown.stderr.strip()}")
        lab.mkdir(parents=True, exist_ok=True)
        mark.write_text(shown.stdout)
    return json.loads(mark.read_text())["run"], " ".join(command)


def measure(case: Case, lab: Path, device: str, pictures: Path) -> Measured:
    """Train, read the run folder, and draw two rows of ten originals above ten reconstructions."""
    from aecore.runs.lab import Lab

    run, command = train(case, lab, device)
    folder = Lab.open(lab).run(run)
    with (folder.path / "metrics.csv").open() as lines:
        losses = [row for row in csv.DictReader(lines) if row["split"] == "train" and row["name"] == "loss"]
    ends = {row["epoch"]: float(row["value"]) for row in losses}
    last = int(losses[-1]["step"])
    tail = [float(row["value"]) for row in losses if int(row["step"]) > last - LAST_STEPS]
    draw(folder, pictures / f"{case.preset}.png")
    result, model = folder.result() or {}, folder.model()
    ordered = [value for _, value in sorted(ends.items(), key=lambda end: int(end[0]))]
    picture = f"results/{case.preset}.png"
    return Measured(case, command, result["seconds"], model["device"], float(np.mean(tail)), ordered, result, picture)


def draw(folder: Any, path: Path) -> None:
    """Two rows of ten originals, each above its reconstruction, enlarged without smoothing."""
    from PIL import Image

    inputs, sample = folder.inputs().images, folder.sample(folder.sample_steps()[-1]).x_hat
    rows = [
        np.concatenate(list(images[start : start + 10]), axis=2) for start in (0, 10) for images in (inputs, sample)
    ]
    picture = np.concatenate(rows, axis=1)  # (C, 4 H, 10 W)
    pixels = picture[0] if picture.shape[0] == 1 else picture.transpose(1, 2, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = Image.fromarray(pixels)
    shown.resize((shown.width * 2, shown.height * 2), Image.Resampling.NEAREST).save(path)


def markdown(rows: list[Measured], where: str, note: str) -> str:
    """The table and the pictures."""
    lines = [
        "# What the presets reach",
        "",
        "Written by `python -m benchmarks.results`; every row is one run, reproduced by its command.",
        f"Machine: {where}. {note}".strip(),
        "",
        f"`loss` is the mean training loss over the last {LAST_STEPS} steps in the preset's own loss and pixel range; `MSE` (per pixel,",
        "[0,1]), `PSNR` and `SSIM` are of the watched images: the test split, or for our presets the validation split.",
        "",
        "| preset | published | loss | MSE | PSNR, dB | SSIM | seconds | device |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = row.result
        lines.append(
            f"| `{row.case.preset}` | {row.case.published} | {row.last_loss:.4f} | {found['mse']:.5f} | {found['psnr']:.2f} "
            f"| {found['ssim']:.3f} | {row.seconds:.0f} | {row.device} |"
        )
    scatter = next((row for row in rows if row.case.preset == "scatter-2"), None)
    if scatter:
        ends = ", ".join(f"{value:.3f}" for value in scatter.epoch_ends)
        lines += ["", f"`scatter-2`, loss of the last batch of each epoch, ours: {ends}."]
    measured = {row.case.preset for row in rows}
    if missing := [f"`{case.preset}`" for case in CASES if case.preset not in measured]:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    for row in rows:
        lines += ["", f"## {row.case.preset}", "", f"`{row.command}`", "", f"![{row.case.preset}]({row.picture})"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the presets and write the table of results.")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--lab", type=Path, default=ROOT / "lab" / "results")
    parser.add_argument("--note", default="", help="a sentence about the machine, such as what else it did")
    parser.add_argument("--write", type=Path, default=ROOT / "docs" / "RESULTS.md")
    options = parser.parse_args()
    rows = []
    for case in CASES:
        if not options.only or case.preset in options.only:
            rows.append(measure(case, options.lab, options.device, options.write.parent / "results"))
            print(f"{case.preset}: loss {rows[-1].last_loss:.4f}, {rows[-1].seconds:.0f} s", flush=True)
    options.write.write_text(markdown(rows, machine(), options.note))


if __name__ == "__main__":
    main()
