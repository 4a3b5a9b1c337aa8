"""The wall of images for which no analysis has kept anything: of a selection, of another data set; through newest models."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ui import simple
from ui.columns import Column, Wall, in_turns, made, stand_beside, walled
from ui.comparison import Compared, converted
from ui.lab import latest_stamp, split, trained
from ui.latent_selection import kept, split_of

POOL = 256
"""Images that go through the models at most."""


def wall_of(runs: Sequence[Compared], name: str, beside: Sequence[str] = ()) -> Wall | None:
    """The images of a selection, the first POOL of them, through the newest model of every run that has these images.

    `beside` names the simple methods that get a column. None where the first run has not. Raises DataError.
    """
    part, first = split_of(name), runs[0]
    indices = kept(first.row.id, part, name)[:POOL] if part else np.empty(0, int)
    if not len(indices):
        return None
    found = split(first.config.data.model_dump_json(), part)  # type: ignore[arg-type]
    clean, labels = found.images[indices], found.labels[indices]
    originals = clean
    columns, notes, ready = [], [], []
    for run in runs:
        stamp = latest_stamp(run.row.id)
        if not stamp or not len(kept(run.row.id, part, name)):
            notes.append(
                f"{run.label} has not these images, or no model yet." if stamp else f"{run.label} has no model yet."
            )
            continue
        originals, seen, x_hat = run_through(run.row.id, stamp, name, len(indices), clean, labels)
        columns += made(run, originals, seen, x_hat, "newest model")
        ready.append(run)
    columns += _beside(ready, originals, beside, name, notes)
    return walled(first, (originals, labels, indices), part, columns, notes)


def elsewhere(runs: Sequence[Compared], name: str, beside: Sequence[str] = (), count: int = POOL) -> Wall:
    """Images of another data set, brought to the runs' shape, through every run's newest model. Raises DataError, ConfigError."""
    config = converted(runs[0].config.data, runs[0].facts, name)
    found = split(config.model_dump_json(), "test")
    chosen = np.sort(np.random.default_rng(0).permutation(len(found.labels))[:count])
    clean = originals = found.images[chosen]
    columns, notes, ready = [], [], []
    for run in runs:
        try:
            stamp, key = latest_stamp(run.row.id), config.model_dump_json()
            labels = found.labels[chosen] if name == run.config.data.name else None  # others' labels are other things
            originals, seen, x_hat = run_through(run.row.id, stamp, key, count, clean, labels)
            columns += made(run, originals, seen, x_hat, "newest model")
            ready.append(run)
        except ValueError as error:
            notes.append(f"{run.label}: {error}")
    columns += _beside(ready, originals, beside, config.model_dump_json(), notes)
    first = runs[0]._replace(facts=runs[0].facts._replace(class_names=found.class_names))
    return in_turns(walled(first, (originals, found.labels[chosen], chosen), "test", columns, notes))


def _beside(
    runs: Sequence[Compared], originals: np.ndarray, names: Sequence[str], key: str, notes: list[str]
) -> list[Column]:
    """Simple methods made now; `key` says which images these are. What there is to say is added to the notes."""
    if runs and names:
        notes += simple.sampled(runs[0]) * ("pca" in names)
    every = range(len(originals))
    return stand_beside(runs, originals, names, lambda run: (simple.made(run, originals, key), every))


@st.cache_resource(max_entries=64, show_spinner="Running the model on these images …")
def run_through(
    run_id: str, stamp: str, config: str, count: int, _images: np.ndarray, _labels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the decoder should give for the images, what the encoder sees of them, and what the model makes of that."""
    model = trained(run_id, stamp)
    seen = model.see(_images)
    return model.wanted(_images), seen, model.reconstruct(seen, _labels)
