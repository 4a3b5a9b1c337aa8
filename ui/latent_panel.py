"""What stands beside the map: the selected images with their reconstructions, and the places that were pinned."""

from pathlib import Path

import numpy as np
import streamlit as st

from ui import latent_out, latent_own, latent_places, latent_points, latent_walk
from ui.frame import page_link, problem
from ui.lab import lab, split
from ui.latent_map import GREY, Chosen, decode_address, latent_map, picture_address, weights_of
from ui.latent_points import View
from ui.latent_selection import address, keep, kept, title
from ui.latent_view import bound, opened
from ui.palette import label_colour
from ui.words import escape

STYLE = Path(__file__).parent / "assets/latent.css"
PAGE, NEAREST, COUNTED = 60, 12, 16
ORDERS = ("mixed", "worst first", "best first")
SHOWN_AS = {"pictures": "Pictures", "table": "Table"}
HOVER = ("Hover", "a point shows its image, and what the model makes of it")
PLACE = ("Point at an empty place", "the decoder draws what would be there; click to pin it")
TURN = ("Drag", "turns the points; the wheel comes nearer")
REST = (
    ("Shift and drag", "a lasso selects points: their images stand here"),
    ("Click a label", "the others turn grey"),
    ("Scroll down", "what each code unit does, ways between images, new images"),
)
HINTS = {2: (HOVER, PLACE, *REST), 3: (HOVER, TURN, *REST)}
"""What can be done in two dimensions, and in three."""


def map_and_panel(view: View) -> None:
    """The map, and beside it what was chosen in it."""
    left, right = st.columns([2.3, 1], gap="medium")
    with left:
        chosen = latent_map(view, latent_own.marks(view))
    with right:
        if opened():
            panel(view, chosen)


