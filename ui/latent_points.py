"""The codes of a run as points: where they come from, and which map places them.

Everything is computed once for all viewers, keyed by the file that it was computed from, and read only.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from aecore.analysis.projection import PCA, fit_pca
from aecore.analysis.strata import stratified
from aecore.runs import projections
from aecore.runs.folder import RunFolder
from ui.lab import lab
from ui.latent_selection import kept

SPLITS: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
DRAWN, BEHIND = 1_000_000, 100_000
"""Points that are drawn at most, and of other splits in grey behind them; of more, a sample that has each label in its share."""
WIDE, FITTED, NUMBERS = 1_000, (300, 1_500), 20_000_000
"""Of codes of more than WIDE numbers, the principal components of some random ones are taken: FITTED at least and at most, with so
many numbers together. All would take minutes."""


class View(NamedTuple):
    """Which points of a run: of a split's analysis, or of the sample that the trainer took at a step."""

    run: str
    split: str
    step: int | None = None
    """Step of the sample; None for the analysis."""
    n: int | None = None
    """How many points, chosen at random but always the same; None for all."""
    dims: int = 2
    map: str = ""
    """'' for the principal components (of up to three numbers: the code itself), 'dims-0-4' for numbers of the code, else the
    key of a map that a job made."""
    colour: str = "label"
    """What the points are coloured by: see `latent_colours`."""
    only: str = ""
    """Hash of a selection that alone is shown; '' for all."""


class Codes(NamedTuple):
    """Codes of images, as they lie in the run's folder."""

    codes: np.ndarray
    """(N, D) float32."""
    labels: np.ndarray
    """(N,) int64, -1 where there is none."""
    errors: np.ndarray
    """(N,) float32 mean squared error per pixel, NaN where it is not known."""
    indices: np.ndarray
    """(N,) int64: place of the image in its split."""


class Ordered(NamedTuple):
    """The finite ones among the codes (N, D), as they are drawn: every beginning has each label in its share."""

    codes: np.ndarray
    rows: np.ndarray
    """(N,) their rows in the file."""
    indices: np.ndarray
    """(N,) int64: places of their images in the split."""
    left_out: int
    """How many codes were not finite."""


class Cloud(NamedTuple):
    """All points of a split or a sample, in the order of `Ordered`."""

    places: np.ndarray
    """(N, k) float32, k at most 3."""
    labels: np.ndarray
    errors: np.ndarray
    indices: np.ndarray
    code_size: int
    pca: PCA | None
    """What made the places from the codes; None where they are numbers of the code, or a job's."""
    left_out: int
    """How many codes were not finite."""
    rows: np.ndarray
    """(N,) of each point its row in the file."""


class Points(NamedTuple):
    """The points of a view: places (n, dims) float32, and for each its label, error and image."""

    places: np.ndarray
    labels: np.ndarray
    errors: np.ndarray
    indices: np.ndarray


def analysed(folder: RunFolder) -> list[str]:
    """The splits whose codes the analysis of this run has."""
    return [split for split in SPLITS if (folder.path / "analysis" / f"{split}.npz").exists()]


def stamp(view: View) -> str:
    """Changes when the file that a view is computed from changes. Raises FileNotFoundError with a sentence."""
    name = f"analysis/{view.split}.npz" if view.step is None else f"samples/{view.step:08d}.npz"
    try:
        return f"{(lab().run(view.run).path / name).stat().st_mtime_ns:x}"
    except FileNotFoundError:
        raise FileNotFoundError(f"The run {view.run} has no codes of {_said(view)} yet.") from None


def map_written(view: View) -> int:
    """When the map of a view was made by a job; 0 where it was not, or not yet."""
    if not view.map or view.map.startswith("dims-"):
        return 0
    try:
        return projections.array_path(lab().run(view.run), view.map).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def cloud(view: View) -> Cloud:
    """All points that a view chooses from. Raises FileNotFoundError or ValueError with a sentence."""
    return _cloud(*_file(view), view.map, map_written(view))


