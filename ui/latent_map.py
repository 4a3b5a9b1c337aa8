"""The latent map: our component for two dimensions, plotly for three, and which of a run's codes they show."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import numpy as np
import streamlit as st

from ui import latent_colours, latent_maps, latent_places, latent_points, latent_selection
from ui.lab import lab, latest_stamp
from ui.latent_points import View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FOLDER = Path(__file__).parent / "components"
SCRIPTS = ("latent_draw.js", "latent.js")
"""Parts of one module, in this order: a component's script cannot import."""

GREY = "#8a8f98"
AXES = ("Latent feature 1", "Latent feature 2", "Latent feature 3")
MOST_3D = 10_000
Marks = Sequence[tuple[float, float, str]]
"""Places in the plane with a word each: what is no point of the map."""

map_component = st.components.v2.component(
    "aelab_latent",
    js="\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS),
    css=(FOLDER / "latent.css").read_text(encoding="utf-8"),
)


class Chosen(NamedTuple):
    """What a visitor chose in the map."""

    selection: str
    """Hash of the selection, '' for none; it stands in the address, too."""
    pins: list[tuple[float, float]]
    """Places in the plane."""
    path: list[tuple[float, float]]
    """A line that was drawn across the plane; empty for none."""


def latent_map(view: View, marks: Marks = ()) -> Chosen:
    """The map of a view, two-dimensional. Hovering, zooming and decoding cost no rerun; selecting and pinning cost one.

    Raises FileNotFoundError or ValueError with a sentence where there is nothing to show.
    """
    key = f"latent-map-{view.run}-{view.split}"  # what was selected among these images stays with them
    drawn = st.session_state.get(key, {}).get("selection")
    name = selected(view, drawn)
    at = drawn.get("drawn") if isinstance(drawn, dict) else None
    nothing: Callable[[], None] = lambda: None
    result = map_component(
        key=key,
        data=describe(view, marks) | {"selected": selection_address(view, name), "drawn": at},
        on_selection_change=nothing,
        on_pins_change=nothing,
        on_path_change=nothing,
    )
    return Chosen(name, _pairs(result.pins), _pairs(result.path))


def selected(view: View, drawn: Any) -> str:
    """Hash of the selection that counts: what was drawn last, else what the address names.

    It is kept by image: other points, maps, colours and epochs do not change it.
    """
    seen = f"latent-drawn-{view.run}-{view.split}"
    if drawn is not None and st.session_state.get(seen) != drawn:
        st.session_state[seen] = drawn
        name = latent_selection.keep(view.run, view.split, meant(view, drawn))
        latent_selection.address(name)
        return name
    name = st.query_params.get("sel", "")
    return name if len(latent_selection.kept(view.run, view.split, name)) else ""


def meant(view: View, drawn: Any) -> np.ndarray:
    """Indices of the images that were drawn around, in the points that were shown then; none of what is gone or makes no sense."""
    try:
        if not drawn.get("kind") or drawn["view"]["split"] != view.split:
            return np.empty(0, int)
        then = View(view.run, **drawn["view"])
        groups = latent_colours.groups(then).member if drawn.get("hidden") else None
        return latent_points.members(then, drawn, groups)
    except (AttributeError, KeyError, TypeError, ValueError, FileNotFoundError):
        return np.empty(0, int)


def _pairs(places: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in places or []]


def describe(view: View, marks: Marks = ()) -> dict[str, Any]:
    """What the component is told of a view: addresses, names and colours, no point.

    `points`, `pictures` and `decode` are addresses; `plane` changes when a place in the plane begins to mean another code.
    """
    facts = lab().run(view.run).facts()
    found, weights, groups = latent_points.cloud(view), weights_of(view), latent_colours.groups(view)
    return {
        "points": _address(view, "points", v=latent_maps.point_stamp(view)),
        "pictures": picture_address(view, "{i}", weights),
        "decode": decode_address(view, "{x}", "{y}", weights) if weights else "",
        "names": list(facts.class_names if facts else ()),
        "groups": list(groups.names),
        "colours": list(groups.colours),
        "named": groups.named,
        "axes": axes(view)[:2],
        "lifted": latent_places.lifted(view),
        "shape": list(facts.shape[1:]) if facts else [1, 1],
        "plane": f"{view.map or ('code' if found.pca is None else 'PCA')} {view.step}",
        "marks": [[x, y, text] for x, y, text in marks],
        "view": {name: value for name, value in view._asdict().items() if name != "run"},
    }


