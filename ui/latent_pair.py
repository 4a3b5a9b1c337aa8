"""Two models, or two epochs of one: the same images in both, one map laid over the other, and who keeps which neighbours."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from aecore.analysis.alignment import laid_over
from aecore.analysis.neighbours import kept_neighbours
from aecore.config.projection import TsneConfig, UmapConfig, key_of
from aecore.runs import RunRow, projections, runs
from ui import latent_colours, latent_exchange, latent_maps, latent_points, latent_selection
from ui.lab import lab
from ui.latent_points import Points, View
from ui.palette import STEPS

MOST, NEIGHBOURS = 5_000, 15
"""Images that are compared at most, a sample with each label in its share; and neighbours of each among them."""
KEEPS = ((0.0, "none"), (1 / 3, "few"), (2 / 3, "many"), (0.999, "most"), (2.0, "all"))
"""Share of its neighbours that an image keeps up to which a word holds."""
SHADES = tuple(STEPS[round(place * (len(STEPS) - 1) / 4)] for place in range(5))
FIRST, OWN = "first", "own"
"""Where the second model's map begins: at the first model's places, or at its own principal components."""


class Two(NamedTuple):
    """What is compared: of two runs, or of two steps of one, the same split."""

    first: View
    second: View


class Pair(NamedTuple):
    """The same images (n) on both sides."""

    sides: tuple[Points, Points]
    """Their points, the second's turned, scaled and moved onto the first's."""
    kept: np.ndarray
    """(n,) share of the NEIGHBOURS nearest in the first code that are so in the second."""
    moved: np.ndarray
    """(n,) distance between the two places, in the first map's units."""
    common: int
    """How many images both sides have: of more than MOST a sample is compared."""


def others(view: View) -> dict[str, RunRow]:
    """Runs on the same images whose codes of the view's split are there."""
    images = latent_selection.images_of(view.run, view.split)
    found = {}
    for row in runs(lab()):
        if row.id == view.run or view.split not in latent_points.analysed(lab().run(row.id)):
            continue
        if latent_selection.images_of(row.id, view.split) == images:
            found[row.id] = row
    return found


def plain(view: View) -> View:
    """The view without what only changes how it is drawn; numbers of the code mean nothing in another model."""
    made = view.map if view.dims == 2 and not view.map.startswith("dims-") else ""
    return View(view.run, view.split, view.step, map=made)


def wanted(view: View, start: str) -> TsneConfig | UmapConfig | None:
    """The map that another run needs beside the map of a view; None for principal components, which are always there."""
    known = projections.read(lab().run(view.run), plain(view).map) if plain(view).map else None
    if known is None or not isinstance(known.config, TsneConfig | UmapConfig):
        return None
    return known.config.model_copy(update={"like": f"{view.run}/{known.key}" if start == FIRST else ""})


def of_runs(view: View, other: str, start: str = OWN) -> Two:
    """A view beside the same images in another run: in the same map where both have it, else in principal components."""
    mine, config = plain(view), wanted(view, start)
    key = key_of(config) if config else ""
    if key and not latent_maps.done(projections.read(lab().run(other), key)):
        mine, key = mine._replace(map=""), ""
    return Two(mine, View(other, view.split, map=key))


def of_steps(run: str, split: str, first: int, second: int) -> Two:
    """The watched images of a run as they lay at two steps of its training."""
    return Two(View(run, split, first), View(run, split, second))


def stamp(two: Two) -> str:
    """Changes when what a pair is computed from changes."""
    return "-".join(map(latent_colours.point_stamp, two))


def pair(two: Two) -> Pair:
    """Both sides. Raises FileNotFoundError or ValueError with a sentence."""
    return _pair(*two, stamp(two))


@lru_cache(maxsize=8)
def _pair(mine: View, theirs: View, stamp: str) -> Pair:
    a, b = latent_points.points(mine), latent_points.points(theirs)
    place = {index: at for at, index in enumerate(b.indices.tolist())}
    common = np.array([at for at, index in enumerate(a.indices.tolist()) if index in place], int)
    rows = common[:MOST]
    if len(rows) < 3:
        raise ValueError("The two sides have fewer than three images in common: there is nothing to compare.")
    matching = np.array([place[index] for index in a.indices[rows].tolist()])
    left, right = (Points(*(array[chosen] for array in side)) for side, chosen in ((a, rows), (b, matching)))
    aligned = laid_over(right.places, left.places)
    codes = latent_points.codes(mine)[rows], latent_points.codes(theirs)[matching]
    moved = np.linalg.norm(aligned - left.places, axis=1)
    return Pair((left, right._replace(places=aligned)), kept_neighbours(*codes, NEIGHBOURS), moved, len(common))


def frame(found: Pair) -> list[list[float]]:
    """The range along each axis that shows both sides; a few stragglers widen it by half at most, on either side."""
    places = np.concatenate([side.places for side in found.sides]).astype(float)
    low, high = np.quantile(places, (0.005, 0.995), axis=0)
    reach = (high - low) / 2
    ends = np.maximum(places.min(0), low - reach), np.minimum(places.max(0), high + reach)
    flat = ends[0] == ends[1]
    return np.stack([ends[0] - flat, ends[1] + flat], axis=1).tolist()


def members(kept: np.ndarray) -> np.ndarray:
    """(n,) groups of KEEPS."""
    return np.searchsorted([share for share, _ in KEEPS], kept, side="left")


def meant(found: Pair, side: int, drawn: Any) -> np.ndarray:
    """Places in their split of the images that were drawn around on one side; none of what makes no sense."""
    try:
        if not drawn.get("kind"):
            return np.empty(0, int)
        return latent_exchange.meant(found.sides[side], drawn, members(found.kept))
    except (AttributeError, KeyError, TypeError, ValueError):
        return np.empty(0, int)


def most_moved(found: Pair, n: int) -> np.ndarray:
    """Positions of the n images that keep the fewest neighbours, those that moved farthest first."""
    return np.lexsort((-found.moved, found.kept))[:n]
