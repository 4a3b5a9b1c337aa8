"""The job 'project': maps of the codes of an analysed run, all that were asked for, one after the other."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from aecore.analysis import layouts, surroundings
from aecore.analysis.neighbours import Nearest, nearest, placed
from aecore.analysis.strata import stratified
from aecore.analysis.trust import trust
from aecore.config.projection import SurroundingsConfig, TsneConfig, UmapConfig, most_fitted
from aecore.jobs.work import Stopped, Work
from aecore.runs import projections
from aecore.runs.projections import AnyProjection, Projection

SPLITS = ("train", "val", "test")
PARTS = 1000
"""Of a job, in which its progress is told."""
PLACED = 5
"""Nearest fitted codes that say where a code that was not fitted lies."""
Step = Callable[[float], None]


class Told:
    """Turns shares of a part of the work into the job's progress, at most twice a second, and stops where somebody asked to."""

    def __init__(self, work: Work):
        self.work, self.last = work, 0.0

    def part(self, begin: float, end: float) -> Step:
        def step(share: float) -> None:
            if self.work.stop.asked:
                raise Stopped
            if time.monotonic() - self.last > 0.5:
                self.last = time.monotonic()
                self.work.beat(step=round(PARTS * (begin + share * (end - begin))), total_steps=PARTS)

        return step


def project(work: Work) -> None:
    """Make the maps that wait, until none does. One that cannot be made is refused with a sentence, and the next one made.

    Raises:
        Stopped: where it is asked to leave; maps that are not done wait on.
    """
    problem = ""
    with work.stop.at_once(0):
        while waiting := next((known for known in projections.projections(work.folder) if known.waits), None):
            try:
                _make(work, waiting)
            except ValueError as error:
                problem = str(error)
                projections.refuse(work.folder, waiting.key, waiting.config, problem)
    work.beat(step=PARTS, total_steps=PARTS)
    work.end("failed" if problem else "completed", problem or "Projected.")


def _make(work: Work, known: Projection) -> None:
    start, told = time.monotonic(), Told(work)
    splits = {split: found for split in SPLITS if (found := work.folder.analysis(split)) is not None}
    name = next(iter(splits), "")
    if not name:
        raise ValueError(f"The codes of {work.folder.id} are not there: have them computed first.")
    fitted, rows = _fitted(splits[name], most_fitted(known.config))
    told.part(0, 1)(0)
    around = nearest(fitted, fitted, _count(known.config, len(fitted)), told.part(0, 0.3), same=True)
    if isinstance(known.config, SurroundingsConfig):
        arrays = surroundings.columns(known.config, splits, name, rows, around, told.part(0.3, 1))
        said: dict[str, Any] = {}
    else:
        first = _start(work, known.config, fitted, name, splits[name]["indices"][rows])
        places = layouts.lay_out(known.config, fitted, around, told.part(0.3, 0.85), first)
        arrays = _placed(splits, name, rows, places, told.part(0.85, 0.98))
        measured = trust(fitted, places)
        said = {"trust": measured and measured._asdict()}
    said |= {"split": name, "fitted": len(fitted), "seconds": round(time.monotonic() - start, 1)}
    said |= {"fingerprint": projections.fingerprint(splits[name]["codes"])}
    projections.write(work.folder, known.key, known.config, arrays, said)


def _start(
    work: Work, config: TsneConfig | UmapConfig, codes: np.ndarray, split: str, indices: np.ndarray
) -> np.ndarray | None:
    """Where another run's map has the same images (n,); None to begin with the principal components.

    Raises:
        ValueError: where there is no such map, or of fewer than three of them.
    """
    if not config.like:
        return None
    run, _, key = config.like.partition("/")
    folder = work.lab.run(run)
    made, kept = projections.arrays(folder, key), folder.analysis(split)
    if made is None or kept is None or f"{split}.places" not in made:
        raise ValueError(f"The run {run} has no map {key} of its {split} images to begin with.")
    there, places = kept["indices"], made[f"{split}.places"]
    order = np.argsort(there)
    at = order[np.clip(np.searchsorted(there, indices, sorter=order), 0, len(order) - 1)]
    known = np.where((there[at] == indices)[:, None], places[at], np.nan)
    if places.shape[1] != config.dims or np.isfinite(known).all(1).sum() < 3:
        raise ValueError(f"The map {key} of {run} is no start: it has too few of these images, or other dimensions.")
    return layouts.begin_like(codes, known)


def _fitted(found: dict[str, np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray]:
    """The codes (n, D) that a map is fitted to, and their rows: those that are finite; of very many a share of each label.

    Raises:
        ValueError: where there are fewer than three.
    """
    finite = np.flatnonzero(np.isfinite(found["codes"]).all(1))
    if len(finite) < 3:
        raise ValueError(f"Only {len(finite)} of the codes are finite numbers: a map needs at least 3.")
    rows = finite if len(finite) <= most else np.sort(stratified(found["labels"], finite)[:most])
    return found["codes"][rows].astype(np.float32), rows


def _count(config: AnyProjection, n: int) -> int:
    """Neighbours that are looked for: fewer where there are not as many codes."""
    return max(1, min(config.neighbours, n - 1))


def _placed(
    splits: dict[str, dict[str, np.ndarray]], name: str, rows: np.ndarray, places: np.ndarray, step: Step
) -> dict[str, np.ndarray]:
    """{'SPLIT.places'} (N, d) of every split: those that were fitted where they are, the others beside their nearest fitted codes."""
    arrays, codes = {}, splits[name]["codes"][rows]
    for split, found in splits.items():
        where = np.full((len(found["codes"]), places.shape[1]), np.nan, np.float32)
        missing = np.isfinite(found["codes"]).all(1)
        if split == name:
            where[rows], missing[rows] = places, False
        if missing.any():
            around: Nearest = nearest(codes, found["codes"][missing], min(PLACED, len(codes)), step)
            where[missing] = placed(places, around)
        arrays[f"{split}.places"] = where
    return arrays