def axes(view: View) -> list[str]:
    """Titles of the axes."""
    if view.map.startswith("dims-"):
        return [f"Latent feature {column + 1}" for column in latent_points.columns(view.map, 1 << 30)]
    if view.map:
        name = latent_maps.NAMES.get(view.map.partition("-")[0], "Map")
        return [f"{name} {number + 1}" for number in range(3)]
    return [
        AXES[0],
        AXES[1] if latent_points.cloud(view).code_size > 1 else "(chance: the code is one number)",
        AXES[2],
    ]


def selection_address(view: View, name: str) -> str:
    """Address of the images of a selection; '' for none."""
    return f"api/selection/{view.run}/{quote(name)}?split={view.split}" if name else ""


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
    plain = view._replace(n=None, colour="label", only="")
    return f"{_address(plain, 'decode', v=weights)}&x={x}&y={y}"


def _address(view: View, route: str, **more: str) -> str:
    asked: dict[str, Any] = {"split": view.split, "step": view.step, "n": view.n, "map": view.map, "only": view.only}
    asked |= {"colour": "" if view.colour == "label" else view.colour} | more
    return f"api/{route}/{view.run}?" + urlencode(
        {name: value for name, value in asked.items() if value not in (None, "")}
    )


def reading(view: View) -> str:
    """How to read the map, in a sentence or two."""
    found = latent_points.cloud(view)
    notes = f" {found.left_out:,} codes that are not finite numbers are left out." * bool(found.left_out)
    if view.dims == 2 and not weights_of(view):
        notes += _why_no_weights(view)
    if view.dims == 3 and len(found.labels) > MOST_3D < (view.n or len(found.labels)):
        notes += f" In 3-D a random {MOST_3D:,} of the points are drawn; 2-D draws them all."
    if view.map:
        return f"{', '.join(axes(view)[: view.dims])} of a code of {found.code_size:,} numbers.{notes}"
    if found.pca is None:
        kinds = {1: "The code is one number; the height is chance.", 2: "The two axes are the code itself."}
        return kinds.get(found.code_size, f"The axes are {view.dims} of the code's {found.code_size} numbers.") + notes
    shares = [f"{share:.0%}".replace("%", " %") for share in found.pca.explained[: view.dims]]
    titles = ", ".join(
        f"feature {place + 1}: principal component, {share} of variance" for place, share in enumerate(shares)
    )
    return f"PCA of a code of {found.code_size:,} numbers. Latent {titles}.{notes}"


def trust_said(view: View) -> str:
    """How far to trust the map, in a sentence; '' where the map is the code."""
    found = latent_maps.trusted(view)
    if found is None:
        return ""
    return (
        f"Trustworthiness of the map: {found.trustworthiness:.2f} (1: whoever is near here is near in the code); it keeps "
        f"{found.kept:.0%} of each code's {found.neighbours} nearest.".replace("%", " %")
    )


def _why_no_weights(view: View) -> str:
    if latest_stamp(view.run):
        return (
            " Only the newest model is kept: reconstructions and the pictures of empty places come with the last step."
        )
    return " Reconstructions and the pictures of empty places come with the first checkpoint: about a minute after the start."


def scatter_3d(view: View) -> "Figure":
    """The view in three dimensions, as a plotly figure; at most MOST_3D of its points are drawn."""
    from plotly.graph_objects import Figure, Scatter3d

    view = view._replace(dims=3, n=min(view.n or MOST_3D, MOST_3D))
    chosen, groups = latent_points.points(view), latent_colours.groups(view)
    figure = Figure()
    for group in np.unique(groups.member):
        mine = groups.member == group
        name = groups.names[group] if 0 <= group < len(groups.names) else "no label"
        x, y, z = chosen.places[mine].T
        look = {"size": 2.2, "color": groups.colours[group] if group >= 0 else GREY, "opacity": 0.8}
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
    titles = {f"{axis}axis": {"title": {"text": title}} for axis, title in zip("xyz", axes(view), strict=True)}
    figure.update_layout(
        height=520,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene=titles | {"aspectmode": "data", "camera": {"eye": {"x": 1.05, "y": 1.05, "z": 0.7}}},
        legend={"itemsizing": "constant", "font": {"size": 15}},
        uirevision=view.run,
    )
    return figure
