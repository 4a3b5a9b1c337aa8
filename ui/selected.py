"""The wall of a selection: its images through the newest model of each run."""

from collections.abc import Sequence

import numpy as np

from ui.columns import POOL, Wall, made, run_through, walled
from ui.comparison import Compared
from ui.lab import latest_stamp, split
from ui.latent_selection import kept, split_of


def wall_of(runs: Sequence[Compared], name: str) -> Wall | None:
    """The images of a selection, the first POOL of them, through the newest model of every run that has these images.

    None where the first run has not. Raises DataError.
    """
    part, first = split_of(name), runs[0]
    indices = kept(first.row.id, part, name)[:POOL] if part else np.empty(0, int)
    if not len(indices):
        return None
    found = split(first.config.data.model_dump_json(), part)  # type: ignore[arg-type]
    clean, labels = found.images[indices], found.labels[indices]
    originals = clean
    columns, notes = [], []
    for run in runs:
        stamp = latest_stamp(run.row.id)
        if not stamp or not len(kept(run.row.id, part, name)):
            notes.append(
                f"{run.label} has not these images, or no model yet." if stamp else f"{run.label} has no model yet."
            )
            continue
        originals, seen, x_hat = run_through(run.row.id, stamp, name, len(indices), clean, labels)
        columns += made(run, originals, seen, x_hat, "newest model")
    return walled(first, (originals, labels, indices), part, columns, notes)
