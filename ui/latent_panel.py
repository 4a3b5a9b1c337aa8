"""What stands beside the map: the selected images with their reconstructions, and the places that were pinned."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from ui import latent_points
from ui.lab import lab
from ui.latent_map import GREY, Chosen, decode_address, picture_address, weights_of
from ui.latent_points import View
from ui.palette import label_colour

STYLE = Path(__file__).parent / "assets/latent.css"
PAGE = 60
ORDERS = ("mixed", "worst first", "best first")
HINTS = (
    ("Hover", "a point shows its image, and what the model makes of it"),
    ("Point at an empty place", "the decoder draws what would be there; click to pin it"),
    ("Shift and drag", "a lasso selects points: their images stand here"),
    ("Click a label", "the others turn grey"),
)


def panel(view: View, chosen: Chosen) -> None:
    """The selection and the pinned places; where there is neither, what can be done in the map."""
    weights, indices = weights_of(view), selected(view, chosen.selection)
    with st.container(key="latent-panel", gap="small"):
        if len(indices):
            gallery(view, indices, weights)
        if chosen.pins and weights:
            pinned(view, chosen.pins, weights)
        if not len(indices) and not chosen.pins:
            st.html('<ul class="latent-hints">' + "".join(f"<li><b>{a}</b>{b}</li>" for a, b in HINTS) + "</ul>")


def selected(view: View, selection: dict[str, Any] | None) -> np.ndarray:
    """Indices of the images that a selection of the map means. It is kept by image: other points, epochs and axes do not change it."""
    try:
        if selection is None or (drawn := selection["view"])["split"] != view.split:
            return np.empty(0, int)
        return latent_points.members(View(view.run, drawn["split"], drawn["step"], drawn["n"]), selection)
    except (KeyError, TypeError, ValueError, FileNotFoundError):
        return np.empty(0, int)  # drawn in another run, or in what is gone


def gallery(view: View, indices: np.ndarray, weights: str) -> None:
    """Counts by label, and the images beside their reconstructions, a page at a time."""
    shown = latent_points.points(view)
    place = np.flatnonzero(np.isin(shown.indices, indices))
    st.markdown(f"#### {len(place):,} of {len(shown.indices):,} selected")
    st.html(counts(shown.labels, place, class_names(view)))
    pictures = st.container()
    pages = -(-len(place) // PAGE)
    page = st.pagination(pages, max_visible_pages=5, key=f"latent-page-{hash(indices.tobytes())}") if pages > 1 else 1
    place = arranged(place, shown.errors)
    pictures.html(tiles(view, shown, place[(page - 1) * PAGE : page * PAGE], weights))


def arranged(place: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Positions in the order that the visitor chooses, where the errors are known."""
    if len(place) < 3 or not np.isfinite(errors[place]).all():
        return place
    order = st.segmented_control(
        "Error", ORDERS, default=ORDERS[0], required=True, key="latent-order", label_visibility="collapsed"
    )
    if order == ORDERS[0]:
        return place
    return place[np.argsort(errors[place] * (-1 if order == ORDERS[1] else 1), kind="stable")]


def counts(labels: np.ndarray, place: np.ndarray, names: tuple[str, ...]) -> str:
    """'47 of 412' for every label that occurs among the selected points, as HTML."""
    found, many = np.unique(labels[place], return_counts=True)
    parts = [
        f'<span><i style="background:{colour(label)}"></i><b>{escape(name(names, label))}</b> '
        f"{count:,} of {int((labels == label).sum()):,}</span>"
        for label, count in sorted(zip(found, many, strict=True), key=lambda pair: -pair[1])
    ]
    return f'<div class="latent-counts">{"".join(parts)}</div>'


def tiles(view: View, shown: latent_points.Points, place: np.ndarray, weights: str) -> str:
    """Pictures of the points at these positions, each on a line of its label's colour, as HTML."""
    names = class_names(view)
    parts = []
    for at in place:
        index, label, error = int(shown.indices[at]), int(shown.labels[at]), float(shown.errors[at])
        title = f"{name(names, label)}, {view.split} image {index:,}" + (
            f", error {error:.2g}" if np.isfinite(error) else ""
        )
        address = picture_address(view, index, weights)
        parts.append(
            f'<img src="{address}" title="{escape(title)}" alt="{escape(title)}" style="border-color:{colour(label)}">'
        )
    return f'<div class="latent-tiles{"" if weights else " single"}">{"".join(parts)}</div>'


def pinned(view: View, pins: list[tuple[float, float]], weights: str) -> None:
    """What the decoder draws at the pinned places, in the order in which they were pinned."""
    st.markdown("#### Pinned places")
    parts = [
        f'<figure><img src="{decode_address(view, f"{x:.7g}", f"{y:.7g}", weights)}" alt="decoded picture">'
        f"<figcaption>{x:.3g}, {y:.3g}</figcaption></figure>"
        for x, y in pins
    ]
    st.html(f'<div class="latent-pins">{"".join(parts)}</div>')


def class_names(view: View) -> tuple[str, ...]:
    """Names of the labels of a run's images."""
    facts = lab().run(view.run).facts()
    return facts.class_names if facts else ()


def name(names: tuple[str, ...], label: int) -> str:
    """The name of a label."""
    return names[label] if 0 <= label < len(names) else "no label"


def colour(label: int) -> str:
    """The colour of a label, everywhere in the dashboard the same."""
    return label_colour(label) if label >= 0 else GREY