def codes(view: View) -> np.ndarray:
    """(N, D) float32: the codes of `cloud(view)`, in its order."""
    return _ordered(*_file(view)).codes


def codes_of(view: View, indices: list[int]) -> np.ndarray | None:
    """(n, D) float32 codes of these images of a split, as they were analysed; None where one of them was not."""
    try:
        found = _positions(*_file(view))
    except (FileNotFoundError, ValueError):
        return None
    rows = found[indices] if max(indices) < len(found) else np.array([-1])
    return None if (rows < 0).any() else codes(view)[rows]


def points(view: View) -> Points:
    """The first n points of the cloud, which are a sample of it: 512 of them are among the 2,000."""
    found, chosen = cloud(view), drawn(view)
    arrays = (found.labels, found.errors, found.indices)
    return Points(wide(found.places[chosen], view.dims), *(array[chosen] for array in arrays))


def drawn(view: View) -> np.ndarray | slice:
    """Which of the cloud's points a view shows."""
    most = min(view.n or DRAWN, DRAWN)
    if not view.only:
        return slice(most)
    return np.flatnonzero(np.isin(cloud(view).indices, kept(view.run, view.split, view.only)))[:most]


def others(view: View) -> list[str]:
    """The other splits whose points can stand behind a view's: those that were analysed too."""
    folder = lab().run(view.run)
    return [split for split in analysed(folder) if split != view.split] if view.step is None else []


def behind(view: View) -> np.ndarray:
    """(n, dims) float32: places of the other splits' points in the map of a view, at most BEHIND, each split in its share."""
    clouds = [cloud(View(view.run, split, map=view.map)) for split in others(view)]
    total = sum(len(found.places) for found in clouds)
    shares = [len(found.places) * min(1.0, BEHIND / max(1, total)) for found in clouds]
    parts = [wide(found.places[: int(share)], view.dims) for found, share in zip(clouds, shares, strict=True)]
    return np.concatenate([np.empty((0, view.dims), np.float32), *parts])


def _file(view: View) -> tuple[str, str, int | None, str]:
    return str(lab().run(view.run).path), view.split, view.step, stamp(view)


def read(folder: RunFolder, split: str, step: int | None) -> Codes:
    """Codes of a split's analysis, or of a sample. Raises FileNotFoundError with a sentence."""
    if step is None:
        found = folder.analysis(split)
        if found is not None:
            labels, errors = found.get("labels"), found.get("errors")
            return _codes(found["codes"], labels, errors, found["indices"])
    else:
        sample, inputs = folder.sample(step), folder.inputs()
        if sample is not None and inputs is not None:
            n = len(sample.codes)  # the first of the watched images, as their errors are
            return _codes(sample.codes, inputs.point_labels[:n], sample.errors[:n], inputs.point_indices[:n])
    raise FileNotFoundError(f"The run {folder.id} has no codes of {_said(View(folder.id, split, step))} yet.")


def _codes(codes: np.ndarray, labels: np.ndarray | None, errors: np.ndarray | None, indices: np.ndarray) -> Codes:
    n = len(codes)
    labels = np.full(n, -1) if labels is None or len(labels) != n else labels
    errors = np.full(n, np.nan, np.float32) if errors is None or len(errors) != n else errors
    return Codes(codes.reshape(n, -1).astype(np.float32, copy=False), labels, errors, indices)


@lru_cache(maxsize=4)
def _ordered(path: str, split: str, step: int | None, stamp: str) -> Ordered:
    folder = RunFolder(path)
    found = read(folder, split, step)
    finite = np.isfinite(found.codes).all(1)
    if not finite.any():
        raise ValueError(f"No code of {_said(View(folder.id, split, step))} is a finite number: the training diverged.")
    order = stratified(found.labels, np.flatnonzero(finite))
    return Ordered(_still(found.codes[order]), order, _still(found.indices[order]), int((~finite).sum()))


