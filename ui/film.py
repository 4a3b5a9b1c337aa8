"""Keep the pictures of a finished demo as the film that the first page of an empty lab shows.

`python -m ui.film LAB` takes the lab's newest demo of each code size. Run it when the demo's preset or its data change.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from aecore.runs import Lab, RunFolder, runs
from ui.demo import latest_pair

FILM = Path(__file__).parent / "assets/film"
IMAGES, MOMENTS = 16, 16


def moments(steps: list[int]) -> list[int]:
    """At most MOMENTS of the steps, denser at the start, the first and the last among them."""
    places = np.linspace(0, 1, min(MOMENTS, len(steps))) ** 1.5 * (len(steps) - 1)
    return [steps[place] for place in dict.fromkeys(int(place) for place in places.round())]


def keep(folder: RunFolder, place: Path) -> None:
    """Write the samples of a run, thinned out, as a run folder that has nothing else."""
    inputs = folder.inputs()
    assert inputs is not None, f"{folder.id} has no pictures"
    (place / "samples").mkdir(parents=True, exist_ok=True)
    for old in (place / "samples").glob("*.npz"):
        old.unlink()
    none = np.zeros(0, np.int64)
    head: dict[str, Any] = {
        "images": inputs.images[:IMAGES],
        "labels": inputs.labels[:IMAGES],
        "indices": inputs.indices[:IMAGES],
    }
    np.savez_compressed(place / "samples/inputs.npz", **head, point_labels=none, point_indices=none, split=inputs.split)
    for step in moments(folder.sample_steps()):
        sample = folder.sample(step)
        assert sample is not None
        empty = np.zeros((0, 0), np.float32)
        content: dict[str, Any] = {"x_hat": sample.x_hat[:IMAGES], "codes": empty, "errors": empty.ravel()}
        seconds = np.nan  # another machine's seconds would promise something about this one
        np.savez_compressed(place / f"samples/{step:08d}.npz", **content, epoch=sample.epoch, seconds=seconds)


if __name__ == "__main__":
    lab = Lab.open(sys.argv[1])
    for run, size in zip(latest_pair(runs(lab)), ("2", "16"), strict=True):
        keep(lab.run(run.id), FILM / f"recorded-{size}")
