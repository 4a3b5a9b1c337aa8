"""A selection that leaves the dashboard: as a table and as a picture."""

import numpy as np

from ui import latent_points
from ui.lab import lab, split
from ui.latent_points import View
from ui.pictures import wall
from ui.spreadsheet import as_csv

MOST = 400
"""Images in a picture; of more, every so many-th."""


def table(view: View, indices: np.ndarray) -> str:
    """CSV of the images: number, label, error, place in the map, and the code's numbers (at most 256)."""
    found, codes = latent_points.cloud(view), latent_points.codes(view)
    facts = lab().run(view.run).facts()
    names = facts.class_names if facts else ()
    size = min(codes.shape[1], 256)
    places = latent_points.wide(found.places, view.dims)
    axes = "xyz"[: view.dims]
    head, rows = ["index", "label", "name", "error", *axes, *(f"z{number + 1}" for number in range(size))], []
    for at in np.flatnonzero(np.isin(found.indices, indices)):
        label, place = int(found.labels[at]), map(_number, places[at])
        name = names[label] if 0 <= label < len(names) else ""
        code = map(_number, codes[at, :size])
        rows.append([int(found.indices[at]), label, name, _number(found.errors[at]), *place, *code])
    return as_csv(head, rows)


def _number(value: float) -> float:
    """With seven digits: more are noise in 32 bits."""
    return float(f"{value:.7g}")


def picture(view: View, indices: np.ndarray) -> bytes:
    """PNG of the images in a square."""
    chosen = indices if len(indices) <= MOST else indices[np.linspace(0, len(indices) - 1, MOST).astype(int)]
    images = split(lab().run(view.run).config().data.model_dump_json(), view.split).images[chosen]  # type: ignore[arg-type]
    side = int(np.ceil(np.sqrt(len(images))))
    filled = np.zeros((side * -(-len(images) // side), *images.shape[1:]), np.uint8)
    filled[: len(images)] = images
    return wall(filled.reshape(-1, side, *images.shape[1:]), max(1, 56 // images.shape[-1]), 1)
