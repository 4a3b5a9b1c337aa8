"""The latent map: our component, and what it is told of a run's codes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import numpy as np
import streamlit as st

from aecore.runs import run as read_run
from ui import latent_colours, latent_exchange, latent_maps, latent_places, latent_points, latent_selection, tickets
from ui.lab import lab, latest_stamp
from ui.latent_points import View
from ui.latent_view import open_page, opened

FOLDER = Path(__file__).parent / "components"
PARTS = ("reading", "plane", "painter", "overlay", "card", "pins", "legend", "hand")
SCRIPTS = (*(f"latent_{part}.js" for part in PARTS), "latent.js")
"""Parts of one module: a component's script cannot import."""

GREY = "#8a8f98"
UNIT = "Latent feature"
"""What an axis that is a code unit is called."""
Marks = Sequence[tuple[str, Sequence[float]]]
"""Words, each with its place in the map: what is no point of it."""

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
    """The map of a view. Hovering, zooming, turning and decoding cost no rerun; selecting and pinning cost one.

    Raises FileNotFoundError or ValueError with a sentence where there is nothing to show.
    """
    key = f"latent-map-{view.run}-{view.split}"  # what was selected among these images stays with them
    drawn = st.session_state.get(key, {}).get("selection")
    name = selected(view, drawn)
    at = drawn.get("drawn") if isinstance(drawn, dict) else None
    nothing: Callable[[], None] = lambda: None
    result = map_component(
        key=key,
        data=describe(view, marks) | {"selected": selection_address(view, name), "drawn": at, "awaited": not opened()},
        on_selection_change=nothing,
        on_pins_change=nothing,
        on_path_change=nothing,
        on_ready_change=nothing,
    )
    if result.ready:
        open_page()
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
    name = st.query_params.get(latent_selection.NAME, "")
    return name if len(latent_selection.kept(view.run, view.split, name)) else ""


def meant(view: View, drawn: Any) -> np.ndarray:
    """Indices of the images that were drawn around, in the points that were shown then; none of what is gone or makes no sense."""
    try:
        if not drawn.get("kind") or drawn["view"]["split"] != view.split:
            return np.empty(0, int)
        then = View(view.run, **drawn["view"])
        groups = latent_colours.groups(then).member if drawn.get("hidden") else None
        return latent_exchange.members(then, drawn, groups)
    except (AttributeError, KeyError, TypeError, ValueError, FileNotFoundError):
        return np.empty(0, int)


def _pairs(places: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in places or []]


def describe(view: View, marks: Marks = ()) -> dict[str, Any]:
    """What the component is told of a view: addresses, names and colours, no point.

    `points`, `pictures`, `sheet` and `decode` are addresses, `decode` empty where a place of the screen is no code; `behind` says where
    other splits' points are; `by` names what colours the points, where it is not their label; `plane` changes when a place in the plane begins to mean another code.
    """
    facts = lab().run(view.run).facts()
    found, weights, groups = latent_points.cloud(view), weights_of(view), latent_colours.groups(view)
    return {
        "points": _address(view, "points", v=latent_colours.point_stamp(view)),
        "pictures": picture_address(view, "{i}", weights),
        "sheet": sheet_address(view, weights),
        "decode": decode_address(view, "{x}", "{y}", weights) if weights and view.dims == 2 else "",
        "behind": behind(view),
        "names": list(facts.class_names if facts else ()),
        "groups": list(groups.names),
        "colours": list(groups.colours),
        "named": groups.named,
        "by": "" if view.colour == "label" else latent_colours.colours(view)[view.colour],
        "axes": axes(view)[: view.dims],
        "alike": not view.map and found.pca is not None,
        "lifted": latent_places.lifted(view),
        "shape": list(facts.shape[1:]) if facts else [1, 1],
        "plane": f"{view.map or ('code' if found.pca is None else 'PCA')} {view.step} {view.dims}",
        "marks": [[text, *place] for text, place in marks],
        "view": {name: value for name, value in view._asdict().items() if name != "run"},
    }


def behind(view: View) -> dict[str, str] | None:
    """Address of the other splits' points, and their name; None where there are none."""
    names = latent_points.others(view)
    plain = view._replace(n=None, colour="label", only="")
    stamp = latent_colours.point_stamp(plain)
    return {"url": _address(plain, "behind", v=stamp), "name": " and ".join(names)} if names else None


def axes(view: View) -> list[str]:
    """Titles of the axes."""
    if view.map.startswith("dims-"):
        return [f"{UNIT} {column + 1}" for column in latent_points.columns(view.map, 1 << 30)]
    found = latent_points.cloud(view)
    if not view.map and found.code_size == 1:
        return [f"{UNIT} 1", "(chance: the code is one number)"]
    name = UNIT if found.pca is None else "Principal component"
    if view.map:
        name = latent_maps.NAMES.get(view.map.partition("-")[0], "Map")
    return [f"{name} {number + 1}" for number in range(3)]


