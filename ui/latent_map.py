"""The latent map: our component for two dimensions, plotly for three, and which of a run's codes they show."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from ui import latent_points
from ui.lab import lab, latest_stamp
from ui.latent_points import View
from ui.palette import label_colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FOLDER = Path(__file__).parent / "components"
SCRIPTS = ("latent_draw.js", "latent.js")
"""Parts of one module, in this order: a component's script cannot import."""

GREY = "#8a8f98"
AXES = ("Latent feature 1", "Latent feature 2", "Latent feature 3")
MOST_3D = 10_000

_map = st.components.v2.component(
    "aelab_latent",
    js="\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS),
    css=(FOLDER / "latent.css").read_text(encoding="utf-8"),
)


class Chosen(NamedTuple):
    """What a visitor chose in the map."""

    selection: dict[str, Any] | None
    """`{kind, polygon|index, hidden, view}`, or None."""
    pins: list[tuple[float, float]]
    """Places in the plane."""


def latent_map(view: View) -> Chosen:
    """The map of a view, two-dimensional. Hovering, zooming and decoding cost no rerun; selecting and pinning cost one.

    Raises FileNotFoundError or ValueError with a sentence where there is nothing to show.
    """
    key = f"latent-map-{view.run}-{view.split}"  # what was selected among these images stays with them
    result = _map(key=key, data=describe(view), on_selection_change=lambda: None, on_pins_change=lambda: None)
    pins = [(float(x), float(y)) for x, y in result.pins or []]
    return Chosen(result.selection or None, pins)


def describe(view: View) -> dict[str, Any]:
    """What the component is told of a view: addresses, names and colours, no point.

    `points`, `pictures` and `decode` are addresses; `plane` changes when a place in the plane begins to mean another code.
    """
    folder = lab().run(view.run)
    facts = folder.facts()
    names = facts.class_names if facts else ()
    found, weights = latent_points.cloud(view), weights_of(view)
    return {
        "points": _address(view, "points", v=latent_points.stamp(view)),
        "pictures": picture_address(view, "{i}", weights),
        "decode": decode_address(view, "{x}", "{y}", weights) if weights else "",
        "names": list(names),
        "colours": [label_colour(label) for label in range(len(names))],
        "axes": [AXES[0], AXES[1] if found.code_size > 1 else "(chance: the code is one number)"],
        "lifted": "" if found.pca is None else "through the inverse of PCA",
        "shape": list(facts.shape[1:]) if facts else [1, 1],
        "plane": "code" if found.pca is None else f"PCA of {view.step}",
        "view": {"split": view.split, "step": view.step, "n": view.n},
    }


def weights_of(view: View) -> str:
    """The checkpoint whose model belongs to a view's codes, '' where it was not kept or is not there yet."""
    if view.step is not None and view.step != max(lab().run(view.run).sample_steps(), default=None):
        return ""
    return latest_stamp(view.run)


def picture_address(view: View, index: int | str, weights: str) -> str:
    """Address of an image's picture, relative to the dashboard's: beside it its reconstruction where there are weights."""
    return f"api/thumb/{view.run}/{view.split}/{index}.png" + f"?v={weights}" * bool(weights)


def decode_address(view: View, x: float | str, y: float | str, weights: str) -> str:
    """Address of what the decoder draws at a place of the plane, relative to the dashboard's."""
    return f"{_address(view._replace(n=None), 'decode', v=weights)}&x={x}&y={y}"


def _address(view: View, route: str, **more: str) -> str:
    asked = {"split": view.split, "step": view.step, "n": view.n} | more
    return f"api/{route}/{view.run}?" + urlencode({name: value for name, value in asked.items() if value is not None})


def reading(view: View) -> str:
    """How to read the map, in a sentence or two."""
    found = latent_points.cloud(view)
    notes = f" {found.left_out:,} codes that are not finite numbers are left out." * bool(found.left_out)
    if view.dims == 2 and not weights_of(view):
        notes += _why_no_weights(view)
    if view.dims == 3 and len(found.labels) > MOST_3D < (view.n or len(found.labels)):
        notes += f" In 3-D a random {MOST_3D:,} of the points are drawn; 2-D draws them all."
    if found.pca is None:
        kinds = {1: "The code is one number; the height is chance.", 2: "The two axes are the code itself."}
        return kinds.get(found.code_size, f"The axes are {view.dims} of the code's {found.code_size} numbers.") + notes
    shares = [f"{share:.0%}".replace("%", " %") for share in found.pca.explained[: view.dims]]
    axes = ", ".join(
        f"feature {place + 1}: principal component, {share} of variance" for place, share in enumerate(shares)
    )
    return f"PCA of a code of {found.code_size:,} numbers. Latent {axes}.{notes}"


def _why_no_weights(view: View) -> str:
    if latest_stamp(view.run):
        return (
            " Only the newest model is kept: reconstructions and the pictures of empty places come with the last step."
        )
    return " Reconstructions and the pictures of empty places come with the first checkpoint: about a minute after the start."


def scatter_3d(view: View) -> "Figure":
    """The view in three dimensions, as a plotly figure; at most MOST_3D of its points are drawn."""
    from plotly.graph_objects import Figure, Scatter3d

    names = facts.class_names if (facts := lab().run(view.run).facts()) else ()
    chosen = latent_points.points(view._replace(dims=3, n=min(view.n or MOST_3D, MOST_3D)))
    figure = Figure()
    for label in np.unique(chosen.labels):
        mine = chosen.labels == label
        name = names[label] if 0 <= label < len(names) else "no label"
        x, y, z = chosen.places[mine].T
        look = {"size": 2.2, "color": label_colour(label) if label >= 0 else GREY, "opacity": 0.8}
        figure.add_trace(
            Scatter3d(
                x=x,
                y=y,
                z=z,
                mode="markers",
                name=f"{name}  {mine.sum():,}",
                marker=look,
                customdata=chosen.indices[mine],
                hovertemplate=f"<b>{name}</b> · number %{{customdata}}<extra></extra>",
            )
        )
    titles = {f"{axis}axis": {"title": {"text": title}} for axis, title in zip("xyz", AXES, strict=True)}
    figure.update_layout(
        height=520,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene=titles | {"aspectmode": "data", "camera": {"eye": {"x": 1.05, "y": 1.05, "z": 0.7}}},
        legend={"itemsizing": "constant", "font": {"size": 15}},
        uirevision=view.run,
    )
    return figure
