"""What the Compare page shows of several runs: the same inputs, what each model made of them, and how far off it is."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import streamlit as st

from aecore import data
from aecore.config import ConfigError, DataConfig, Facts, RunConfig
from aecore.data import DataError
from aecore.runs import Inputs, RunFolder, RunRow, SampleFile
from aecore.runs.lab import Lab
from ui.lab import lab, latest_stamp, split, trained
from ui.palette import run_colour

POOL = 256
"""Images among which the worst are looked for."""
FEW = 4
"""With fewer common images than this, the models are run on the first run's images instead."""


class Compared(NamedTuple):
    """A run among those that are compared."""

    row: RunRow
    folder: RunFolder
    config: RunConfig
    facts: Facts
    label: str
    colour: str

    @property
    def kind(self) -> tuple[str, tuple[int, int, int]]:
        """Data set and shape: only runs that agree in both can be compared."""
        return self.config.data.name, self.facts.shape


class Column(NamedTuple):
    """What one model made of the originals: images (n, C, H, W) uint8 and MSE per pixel (n,), in [0,1] units.

    Or what its encoder saw of them, where the run's task makes that something else (`is_input`).
    """

    run: Compared
    images: np.ndarray
    errors: np.ndarray
    when: str
    is_input: bool = False


class Wall(NamedTuple):
    """The same originals (n, C, H, W) uint8 for every column."""

    originals: np.ndarray
    names: tuple[str, ...]
    columns: list[Column]
    notes: list[str]


def gather(here: Lab, rows: Sequence[RunRow]) -> tuple[list[Compared], list[str]]:
    """The runs that can be compared with the first one, and a sentence for each of the others."""
    runs: list[Compared] = []
    sentences: list[str] = []
    for row, label in zip(rows, labels(rows), strict=True):
        try:
            folder = here.run(row.id)
            facts = folder.facts()
            if facts is None:
                sentences.append(f"{label} has not started yet: it will appear here once it has.")
                continue
            found = Compared(row, folder, folder.config(), facts, label, run_colour(len(runs)))
        except ValueError as error:
            sentences.append(str(error))
            continue
        if runs and found.kind != runs[0].kind:
            sentences.append(_other_data(found, runs[0]))
        else:
            runs.append(found)
    return runs, sentences


def default(rows: Sequence[RunRow]) -> list[str]:
    """The latest two completed runs on the same data, the older one first; else the latest that has begun."""
    begun = [row for row in rows if row.state == "completed"] or [row for row in rows if row.step]
    if not begun:
        return []
    mates = [row.id for row in begun if row.dataset == begun[0].dataset]
    return mates[:2][::-1]


def labels(rows: Sequence[RunRow]) -> list[str]:
    """A short name for each run that no other of them has: its name, with the code size where needed, else its id."""
    names = Counter(row.name for row in rows)
    sized = Counter((row.name, row.code_size) for row in rows)
    return [
        row.name
        if names[row.name] == 1
        else f"{row.name}, {row.code_size}"
        if sized[row.name, row.code_size] == 1
        else row.id
        for row in rows
    ]


def held_out(runs: Sequence[Compared], count: int, epoch: int | None) -> Wall | None:
    """The images that the first run was watched on, through every run at this epoch, the last one for None; None before there are any.

    What a run was not watched on is left out, or made now by its model where too little would be left.
    """
    watched = {run.row.id: found for run in runs if (found := inputs(run.row.id)) is not None}
    first = watched.get(runs[0].row.id)
    if first is None:
        return None
    places = {run.row.id: _places(first, watched.get(run.row.id)) for run in runs}
    common = [i for i in range(len(first.images)) if all(i in found for found in places.values())]
    notes = []
    if len(common) < FEW:
        strangers = [run.label for run in runs if len(places[run.row.id]) < FEW]
        notes.append(
            f"{' and '.join(strangers)} watched other images (another validation seed or share), which may include these among its "
            "training images: its newest model was run on them just now."
        )
        common = list(range(len(first.images)))
    elif len(common) < len(first.images):
        notes.append(f"The runs held out different images: these are the {len(common)} that all of them held out.")
    chosen = common[:count]
    originals = first.images[chosen]
    columns = [
        column
        for run in runs
        for column in _columns(
            run, originals, first.labels[chosen], [places[run.row.id].get(i) for i in chosen], epoch, watched
        )
    ]
    return Wall(originals, tuple(_name(runs[0].facts, first.labels[i]) for i in chosen), _each_once(columns), notes)


def elsewhere(runs: Sequence[Compared], name: str, count: int) -> Wall:
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
            through = _through(run.row.id, stamp, key, count, originals, labels)
            columns += _made(run, originals, *through, "newest model")
        except ValueError as error:
            notes.append(f"{run.label}: {error}")
    names = tuple(found.class_names[i] for i in found.labels[chosen])
    return Wall(originals, names, _each_once(columns), notes)


def worst(made: Wall, count: int) -> Wall:
    """The images of a wall whose mean error over the models is largest, the worst first."""
    total = np.sum([column.errors for column in made.columns if not column.is_input], axis=0)
    first = np.argsort(-total, kind="stable")[:count]
    columns = [c._replace(images=c.images[first], errors=c.errors[first]) for c in made.columns]
    return made._replace(originals=made.originals[first], names=tuple(made.names[i] for i in first), columns=columns)


