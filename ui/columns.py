"""The columns of the reconstruction wall: the same originals, and what each model and each simple method makes of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from aecore.analysis import quality_words
from aecore.config import Facts
from aecore.runs import Inputs, SampleFile
from ui.comparison import Compared, sizes
from ui.lab import latest_stamp, trained
from ui.stored import inputs, sample, shown, simple_figures

FEW = 4
"""With fewer common images than this, the models are run on the first run's images instead."""
SIZES = 2
"""Code sizes at which simple methods stand beside the models; of more, the smallest and the largest."""
SIMPLE = {"mean": "Mean image", "pca": "PCA", "bicubic": "Bicubic", "jpeg": "JPEG", "webp": "WebP"}
"""Simple methods as `aecore.analysis.columns` names them."""


Images = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What the decoders should give (n, C, H, W) uint8, labels (n,), places in the split (n,)."""


class Column(NamedTuple):
    """What one model or method made of the originals: images (n, C, H, W) uint8 and MSE per pixel (n,), in [0,1] units."""

    label: str
    kind: str
    """'model', 'input' (what the encoder saw, where that is not what the decoder should give) or 'baseline'."""
    images: np.ndarray
    errors: np.ndarray
    colour: str = ""
    when: str = ""
    key: str = ""
    """The run's id, or the method's name."""
    bytes: np.ndarray | None = None
    """(n,): of each image's file."""


class Wall(NamedTuple):
    """The same originals (n, C, H, W) uint8 for every column."""

    originals: np.ndarray
    """What the decoders should give."""
    labels: np.ndarray
    """(n,) int64."""
    indices: np.ndarray
    """(n,) int64: place of each image in its split."""
    facts: Facts
    split: str
    columns: list[Column]
    notes: list[str]
    target: str = ""
    """What the originals are, in words, where they are not the images themselves."""

    def name(self, row: int) -> str:
        """Its class in words."""
        label = int(self.labels[row])
        return self.facts.class_names[label] if 0 <= label < len(self.facts.class_names) else ""

    @property
    def models(self) -> list[Column]:
        return [column for column in self.columns if column.kind == "model"]

    def take(self, rows: np.ndarray) -> "Wall":
        """Only these rows, in this order."""
        columns = [
            c._replace(images=c.images[rows], errors=c.errors[rows], bytes=None if c.bytes is None else c.bytes[rows])
            for c in self.columns
        ]
        return self._replace(
            originals=self.originals[rows], labels=self.labels[rows], indices=self.indices[rows], columns=columns
        )


def errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) mean squared error per pixel of uint8 images (n, C, H, W), in [0,1] units: aecore.analysis has it too, behind torch."""
    difference = (a.astype(np.float32) - b).reshape(len(a), prod(a.shape[1:]))
    return np.asarray(np.einsum("np,np->n", difference, difference) / (255**2 * difference.shape[1]))


def test_images(runs: Sequence[Compared], beside: Sequence[str]) -> Wall | None:
    """The stored test images through every run that is analysed; None where none is.

    `beside` names the simple methods that get a column.
    """
    stored = {run.row.id: found for run in runs if (found := shown(run, "shown-test")) is not None}
    ready = [run for run in runs if run.row.id in stored]
    if not ready:
        return None
    first = stored[ready[0].row.id]
    places = {run.row.id: _places(first["images"], stored[run.row.id]["images"]) for run in ready}
    common = [i for i in range(len(first["images"])) if all(i in found for found in places.values())]
    notes = [
        f"{run.label} is not analysed yet, so its test images are not reconstructed: choose what it watches epoch by epoch, or analyse it below."
        for run in runs
        if run not in ready
    ]
    if len(common) < len(first["images"]):
        notes.append(f"The runs do not have the same test images: these are the {len(common)} that all of them have.")
    if not common:
        return None
    originals, columns = first["images"][common], []
    for run in ready:
        at = [places[run.row.id][i] for i in common]
        mine = stored[run.row.id]
        seen = mine["seen"][at] if "seen" in mine else originals
        columns += made(run, originals, seen, mine["model"][at], "the analysed model")
    columns += stand_beside(
        ready, originals, beside, lambda run: (stored[run.row.id], [places[run.row.id][i] for i in common])
    )
    images = originals, first["labels"][common], first["indices"][common]
    return in_turns(walled(ready[0], images, "test", columns, notes))


def held_out(runs: Sequence[Compared], epoch: int | None, beside: Sequence[str] = ()) -> Wall | None:
    """The images that the first run was watched on, through every run at this epoch, the last one for None; None before there are any.

    What a run was not watched on is left out, or made now by its model where too little would be left.
    """
    watched = {run.row.id: found for run in runs if (found := inputs(run)) is not None}
    first = watched.get(runs[0].row.id)
    if first is None:
        return None
    places = {
        run.row.id: _places(first.images, watched[run.row.id].images) if run.row.id in watched else {} for run in runs
    }
    common = [i for i in range(len(first.images)) if all(i in found for found in places.values())]
    notes = [] if epoch is None else _of_another(runs, epoch)
    if len(common) < FEW:
        others = [run for run in runs if run.row.id in watched and len(places[run.row.id]) < len(first.images)]
        notes += _strangers(others, first.split)
        common = list(range(len(first.images)))
    elif len(common) < len(first.images):
        notes.append(f"The runs held out different images: these are the {len(common)} that all of them held out.")
    originals, columns = first.images[common], []
    clean = first.seen[common] if runs[0].target and first.seen is not None else originals
    for run in runs:
        at = [places[run.row.id].get(i) for i in common]
        column = _at(run, originals, clean, first.labels[common], at, epoch, watched)
        notes += [f"{run.label} has nothing to show: no pictures yet, and no checkpoint that can be read."] * (
            not column
        )
        columns += column
    measured = [
        run for run in runs if shown(run, "shown-watched") is not None and all(i in places[run.row.id] for i in common)
    ]
    columns += stand_beside(
        measured,
        originals,
        beside,
        lambda run: (shown(run, "shown-watched") or {}, [places[run.row.id][i] for i in common]),
    )
    images = originals, first.labels[common], first.indices[common]
    return walled(runs[0], images, first.split, columns, notes)


def _strangers(runs: Sequence[Compared], split: str) -> list[str]:
    """Who watched other images than these of a split. Test images are never trained on."""
    names, several = " and ".join(run.label for run in runs), len(runs) > 1
    own, model = ("their", "newest models were") if several else ("its", "newest model was")
    learnt = f" (another validation seed or share), which may include these among {own} training images"
    why = "" if split == "test" else learnt
    return [f"{names} watched other images{why}: {own} {model} run on these just now."] * bool(runs)


def walled(first: Compared, images: Images, part: str, columns: list[Column], notes: list[str]) -> Wall:
    """The wall of runs that are like the first."""
    return Wall(*images, first.facts, part, each_once(columns), notes, first.target)


def read_as(runs: Sequence[Compared]) -> str:
    """How figures beside those of simple methods are to be read, for below their title."""
    given = any(run.config.task.kind != "identity" for run in runs)
    return f"means over the test images; grey lines need no network{GIVEN * given}"


GIVEN = f"; {quality_words.GIVEN}"


def made(run: Compared, originals: np.ndarray, seen: np.ndarray, x_hat: np.ndarray, when: str) -> list[Column]:
    """The column of the reconstructions, and before it what the encoder saw, where that is not the originals."""
    column = Column(run.label, "model", x_hat, errors(originals, x_hat), run.colour, when, run.row.id)
    if np.array_equal(seen, originals):
        return [column]
    return [Column("Input", "input", seen, errors(originals, seen), "", run.config.task.kind, run.row.id), column]


Stored = Callable[[Compared], tuple[dict[str, np.ndarray], Sequence[int]]]
"""A run -> what was kept of it, and where in that the originals are."""


def stand_beside(runs: Sequence[Compared], originals: np.ndarray, names: Sequence[str], stored: Stored) -> list[Column]:
    """Simple methods at the code sizes of the first few runs, the same one once."""
    columns: list[Column] = []
    known = sorted(sizes(runs))
    wanted = known if len(known) <= SIZES else [known[0], known[-1]]
    firsts = [next(run for run in runs if run.row.code_size == size) for size in wanted]
    for name in names:
        for run in firsts:
            arrays, at = stored(run)
            if name not in arrays:
                continue
            images, size = arrays[name][at], arrays.get(f"{name}.bytes")
            label = (simple_figures(run).get(name) or {}).get("label", SIMPLE[name])
            file = None if size is None else size[at]
            whose = f"images of {run.label}"
            columns.append(Column(label, "baseline", images, errors(originals, images), "", whose, name, file))
    return columns


def _of_another(runs: Sequence[Compared], epoch: int) -> list[str]:
    """Who has no such epoch, and of whom no pictures near it were kept."""
    late = [run for run in runs if run.row.epoch < epoch]
    kept = {run: found for run in runs if run not in late and (found := sample(run, epoch)) is not None}
    far = [run.label for run, found in kept.items() if _far(found, run, epoch)]
    names = " and ".join(far[:3] + [f"{len(far) - 3} more"] * (len(far) > 3))
    trained = any(found.step for run, found in kept.items() if run.label in far)
    what = "the newest before it" if trained else "those of the untrained model"
    return [f"{run.label} has no epoch {epoch}: it is at epoch {run.row.epoch}, which is shown." for run in late] + [
        f"Of {names} no pictures near epoch {epoch} were kept: {what} are shown."
    ] * bool(far)


def _far(found: SampleFile, run: Compared, epoch: int) -> bool:
    """Whether these pictures are of long before this epoch, or of before any training."""
    return epoch - found.epoch > (max(1, run.row.epoch // 20) if found.step else 0)


def _at(
    run: Compared,
    originals: np.ndarray,
    clean: np.ndarray,
    labels: np.ndarray,
    places: list[int | None],
    epoch: int | None,
    watched: dict[str, Inputs],
) -> list[Column]:
    """From the run's own samples where it was watched on all of these images, else from its model; none where there is neither."""
    if None in places:
        try:
            model = trained(run.row.id, latest_stamp(run.row.id))
            seen = model.see(clean)
            return made(run, originals, seen, model.reconstruct(seen, labels), "newest model")
        except ValueError:
            return []
    found = sample(run, epoch)
    if found is None:
        return []
    at = [place for place in places if place is not None]
    saw = watched[run.row.id].seen
    seen = originals if saw is None else saw[at]
    return made(run, originals, seen, found.x_hat[at], f"epoch {found.epoch}" if found.step else "untrained")