def panel(view: View, chosen: Chosen) -> None:
    """The selection and the pinned places; where there is neither, what can be done in the map."""
    weights, indices = weights_of(view), kept(view.run, view.split, chosen.selection)
    with st.container(key="latent-panel", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            find(view)
            if weights:
                latent_own.offer(view)
        if said := st.session_state.get(f"{_find_key(view)}-said"):
            st.text(said)
        own = False
        if weights:
            try:
                own = latent_own.show(view)
            except ValueError as error:
                problem(error)
        if len(indices):
            gallery(view, indices, weights)
        elif view.only:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown("Earlier selected images alone are shown.", width="content")
                only(view, indices)
        if len(indices) == 1:
            neighbours(view, int(indices[0]), weights)
        if chosen.path and weights:
            film(view, chosen.path)
        if chosen.pins and weights:
            pinned(view, chosen.pins, weights)
        if not len(indices) and not chosen.pins and not chosen.path and not own:
            st.html(
                '<ul class="latent-hints">' + "".join(f"<li><b>{a}</b>{b}</li>" for a, b in HINTS[view.dims]) + "</ul>"
            )


def find(view: View) -> None:
    """A line that selects an image by its number, or all of a label."""
    key = _find_key(view)

    def changed() -> None:
        text = str(st.session_state[key]).strip()
        if text:
            select(view, found(view, text))
            st.session_state[f"{key}-said"] = (
                "" if len(found(view, text)) else f"No label and no {view.split} image is {text}."
            )
            st.session_state[key] = ""

    st.text_input(
        "Find",
        key=key,
        on_change=changed,
        placeholder="Find a label, or image #12",
        label_visibility="collapsed",
    )


def _find_key(view: View) -> str:
    return f"latent-find-{view.run}-{view.split}"


def found(view: View, text: str) -> np.ndarray:
    """Places of the images that a visitor means: '#12' the image of this number, else a label by its name, else a number."""
    everyone, names = latent_points.cloud(view), class_names(view)
    if not text.startswith("#") and text.lower() in (lower := [name.lower() for name in names]):
        return everyone.indices[everyone.labels == lower.index(text.lower())]
    number = text.removeprefix("#").replace(",", "")
    return (
        everyone.indices[everyone.indices == int(number)]
        if number.isdecimal() and len(number) < 10
        else everyone.indices[:0]
    )


def select(view: View, indices: np.ndarray) -> None:
    """Make these images the selection."""
    address(keep(view.run, view.split, indices))


def gallery(view: View, indices: np.ndarray, weights: str) -> None:
    """Counts by label, and the images beside their reconstructions, a page at a time."""
    shown = latent_points.points(view)
    place = np.flatnonzero(np.isin(shown.indices, indices))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"#### {len(place):,} of {len(shown.indices):,} selected", width="stretch")
        out(view, indices)
    st.html(counts(shown.labels, place, class_names(view)))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        shown_as = how_shown() if len(place) > 2 else "pictures"
        only(view, indices)
    if shown_as == "table":
        table(shown, place, class_names(view))
        return
    try:
        split(lab().run(view.run).config().data.model_dump_json(), view.split)  # type: ignore[arg-type]
    except ValueError as error:
        problem(f"The images themselves are not there any more. {error}")
        return
    pictures = st.container()
    pages = -(-len(place) // PAGE)
    page = st.pagination(pages, max_visible_pages=5, key=f"latent-page-{hash(indices.tobytes())}") if pages > 1 else 1
    place = arranged(place, shown.errors)
    pictures.html(tiles(view, shown, place[(page - 1) * PAGE : page * PAGE], weights))


def table(shown: latent_points.Points, place: np.ndarray, names: tuple[str, ...]) -> None:
    """The selected points as a table that can be sorted by each column."""
    columns = {
        "image": shown.indices[place],
        "label": [name(names, int(label)) for label in shown.labels[place]],
        "error": shown.errors[place],
        **{axis: shown.places[place, at] for at, axis in enumerate("xyz"[: shown.places.shape[1]])},
    }
    st.dataframe(columns, hide_index=True, height=330, alt="The selected images")


def out(view: View, indices: np.ndarray) -> None:
    """The selection as a table, as a picture, and on the other pages."""
    with st.popover("", icon=":material/download:", help="Take the selection with you"):
        name = f"{view.run}-{view.split}-{len(indices)}"
        st.download_button("CSV", lambda: latent_out.table(view, indices), f"{name}.csv", "text/csv", on_click="ignore")
        st.download_button(
            "PNG", lambda: latent_out.picture(view, indices), f"{name}.png", "image/png", on_click="ignore"
        )
        chosen = keep(view.run, view.split, indices)
        said = title(view.run, chosen)
        page_link("compare", "Through other models", ":material/compare:", runs=view.run, images=said, selection=chosen)
        page_link("runs", "In the run's page", ":material/table_rows:", run=view.run, selection=chosen)


def how_shown() -> str:
    """'pictures' or 'table'."""
    with bound("as", list(SHOWN_AS), "pictures") as (key, changed):
        chosen = st.segmented_control(
            "Show as", list(SHOWN_AS), format_func=SHOWN_AS.__getitem__, required=True, key=key, on_change=changed,
            label_visibility="collapsed",
        )  # fmt: skip
    return str(chosen)


def only(view: View, indices: np.ndarray) -> None:
    """Buttons that show the selection alone, and all again; which points there are is decided outside of this fragment."""
    chosen = keep(view.run, view.split, indices)
    if chosen not in ("", view.only) and st.button("Only these", key="latent-only"):
        st.query_params["only"] = chosen
        st.rerun()
    if view.only and st.button("Show all", key="latent-all"):
        st.query_params.pop("only", None)
        st.rerun()


def neighbours(view: View, index: int, weights: str) -> None:
    """The nearest images of one in the full code, not in the map, with their distances."""
    everyone = latent_points.cloud(view)
    own = int(np.flatnonzero(everyone.indices == index)[0])
    near(view, latent_points.codes(view)[own], weights, own)


def near(view: View, code: np.ndarray, weights: str, own: int = -1) -> None:
    """The nearest images of a code (D,), with their distances; the point of position `own` left out."""
    everyone = latent_points.cloud(view)
    around = latent_places.around(view, code, NEAREST + 1)
    pairs = [(at, away) for at, away in zip(around.indices[0], around.distances[0], strict=True) if at != own][:NEAREST]
    st.markdown("#### Nearest in the full code")
    parts = [
        f'<figure><img src="{picture_address(view, int(everyone.indices[at]), weights)}" '
        f'alt="{escape(name(class_names(view), int(everyone.labels[at])))}" style="border-color:{colour(int(everyone.labels[at]))}">'
        f"<figcaption>{escape(name(class_names(view), int(everyone.labels[at])))} · {away:.3g}</figcaption></figure>"
        for at, away in pairs
    ]
    st.html(f'<div class="latent-pins">{"".join(parts)}</div>')


def film(view: View, path: list[tuple[float, float]]) -> None:
    """What the decoder draws along a line in the plane: a film that goes there and back, and its frames."""
    st.markdown("#### Along the line")
    frames, away = latent_walk.along(view, path)
    content = latent_walk.gif(frames)
    st.image(content, width=140)
    st.html(latent_walk.strip(frames, away))
    st.download_button("GIF", content, f"{view.run}-path.gif", "image/gif", on_click="ignore")


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
        for label, count in sorted(zip(found, many, strict=True), key=lambda pair: -pair[1])[:COUNTED]
    ]
    if len(found) > COUNTED:
        parts.append(f"<span>and {len(found) - COUNTED:,} more labels</span>")
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
