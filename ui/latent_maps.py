"""Which maps of a run's codes there are, and what is known of them: how they were made and how far to trust them."""

from functools import lru_cache
from typing import NamedTuple

from aecore.analysis.trust import Trust, trust
from aecore.config.projection import SurroundingsConfig
from aecore.runs import projections
from aecore.runs.folder import RunFolder
from aecore.runs.projections import Projection
from ui import latent_colours, latent_points
from ui.lab import lab
from ui.latent_points import View

NAMES = {"tsne": "t-SNE", "umap": "UMAP"}


class Made(NamedTuple):
    """A map that a job made or makes."""

    title: str
    known: Projection


def maps(folder: RunFolder, dims: int | None = None) -> dict[str, Made]:
    """{key: map} of all that were asked for in so many dimensions, but not of what only colours the points."""
    found = [known for known in projections.projections(folder) if known.config.kind in NAMES]
    found = [known for known in found if dims in (None, dims_of(folder, known.key))]
    return {known.key: Made(title(known), known) for known in found}


def done(known: Projection | None) -> bool:
    """Whether a map is there to be looked at."""
    return known is not None and not known.waits and "problem" not in known.said


def title(known: Projection) -> str:
    """A map in words: 't-SNE', and what differs from its defaults."""
    config = known.config
    default = type(config)()
    fields = [name for name in type(config).model_fields if getattr(config, name) != getattr(default, name)]
    words = {"like": "begun like"}
    said = ", ".join(
        f"{words.get(name, name.replace('_', ' '))} {getattr(config, name)}" for name in fields if name != "dims"
    )
    return NAMES.get(config.kind, config.kind) + f" ({said})" * bool(said)


def dims_of(folder: RunFolder, key: str) -> int | None:
    """Dimensions of a map that a job made; None where it is none."""
    known = projections.read(folder, key) if key else None
    return known.config.dims if known and not isinstance(known.config, SurroundingsConfig) else None


def fitted(view: View, total: int) -> str:
    """Which codes a job's map was fitted to, in a sentence, where these are not all of the `total` that are shown; else ''."""
    known = projections.read(lab().run(view.run), view.map)
    split, many = (known.said.get("split"), known.said.get("fitted")) if known else (None, None)
    if not split or not many:
        return ""
    if split != view.split:
        return f" It was fitted to {many:,} {split} codes; these were placed beside their nearest."
    return f" It was fitted to {many:,} of them; the others were placed beside their nearest." * (many < total)


def trusted(view: View) -> Trust | None:
    """How far to trust the map of a view: of the codes that a job's map was fitted to what it found then, else computed now, once."""
    known = projections.read(lab().run(view.run), view.map) if view.map and not view.map.startswith("dims-") else None
    if known and known.said.get("split") == view.split:
        found = known.said.get("trust")
        return Trust(**found) if found else None
    if latent_points.cloud(view).code_size <= view.dims and not view.map:
        return None  # the map is the code
    return _trusted(View(view.run, view.split, view.step, None, view.dims, view.map), latent_colours.point_stamp(view))


@lru_cache(maxsize=64)
def _trusted(view: View, stamp: str) -> Trust | None:
    codes, places = latent_points.codes(view), latent_points.cloud(view).places[:, : view.dims]
    few = max(100, min(5_000, 20_000_000 // codes.shape[1]))
    return trust(codes[:few], places[:few])