def selection_address(view: View, name: str) -> str:
    """Address of the images of a selection; '' for none."""
    return tickets.signed(f"api/selection/{view.run}/{quote(name)}?split={view.split}", view.run) if name else ""


def weights_of(view: View) -> str:
    """The checkpoint whose model belongs to a view's codes, '' where it was not kept or is not there yet."""
    if view.step is not None and view.step != max(lab().run(view.run).sample_steps(), default=None):
        return ""
    return latest_stamp(view.run)


def picture_address(view: View, index: int | str, weights: str) -> str:
    """Address of an image's picture, relative to the dashboard's: beside it its reconstruction where there are weights."""
    return tickets.signed(f"api/thumb/{view.run}/{view.split}/{index}.png" + f"?v={weights}" * bool(weights), view.run)


def sheet_address(view: View, weights: str) -> str:
    """Address of the same of several images, one below the other, whose numbers the browser adds."""
    return tickets.signed(f"api/thumbs/{view.run}/{view.split}.png" + f"?v={weights}" * bool(weights), view.run)


def decode_address(view: View, x: float | str, y: float | str, weights: str) -> str:
    """Address of what the decoder draws at a place of the plane, relative to the dashboard's."""
    plain = view._replace(n=None, colour="label", only="")
    return f"{_address(plain, 'decode', v=weights)}&x={x}&y={y}"


def _address(view: View, route: str, **more: str) -> str:
    asked: dict[str, Any] = {"split": view.split, "step": view.step, "n": view.n, "map": view.map, "only": view.only}
    asked |= {
        "dims": "" if view.dims == 2 else view.dims,
        "colour": "" if view.colour == "label" else view.colour,
    } | more
    query = urlencode({name: value for name, value in asked.items() if value not in (None, "")})
    return tickets.signed(f"api/{route}/{view.run}?{query}", view.run)


def reading(view: View) -> str:
    """How to read the map, in a sentence or two."""
    found = latent_points.cloud(view)
    notes = f" {found.left_out:,} codes that are not finite numbers are left out." * bool(found.left_out)
    if view.dims == 2 and not weights_of(view):
        notes += _why_no_weights(view)
    notes += " Density 1 is usual; at 2 the neighbours in the code are at half the usual distance." * (
        view.colour == "density"
    )
    if (total := len(found.labels)) > (drawn := min(view.n or total, latent_points.DRAWN)) and not view.only:
        notes += f" {drawn:,} of {total:,} points are drawn: a sample that has each label in its share."
    if equal(view):
        return f"All {total:,} codes are the same: this model tells no image from another.{notes}"
    notes += piled(view)
    if view.map:
        how = latent_maps.fitted(view, total)
        return f"{', '.join(axes(view)[: view.dims])} of a code of {found.code_size:,} numbers.{how}{notes}"
    if found.pca is None:
        kinds = {
            1: "The code is one number; the height is chance.",
            2: "The two axes are the code itself, a code unit each.",
        }
        return kinds.get(found.code_size, f"The axes are {view.dims} of the code's {found.code_size} numbers.") + notes
    shares = [f"{share:.0%}".replace("%", " %") for share in found.pca.explained[: view.dims]]
    held = ", ".join(f"{number} has {share}" for number, share in enumerate(shares, 1))
    return f"PCA of a code of {found.code_size:,} numbers. Of the variance, principal component {held}.{notes}"


def equal(view: View) -> bool:
    """Whether all points lie in one place."""
    places = latent_points.cloud(view).places
    return len(places) > 1 and not np.ptp(places, axis=0).any()


def piled(view: View) -> str:
    """A sentence where most points, but not all, lie in one place; '' where they do not, or where a job placed them."""
    if view.map and not view.map.startswith("dims-"):
        return ""
    places, codes = latent_points.cloud(view).places, latent_points.codes(view)
    away = np.abs(places - np.median(places, axis=0)).max(1)
    code = codes[away.argmin()]
    rounding = 1e-5 * float(np.abs(code).max() + places.std())  # a quantised code is rounded otherwise for each image
    pile = np.flatnonzero(away <= rounding)
    if len(pile) <= len(places) / 2:
        return ""
    looked = codes[pile[: max(2, latent_points.NUMBERS // len(code))]]
    same = f" {len(pile):,} of {len(places):,} images have the same"
    if np.abs(looked - code).max() <= rounding:
        return f"{same} code: this model tells them apart no more."
    return f"{same} place here, though their codes differ."


def trust_said(view: View) -> str:
    """How far to trust the map, in a sentence; '' where the map is the code, or one point."""
    found = None if equal(view) else latent_maps.trusted(view)
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
    if read_run(lab(), view.run).live:
        return " Reconstructions and the pictures of empty places come with the first checkpoint: about a minute after the start."
    return " Its weights are not there: reconstructions and the pictures of empty places need them."
