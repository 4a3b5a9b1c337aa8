"""What the points of the map are coloured by: each colour is a group of points, with a name and a count in the legend."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from aecore.config.projection import SurroundingsConfig, key_of
from aecore.data.fonts import FONTS
from aecore.runs import projections
from aecore.runs.folder import RunFolder
from ui import latent_points
from ui.lab import lab
from ui.latent_points import View
from ui.palette import STEPS, label_colour

TITLES = {
    "label": "Label",
    "error": "Error",
    "cluster": "Cluster",
    "density": "Density",
    "agreement": "Agreement",
}
AROUND = ("cluster", "density", "agreement")
"""What needs the neighbours of all codes: a job computes it once."""
AGREES = ((0.0, "none agrees"), (1 / 3, "few agree"), (2 / 3, "many agree"), (0.999, "most agree"), (2.0, "all agree"))
"""Share of the neighbours up to which a name holds."""
NAMED = {"factor.font": tuple(FONTS)}
"""Names of a factor's values 0, 1, ..., where they are no numbers."""
FEW = 20


class Groups(NamedTuple):
    """Of the points of a view, who belongs to which group."""

    member: np.ndarray
    """(n,) int64, -1 for none."""
    names: tuple[str, ...]
    colours: tuple[str, ...]
    named: bool
    """Whether the names stand in the map: they are things, not ranges of a number."""


def surroundings_key() -> str:
    """The key of what a job knows of all codes' neighbours."""
    return key_of(SurroundingsConfig())


def colours(view: View) -> dict[str, str]:
    """{name: title} of what the points of a view can be coloured by."""
    found = dict(TITLES) if view.step is None else {name: TITLES[name] for name in ("label", "error")}
    return found | {f"factor.{name}": name.replace("_", " ").capitalize() for name in _factors(view)}


def point_stamp(view: View) -> str:
    """Changes when anything changes that the points of a view, and their groups, are computed from.

    Raises FileNotFoundError with a sentence where the codes or the map are not there.
    """
    parts = [latent_points.stamp(view)]
    folder = lab().run(view.run)
    around = surroundings_key() if view.colour in AROUND else ""
    for key in (view.map if not view.map.startswith("dims-") else "", around):
        if key:
            try:
                parts.append(f"{projections.array_path(folder, key).stat().st_mtime_ns:x}")
            except FileNotFoundError:
                raise FileNotFoundError(f"The run {view.run} has no map {key} yet.") from None
    return "-".join(parts)


def groups(view: View) -> Groups:
    """The groups of a view's points. Raises FileNotFoundError or ValueError with a sentence."""
    return _groups(view, point_stamp(view))


@lru_cache(maxsize=32)
def _groups(view: View, stamp: str) -> Groups:
    if view.colour == "label":
        facts = lab().run(view.run).facts()
        names = facts.class_names if facts else ()
        return Groups(latent_points.points(view).labels, names, tuple(map(label_colour, range(len(names)))), True)
    chosen = latent_points.drawn(view)
    values = _values(view)[latent_points.cloud(view).rows][chosen]
    if view.colour == "cluster":
        names = tuple(f"Cluster {number + 1}" for number in range(int(values.max(initial=-1)) + 1))
        return Groups(values.astype(np.int64), names, tuple(map(label_colour, range(len(names)))), False)
    if view.colour == "agreement":
        member = np.searchsorted([share for share, _ in AGREES], np.nan_to_num(values, nan=0.0), side="left")
        shades = tuple(STEPS[round(i * (len(STEPS) - 1) / (len(AGREES) - 1))] for i in range(len(AGREES)))
        return Groups(np.where(np.isfinite(values), member, -1), tuple(name for _, name in AGREES), shades, False)
    return bins(values, NAMED.get(view.colour, ()))


def bins(values: np.ndarray, names: Sequence[str] = ()) -> Groups:
    """Numbers (n,) in groups: of few different ones a group each, by its name, else in steps with about as many points each."""
    known = values[np.isfinite(values)]
    different = np.unique(known)
    if len(different) <= FEW:
        member = np.where(np.isfinite(values), np.searchsorted(different, values), -1)
        many = len(different) > len(STEPS)
        shades = tuple(
            label_colour(i) if many else STEPS[i * len(STEPS) // max(1, len(different))] for i in range(len(different))
        )
        said = tuple(names[int(value)] if names else f"{value:g}".replace("-", "−") for value in different)
        return Groups(member, said, shades, False)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, len(STEPS) + 1)))
    member = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    steps = tuple(f"{low} to {high}" for low, high in pairwise(written(edges)))
    return Groups(np.where(np.isfinite(values), member, -1), steps, STEPS[: len(steps)], False)


def dense(away: np.ndarray) -> np.ndarray:
    """Mean distances (n,) to the nearest codes as densities: 1 is usual, 2 has them at half the usual distance.

    >>> dense(np.array([2.0, 1.0, 4.0, np.nan]))
    array([1. , 2. , 0.5, nan])
    """
    return np.nanmedian(away) / np.maximum(away, 1e-12) if np.isfinite(away).any() else away


def written(edges: np.ndarray) -> list[str]:
    """Ascending numbers, each with the digits that tell the nearest two apart.

    >>> written(np.array([-0.19, -0.0931, 2.7e-05, 0.19])), written(np.array([0.02, 47.3, 360]))
    (['−0.19', '−0.09', '0.00', '0.19'], ['0', '47', '360'])
    """
    digits = max(0, int(np.ceil(np.log10(2 / np.diff(edges).min()))))
    said = [f"{value:.{digits}f}" if digits < 6 else f"{value:.3g}" for value in edges.tolist()]
    return [text.replace("-", "−") for text in said]


def _values(view: View) -> np.ndarray:
    """One number for each row of the file that the view's codes are in."""
    folder = lab().run(view.run)
    if view.colour == "error":
        return latent_points.read(folder, view.split, view.step).errors
    if view.colour in AROUND and view.step is None:
        made = projections.arrays(folder, surroundings_key())
        if made is None or f"{view.split}.{view.colour}" not in made:
            raise FileNotFoundError("The neighbours of all codes are not known yet.")
        found = made[f"{view.split}.{view.colour}"]
        return dense(found) if view.colour == "density" else found
    kept = _factors(view)
    name = view.colour.removeprefix("factor.")
    if not view.colour.startswith("factor.") or name not in kept:
        raise ValueError(f"The points cannot be coloured by {view.colour!r}: {', '.join(colours(view))} are possible.")
    return kept[name].astype(np.float64)


def _factors(view: View) -> dict[str, np.ndarray]:
    if view.step is not None:
        return {}
    return _kept_factors(str(lab().run(view.run).path), view.split, latent_points.stamp(view))


@lru_cache(maxsize=8)
def _kept_factors(path: str, split: str, stamp: str) -> dict[str, np.ndarray]:
    found = RunFolder(path).analysis(split) or {}
    return {name.removeprefix("factor."): values for name, values in found.items() if name.startswith("factor.")}