def each_once(columns: Sequence[Column]) -> list[Column]:
    """Without inputs and simple methods that an earlier column shows already; of equal names that are left it is told whose images
    each was fitted to."""
    kept: list[Column] = []
    for column in columns:
        if column.kind == "model" or not any(_twins(column, other) for other in kept):
            kept.append(column)
    names = Counter(column.label for column in kept if column.kind == "baseline")
    return [
        c._replace(label=f"{c.label}, {c.when}") if c.kind == "baseline" and names[c.label] > 1 else c for c in kept
    ]


def _twins(a: Column, b: Column) -> bool:
    """Whether two inputs are the same, or two of one simple method, but for what nobody can see."""
    if a.kind != b.kind or (a.kind == "baseline" and a.key != b.key):
        return False
    apart = 0 if a.kind == "input" else 1
    return int(np.abs(a.images.astype(np.int16) - b.images).max(initial=0)) <= apart


def in_turns(found: Wall) -> Wall:
    """One class after another, so that the first few rows are different things."""
    turns = np.empty(len(found.labels), np.int64)
    for label in np.unique(found.labels):
        of_label = np.flatnonzero(found.labels == label)
        turns[of_label] = np.arange(len(of_label))
    return found.take(np.lexsort((found.labels, turns)))


def _places(first: np.ndarray, other: np.ndarray) -> dict[int, int]:
    """Where in `other` each image of `first` is, by its pixels."""
    if other.shape[1:] != first.shape[1:]:
        return {}
    if np.array_equal(first, other):  # as for most runs, and much faster
        return {i: i for i in range(len(first))}
    found = {image.tobytes(): place for place, image in enumerate(other)}
    return {i: found[key] for i, image in enumerate(first) if (key := image.tobytes()) in found}