def others(run: Compared, here: Lab) -> dict[str, str]:
    """{name: title} of the data sets that can be shown at the shape of this run, and are there; among them the run's own, where
    classes were left out of its training."""
    found = {}
    if run.config.training.classes and data.dataset(run.config.data.name).kind != "folder":
        found[run.config.data.name] = "Test images of all classes"
    for name, known in data.DATASETS.items():
        try:
            config = converted(run.config.data, run.facts, name)
            same = name != run.config.data.name and known.kind != "folder" and data.is_present(config, here.data_roots)
            if same and data.facts(config, here.data_roots).shape == run.facts.shape:
                found[name] = known.title
        except (ConfigError, DataError):
            continue
    return found


def converted(config: DataConfig, facts: Facts, name: str) -> DataConfig:
    """The config that brings another data set to the shape of these facts."""
    channels, height, _ = facts.shape
    colour: Literal["grey", "rgb"] = "grey" if channels == 1 else "rgb"
    return DataConfig(name=name, size=height, colour=colour, value_range=config.value_range, seed=config.seed)


def epochs(runs: Sequence[Compared]) -> list[int]:
    """Epochs to choose from, 0 for the untrained model; at most about fifty."""
    last = max((run.row.epoch for run in runs), default=0)
    step = max(1, -(-last // 50))
    return list(range(0, last, step))


def errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) mean squared error per pixel of uint8 images (n, C, H, W), in [0,1] units: aecore.analysis has it too, behind torch."""
    difference = (a.astype(np.float32) - b) / 255
    found: np.ndarray = (difference**2).mean(axis=(1, 2, 3))
    return found


def _columns(
    run: Compared,
    originals: np.ndarray,
    labels: np.ndarray,
    places: list[int | None],
    epoch: int | None,
    watched: dict[str, Inputs],
) -> list[Column]:
    """From the run's own samples where it was watched on all of these images, else from its model; none where there is neither."""
    if None in places:
        try:
            model = trained(run.row.id, latest_stamp(run.row.id))
            seen = model.see(originals)
            return _made(run, originals, seen, model.reconstruct(seen, labels), "newest model")
        except ValueError:
            return []
    found = _sample(run, epoch)
    if found is None:
        return []
    at = [place for place in places if place is not None]
    saw = watched[run.row.id].seen
    seen = originals if saw is None else saw[at]
    return _made(run, originals, seen, found.x_hat[at], f"epoch {found.epoch}" if found.step else "untrained")


def _made(run: Compared, originals: np.ndarray, seen: np.ndarray, x_hat: np.ndarray, when: str) -> list[Column]:
    """The column of the reconstructions, and before it what the encoder saw, where that is not the originals."""
    made = Column(run, x_hat, errors(originals, x_hat), when)
    if np.array_equal(seen, originals):
        return [made]
    return [Column(run, seen, errors(originals, seen), "input", True), made]


def _each_once(columns: Sequence[Column]) -> list[Column]:
    """Without the inputs that an earlier column shows already: runs with the same task and seed see the same."""
    kept: list[Column] = []
    for column in columns:
        if not any(k.is_input and column.is_input and np.array_equal(k.images, column.images) for k in kept):
            kept.append(column)
    return kept


def _sample(run: Compared, epoch: int | None) -> SampleFile | None:
    """The newest sample up to the end of this epoch."""
    steps = run.folder.sample_steps()
    last = _read_sample(run.row.id, steps[-1]) if steps else None
    if last is None or epoch is None or epoch >= last.epoch:
        return last
    end = epoch * last.step / last.epoch
    return _read_sample(run.row.id, max((step for step in steps if step <= end), default=steps[0]))


@st.cache_resource(max_entries=256, show_spinner=False)
def _read_sample(run_id: str, step: int) -> SampleFile | None:
    return lab().run(run_id).sample(step)


def inputs(run_id: str) -> Inputs | None:
    """The images that a run is watched on; None before it has begun."""
    found = _read_inputs(run_id)
    if found is None:
        _read_inputs.clear(run_id)
    return found


@st.cache_resource(max_entries=64, show_spinner=False)
def _read_inputs(run_id: str) -> Inputs | None:
    return lab().run(run_id).inputs()


@st.cache_resource(max_entries=64, show_spinner="Running the model on these images …")
def _through(
    run_id: str, stamp: str, config: str, count: int, _images: np.ndarray, _labels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """What the encoder sees of the images, and what the model makes of it."""
    model = trained(run_id, stamp)
    seen = model.see(_images)
    return seen, model.reconstruct(seen, _labels)


def _places(first: Inputs, other: Inputs | None) -> dict[int, int]:
    """Where in `other` each image of `first` is, by its pixels."""
    if other is None or other.images.shape[1:] != first.images.shape[1:]:
        return {}
    found = {image.tobytes(): place for place, image in enumerate(other.images)}
    return {i: found[key] for i, image in enumerate(first.images) if (key := image.tobytes()) in found}


def _name(facts: Facts, label: int) -> str:
    return facts.class_names[label] if 0 <= label < len(facts.class_names) else ""


def _other_data(run: Compared, first: Compared) -> str:
    mine, theirs = (f"{r.config.data.name} at {'×'.join(map(str, r.facts.shape))}" for r in (run, first))
    return f"{run.label} is not shown: it learnt {mine}, and {first.label} learnt {theirs}. Runs on the same data can be compared."
