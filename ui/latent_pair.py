"""Two models beside each other: the same images in both maps, aligned, coloured by how many of their neighbours they keep."""

from functools import lru_cache
from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from aecore.analysis.alignment import laid_over
from aecore.analysis.neighbours import kept_neighbours
from aecore.runs import RunRow, runs
from ui import latent_maps, latent_points, latent_selection
from ui.lab import lab, latest_stamp
from ui.latent_map import axes, map_component, picture_address, selection_address
from ui.latent_panel import class_names, name
from ui.latent_points import Points, View
from ui.latent_view import bound
from ui.palette import STEPS
from ui.pick import told_apart

MOST, NEIGHBOURS = 5_000, 15
"""Images that are compared at most, a sample with each label in its share; and neighbours of each among them."""
KEEPS = ((0.0, "keeps none"), (1 / 3, "keeps few"), (2 / 3, "keeps many"), (0.999, "keeps most"), (2.0, "keeps all"))
SHADES = tuple(STEPS[round(place * (len(STEPS) - 1) / 4)] for place in range(5))
SHOWN = 12


class Pair(NamedTuple):
    """The same images (n) in two models."""

    sides: tuple[Points, Points]
    """Their points, the second's turned, scaled and moved onto the first's."""
    kept: np.ndarray
    """(n,) share of the NEIGHBOURS nearest in the first code that are so in the second."""
    moved: np.ndarray
    """(n,) distance between the two places, in the first map's units."""