@lru_cache(maxsize=4)
def _positions(path: str, split: str, step: int | None, stamp: str) -> np.ndarray:
    """Of each place in the split where it stands in the order; -1 for nowhere."""
    indices = _ordered(path, split, step, stamp).indices
    found = np.full(indices.max() + 1, -1)
    found[indices] = np.arange(len(indices))
    return found


@lru_cache(maxsize=24)
def _cloud(path: str, split: str, step: int | None, stamp: str, map_: str, _map_written: int) -> Cloud:
    folder, (codes, order, indices, left_out) = RunFolder(path), _ordered(path, split, step, stamp)
    found, pca = read(folder, split, step), None
    if map_.startswith("dims-"):
        places = codes[:, columns(map_, codes.shape[1])]
    elif map_:
        places = _made(folder, split, step, map_, len(found.codes))[order]
    else:
        pca = _axes(folder, split, step, codes, found.labels[order]) if codes.shape[1] > 3 else None
        places = codes.copy() if pca is None else pca.project(codes).astype(np.float32)
    labels, errors = (_still(array[order]) for array in (found.labels, found.errors))
    return Cloud(_still(places), labels, errors, indices, codes.shape[1], pca, left_out, order)


def columns(map_: str, size: int) -> list[int]:
    """The two or three numbers of the code, counted from 0, that 'dims-0-4' names. Raises ValueError with a sentence."""
    wanted = [int(word) for word in map_.split("-")[1:] if word.isdecimal()]
    if not 2 <= len(wanted) <= 3 or max(wanted) >= size:
        raise ValueError(f"The map {map_!r} does not name two or three of the code's {size:,} numbers.")
    return wanted


def _made(folder: RunFolder, split: str, step: int | None, key: str, n: int) -> np.ndarray:
    """(n, dims): the places of all codes of a split, in its order. Raises FileNotFoundError with a sentence."""
    made = None if step is not None else projections.arrays(folder, key)
    # an older one may be of other codes, until a new one is made
    if made is None or len(made.get(f"{split}.places", ())) != n:
        raise FileNotFoundError(f"The run {folder.id} has no map {key} of {_said(View(folder.id, split, step))} yet.")
    return made[f"{split}.places"]


def _still(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _axes(folder: RunFolder, split: str, step: int | None, codes: np.ndarray, labels: np.ndarray) -> PCA:
    """The axes are the training images' where these were analysed, so that they stay when the split changes."""
    if step is None and split != "train" and "train" in analysed(folder):
        train = cloud(View(folder.id, "train")).pca
        assert train is not None
        return train
    size = codes.shape[1]
    fitted = codes if size <= WIDE else codes[: int(np.clip(NUMBERS // size, *FITTED))]
    pca = fit_pca(fitted, min(3, len(codes)))
    return _turned(pca, codes[:5000], labels[:5000])


def _turned(pca: PCA, codes: np.ndarray, labels: np.ndarray) -> PCA:
    """The sign of a principal component is arbitrary: the first label lies on the positive side, so that epochs look alike."""
    side = pca.project(codes[labels == labels.min()]).mean(0)
    components = pca.components * np.where(side < 0, -1, 1)[:, None]
    return PCA(pca.mean.astype(np.float32), components.astype(np.float32), pca.explained)


def wide(places: np.ndarray, dims: int) -> np.ndarray:
    """Places (n, dims); codes of one number get a second axis: chance, the same each time, a quarter as wide as the codes."""
    if places.shape[1] < dims:
        chance = np.random.default_rng(1).random((len(places), 1), np.float32) - 0.5
        places = np.concatenate([places, chance * (np.ptp(places) / 4 if len(places) else 0)], axis=1)
    return places[:, :dims]


def _said(view: View) -> str:
    return f"the {view.split} images" if view.step is None else f"step {view.step:,}"
