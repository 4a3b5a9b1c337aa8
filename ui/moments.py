"""What a run's samples tell of one moment: where the codes lie, the error of each class, which images are best and worst."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aecore.analysis.alignment import follow
from aecore.analysis.watched import EACH, EACH_OF_CLASS, three
from aecore.runs import Inputs, LabError, RunFolder, SampleFile

POINTS, SCALE = 1000, 1000
"""Points of the small map; units of a place that one root mean square radius is told in."""
KINDS = ("best", "typical", "worst")
LESS, MORE = np.array([31, 119, 180]), np.array([214, 69, 30])
"""Colours of pixels that are too dark and too bright."""


class Extreme(NamedTuple):
    """One image among those shown as best, typical or worst at a moment."""

    place: int
    """Among the watched images."""
    kind: str
    rank: int
    """1 for the smallest error."""
    error: float
    kept: int | None
    """Place among the images whose reconstruction every sample keeps."""


def inputs_of(folder: RunFolder) -> Inputs:
    """The watched images of a run. Raises LabError with a sentence before there are any, or where they cannot be read."""
    return _inputs(str(folder.path), _written(folder.path / "samples/inputs.npz"))


def sample_of(folder: RunFolder, step: int) -> SampleFile:
    """The sample of a step. Raises LabError with a sentence where there is none, or it cannot be read."""
    return _sample(str(folder.path), step, _written(folder.sample_path(step)))


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _inputs(path: str, written: int) -> Inputs:
    run = Path(path).name
    try:
        found = RunFolder(path).inputs()
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        raise LabError(f"The watched images of run {run} cannot be read: {error}") from None
    if found is None:
        raise LabError(f"The run {run} has no pictures yet.")
    return found


@lru_cache(maxsize=256)
def _sample(path: str, step: int, written: int) -> SampleFile:
    run = Path(path).name
    try:
        found = RunFolder(path).sample(step)
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        raise LabError(f"The sample of step {step:,} of run {run} cannot be read: {error}") from None
    if found is None:
        raise LabError(f"The run {run} has no pictures of step {step:,}.")
    return found


def labels(inputs: Inputs) -> np.ndarray:
    """(n,) int64: labels of the watched images, as far as they are known: older folders have them of the points alone."""
    return inputs.point_labels if inputs.all_labels is None else inputs.all_labels


def indices(inputs: Inputs) -> np.ndarray:
    """(n,) int64: their places in the split, as far as they are known."""
    return inputs.point_indices if inputs.all_indices is None else inputs.all_indices


def by_class(inputs: Inputs, sample: SampleFile) -> list[tuple[int, float, int]]:
    """(label, mean error, images) of each class of the watched images whose label is known."""
    known = labels(inputs)[: len(sample.errors)]
    errors = sample.errors[: len(known)]
    return [
        (int(label), float(errors[known == label].mean()), int((known == label).sum())) for label in np.unique(known)
    ]


def extremes(inputs: Inputs, sample: SampleFile, label: int | None = None, pooled: bool = False) -> list[Extreme]:
    """The images of the smallest, the middle and the largest errors, all different; of one class where a label is given.

    Args:
        pooled: look only at the images whose originals the run keeps.
    """
    known = labels(inputs)[: len(sample.errors)]
    among = np.arange(len(known)) if label is None else np.flatnonzero(known == label)
    order = among[np.argsort(sample.errors[among], kind="stable")]
    ranks = {int(place): rank for rank, place in enumerate(order, 1)}
    if pooled:
        order = order[np.isin(indices(inputs)[order], inputs.indices)]
    kept = {int(index): place for place, index in enumerate(inputs.indices)}
    return [
        Extreme(int(i), kind, ranks[int(i)], float(sample.errors[i]), kept.get(int(indices(inputs)[i])))
        for kind, found in zip(KINDS, three(order, EACH if label is None else EACH_OF_CLASS), strict=True)
        for i in found
    ]


def kept_of(sample: SampleFile, one: Extreme) -> np.ndarray | None:
    """(C, H, W) uint8: the reconstruction of an image at this moment; None where the sample does not keep it."""
    if one.kept is not None:
        return np.asarray(sample.x_hat[one.kept])
    if sample.notable is None or sample.notable_x_hat is None:
        return None
    found = np.flatnonzero(sample.notable == one.place)
    return sample.notable_x_hat[found[0]] if len(found) else None


def places(folder: RunFolder, steps: Sequence[int]) -> np.ndarray:
    """(m, 2) float64: where the points of the last of these steps lie, each step turned onto the one before."""
    return _chain(str(folder.path), tuple((step, _written(folder.sample_path(step))) for step in steps))


@lru_cache(maxsize=1024)
def _chain(path: str, steps: tuple[tuple[int, int], ...]) -> np.ndarray:
    (step, written), earlier = steps[-1], steps[:-1]
    before = None
    if earlier:
        try:
            before = _chain(path, earlier)
        except LabError:  # a sample in between is damaged
            before = None
    return follow(_sample(path, step, written).codes[:POINTS], before)


def told(found: np.ndarray) -> list[int]:
    """Places as whole numbers x, y, x, y, ..."""
    return [int(number) for number in np.clip(np.rint(found * SCALE), -9 * SCALE, 9 * SCALE).ravel()]


def difference(x: np.ndarray, x_hat: np.ndarray) -> np.ndarray:
    """Images (n, C, H, W) uint8 twice -> (n, 4, H, W) uint8: red where x_hat is too bright, blue where it is too dark, and
    transparent where it is right. The opacity is the square root of the difference's share of the whole range."""
    signed = (x_hat.astype(np.float32) - x.astype(np.float32)).mean(axis=1) / 255  # (n, H, W)
    colour = np.where((signed > 0)[:, None], MORE[:, None, None], LESS[:, None, None])
    opacity = np.sqrt(np.abs(signed))[:, None] * 255
    return np.concatenate([colour, opacity], axis=1).round().astype(np.uint8)


def about(folder: RunFolder, colour: Any) -> dict[str, Any]:
    """What does not change of a run's watched images: labels, the names and colours of the classes, the split, how many."""
    inputs, facts = inputs_of(folder), folder.facts()
    names = facts.class_names if facts else ()
    known = [int(label) for label in np.unique(labels(inputs))]
    classes = [[label, names[label] if 0 <= label < len(names) else str(label), colour(label)] for label in known]
    return {
        "labels": inputs.labels.tolist(),
        "points": inputs.point_labels[:POINTS].tolist(),
        "classes": classes,
        "split": inputs.split,
        "count": len(labels(inputs)),
    }