def show(view: View) -> None:
    """Choose the other model; both maps with one selection, or one map that glides from one to the other; who moved most."""
    mates = others(view)
    if not mates:
        st.caption(
            f"There is no other analysed run on the same {view.split} images: train one, with another code size perhaps."
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        with bound("beside", list(mates), next(iter(mates))) as (key, changed):
            other = str(
                st.selectbox(
                    "The other model",
                    list(mates),
                    format_func=told_apart(mates),
                    key=key,
                    on_change=changed,
                )
            )
        glide = (
            st.segmented_control(
                "Show", ["Side by side", "Gliding"], default="Side by side", required=True, key="latent-pair-how"
            )
            == "Gliding"
        )
        side = 0
        if glide:
            side = ["first", "second"].index(
                str(
                    st.segmented_control(
                        "Model", ["first", "second"], default="first", required=True, key="latent-pair-side"
                    )
                )
            )
    with st.spinner("Comparing the neighbourhoods …"):
        found = pair(view, other)
    if glide:
        draw(view, other, side, "glide")
    else:
        for column, (place, run) in zip(st.columns(2, gap="medium"), enumerate((view.run, other)), strict=True):
            with column:
                st.markdown(f"**{escape_markdown(lab_name(run))}**")
                draw(view, other, place, str(place))
    st.caption(
        f"{len(found.kept):,} images in both. Of each image's {NEIGHBOURS} nearest codes the second model keeps {100 * found.kept.mean():.0f} % on "
        "average. The second map is turned, scaled and moved onto the first one; a lasso in one selects in both."
    )
    st.html(movers(view, other, found))


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


def pair(view: View, other: str) -> Pair:
    """The images of a view in its run and in another. Raises FileNotFoundError or ValueError with a sentence."""
    mine, theirs = plain(view), View(other, view.split, map=view.map)
    try:
        latent_maps.point_stamp(mine), latent_maps.point_stamp(theirs)
    except FileNotFoundError:
        mine, theirs = mine._replace(map=""), theirs._replace(map="")  # the other has no such map: principal components
    if theirs.map.startswith("dims-"):
        mine, theirs = mine._replace(map=""), theirs._replace(map="")
    return _pair(mine, theirs, latent_maps.point_stamp(mine), latent_maps.point_stamp(theirs))


def plain(view: View) -> View:
    """The view without what only changes how it is drawn."""
    return View(view.run, view.split, map=view.map if view.dims == 2 else "")


@lru_cache(maxsize=8)
def _pair(mine: View, theirs: View, first: str, second: str) -> Pair:
    a, b = latent_points.points(mine), latent_points.points(theirs)
    place = {index: at for at, index in enumerate(b.indices.tolist())}
    rows = np.array([at for at, index in enumerate(a.indices.tolist()) if index in place][:MOST], int)
    if len(rows) < 3:
        raise ValueError("The two runs have fewer than three images in common: there is nothing to compare.")
    matching = np.array([place[index] for index in a.indices[rows].tolist()])
    left, right = (Points(*(array[chosen] for array in side)) for side, chosen in ((a, rows), (b, matching)))
    aligned = laid_over(right.places, left.places)
    codes = latent_points.codes(mine)[rows], latent_points.codes(theirs)[matching]
    moved = np.linalg.norm(aligned - left.places, axis=1)
    return Pair((left, right._replace(places=aligned)), kept_neighbours(*codes, NEIGHBOURS), moved)


def members(kept: np.ndarray) -> np.ndarray:
    """(n,) groups of KEEPS."""
    return np.searchsorted([share for share, _ in KEEPS], kept, side="left")


def draw(view: View, other: str, side: int, where: str) -> None:
    """One of the two maps, with the selection that both share."""
    run, key = (view.run, other)[side], f"latent-pair-{where}-{view.run}-{other}-{view.split}"
    drawn = st.session_state.get(key, {}).get("selection")
    chosen = select(view, other, drawn, key)
    weights = latest_stamp(run)
    facts = lab().run(run).facts()
    asked = {"other": other, "split": view.split, "map": plain(view).map, "side": side, "v": stamp(view, other)}
    there = View(run, view.split)
    map_component(
        key=key,
        data={
            "points": f"api/pair/{view.run}?{urlencode(asked)}",
            "pictures": picture_address(there, "{i}", weights),
            "decode": "",
            "names": list(facts.class_names if facts else ()),
            "groups": [said for _, said in KEEPS],
            "colours": list(SHADES),
            "named": False,
            "axes": axes(plain(view))[:2],
            "lifted": "",
            "shape": list(facts.shape[1:]) if facts else [1, 1],
            "plane": "pair",
            "marks": [],
            "view": {"split": view.split, "colour": "kept"},
            "selected": selection_address(view, chosen),
            "drawn": drawn.get("drawn") if isinstance(drawn, dict) else None,
        },
        on_selection_change=lambda: None,
        on_pins_change=lambda: None,
        on_path_change=lambda: None,
    )


def select(view: View, other: str, drawn: Any, key: str) -> str:
    """Hash of the selection that both maps show: what was drawn last in one of them, else what the address names."""
    seen = f"{key}-seen"
    if drawn is not None and st.session_state.get(seen) != drawn:
        st.session_state[seen] = drawn
        found = pair(view, other)
        side = found.sides[0] if "-pair-0-" in key or "-glide-" in key else found.sides[1]
        try:
            indices = latent_points.meant(side, drawn, members(found.kept)) if drawn.get("kind") else np.empty(0, int)
        except (AttributeError, KeyError, TypeError, ValueError):
            indices = np.empty(0, int)
        latent_selection.address(latent_selection.keep(view.run, view.split, indices))
        st.rerun()  # the other map is drawn already, or not yet: both must show it
    return str(st.query_params.get("sel", ""))


def stamp(view: View, other: str) -> str:
    """Changes when what a pair is computed from changes."""
    return "-".join(latent_points.stamp(View(run, view.split)) for run in (view.run, other))


def movers(view: View, other: str, found: Pair) -> str:
    """The images that keep the fewest neighbours, those that moved farthest first, as HTML: image, then what each model makes of it."""
    order = np.lexsort((-found.moved, found.kept))[:SHOWN]
    side, names = found.sides[0], class_names(view)
    parts = []
    for at in order:
        index, label_ = int(side.indices[at]), int(side.labels[at])
        pictures = "".join(
            f'<img src="{picture_address(View(run, view.split), index, latest_stamp(run))}" alt="">'
            for run in (view.run, other)
        )
        parts.append(
            f"<figure>{pictures}<figcaption>{escape(name(names, label_))} · keeps {100 * found.kept[at]:.0f} %</figcaption></figure>"
        )
    return f'<h4>They moved most</h4><div class="latent-pairs wide">{"".join(parts)}</div>'


def lab_name(run: str) -> str:
    """The name of a run, with its code size."""
    row = next(row for row in runs(lab()) if row.id == run)
    return f"{row.name}, code {row.code_size}"


def escape_markdown(text: str) -> str:
    """A name as it was given, never as Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+-.!|<>$:~" else letter for letter in text)
