"""Columns of the wall that are made now, by the newest models: of another data set's images, or of a selection."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ui.columns import Wall, each_once, in_turns, made
from ui.comparison import Compared, converted
from ui.lab import latest_stamp, split, trained
from ui.latent_selection import kept, split_of

POOL = 256
"""Images that go through the models, at most."""


def elsewhere(runs: Sequence[Compared], name: str, count: int = POOL) -> Wall:
    """Images of another data set, brought to the runs' shape, through every run's newest model. Raises DataError, ConfigError."""
    config = converted(runs[0].config.data, runs[0].facts, name)
    found = split(config.model_dump_json(), "test")
    chosen = np.sort(np.random.default_rng(0).permutation(len(found.labels))[:count])
    originals = found.images[chosen]
    columns, notes = [], []
    for run in runs:
        try:
            stamp, key = latest_stamp(run.row.id), config.model_dump_json()
            labels = found.labels[chosen] if name == run.config.data.name else None  # others' labels are other things
            columns += made(run, originals, *_through(run.row.id, stamp, key, count, originals, labels), "newest model")
        except ValueError as error:
            notes.append(f"{run.label}: {error}")
    facts = runs[0].facts._replace(class_names=found.class_names)
    return in_turns(Wall(originals, found.labels[chosen], chosen, facts, "test", each_once(columns), notes))


def selected(runs: Sequence[Compared], name: str) -> Wall | None:
    """The images of a selection, the first POOL of them, through the newest model of every run that has these images.

    None where the first run has not. Raises DataError.
    """
    part, first = split_of(name), runs[0]
    indices = kept(first.row.id, part, name)[:POOL] if part else np.empty(0, int)
    if not len(indices):
        return None
    found = split(first.config.data.model_dump_json(), part)  # type: ignore[arg-type]
    originals, labels = found.images[indices], found.labels[indices]
    columns, notes = [], []
    for run in runs:
        stamp = latest_stamp(run.row.id)
        if not stamp or not len(kept(run.row.id, part, name)):
            notes.append(
                f"{run.label} has not these images, or no model yet." if stamp else f"{run.label} has no model yet."
            )
            continue
        seen, x_hat = _through(run.row.id, stamp, name, len(indices), originals, labels)
        columns += made(run, originals, seen, x_hat, "newest model")
    return Wall(originals, labels, indices, first.facts, part, each_once(columns), notes)


@st.cache_resource(max_entries=64, show_spinner="Running the model on these images …")
def _through(
    run_id: str, stamp: str, config: str, count: int, _images: np.ndarray, _labels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """What the encoder sees of the images, and what the model makes of it."""
    model = trained(run_id, stamp)
    seen = model.see(_images)
    return seen, model.reconstruct(seen, _labels)
