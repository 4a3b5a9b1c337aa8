"""Two models or epochs beside each other: linked maps or one that glides, coloured by the neighbours that are kept."""

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from aecore.runs import runs
from ui import latent_making, latent_maps, latent_pair, latent_selection, tickets
from ui.lab import lab
from ui.latent_map import axes, map_component, picture_address, selection_address, sheet_address, weights_of
from ui.latent_pair import FIRST, KEEPS, NEIGHBOURS, OWN, SHADES, Pair, Two
from ui.latent_panel import class_names, name
from ui.latent_points import View
from ui.latent_view import bound
from ui.pick import told_apart
from ui.words import escape, plain, sized

EPOCHS = "epochs"
STARTS = {FIRST: "the first map", OWN: "its own principal components"}
HOW = {"sides": "Side by side", "glide": "Gliding"}
SIDES = {"0": "first", "1": "second"}
SHOWN = 12


def show(view: View) -> None:
    """Choose what stands beside the run; both maps with one selection, or one that glides between them; who moved most."""
    mates, steps = latent_pair.others(view), lab().run(view.run).sample_steps()
    options = [*mates, *([EPOCHS] if len(steps) > 1 else [])]
    if not options:
        st.caption(
            f"There is no other analysed run on the same {view.split} images: train one, with another code size perhaps."
        )
        return
    line = told_apart(mates)
    lines = {one: "This run at two moments of its training" if one == EPOCHS else line(one) for one in options}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        with bound("beside", options, options[0]) as (key, changed):
            other = str(st.selectbox("Beside it", options, format_func=lines.__getitem__, key=key, on_change=changed))
        two = _moments(view, steps) if other == EPOCHS else _models(view, other)
        with bound("how", list(HOW), "sides") as (key, changed):
            glide = (
                st.segmented_control(
                    "Show", list(HOW), format_func=HOW.__getitem__, required=True, key=key, on_change=changed
                )
                == "glide"
            )
        side = _side() if glide else 0
    if other != EPOCHS and not two.second.map and (config := latent_pair.wanted(view, _start(view, other))):
        kind = latent_maps.NAMES[config.kind]
        latent_making.offer_like(
            other, config, f"The other model has no such {kind} yet; these are principal components."
        )
    with st.spinner("Comparing the neighbourhoods …"):
        found = latent_pair.pair(two)
    if glide:
        st.markdown(f"**{plain(title(two[side]))}**")
        draw(two, side, "glide", found)
    else:
        for column, place in zip(st.columns(2, gap="medium"), (0, 1), strict=True):
            with column:
                st.markdown(f"**{plain(title(two[place]))}**")
                draw(two, place, str(place), found)
    second = "moment" if other == EPOCHS else "model"
    nearest = min(NEIGHBOURS, len(found.kept) - 1)
    part = f"{len(found.kept):,} of the " if len(found.kept) < found.common else ""
    st.caption(
        f"{part}{found.common:,} images in both. Of each image's {nearest} nearest codes the second {second} keeps "
        f"{100 * found.kept.mean():.0f} % on average; the colours say how many of its own each image keeps. The second map is turned, scaled and moved onto the first one; a lasso "
        "in one selects in both."
    )
    st.html(movers(two, found))


def _models(view: View, other: str) -> Two:
    """Two runs; where the map was made by a job, the visitor chooses where the second one begins."""
    if latent_pair.wanted(view, OWN) is None:
        return latent_pair.of_runs(view, other)
    with bound("start", list(STARTS), _start(view, other)) as (key, changed):
        start = st.segmented_control(
            "The second map begins at", list(STARTS), format_func=STARTS.__getitem__, required=True, key=key,
            on_change=changed,
        )  # fmt: skip
    return latent_pair.of_runs(view, other, str(start))


def _start(view: View, other: str) -> str:
    """What the address says, else what is there, else the same start."""
    if (asked := st.query_params.get("start")) in STARTS:
        return str(asked)
    return next((start for start in STARTS if latent_pair.of_runs(view, other, start).second.map), FIRST)


def _moments(view: View, steps: list[int]) -> Two:
    """The watched images of this run at two steps, by two sliders: at first the untrained and the last model."""
    inputs = lab().run(view.run).inputs()
    split = inputs.split if inputs else view.split
    chosen = [
        st.select_slider(words, steps, start, format_func="{:,}".format, key=f"latent-{words}-{view.run}", width=220)
        for words, start in (("First step", steps[0]), ("Second step", steps[-1]))
    ]
    return latent_pair.of_steps(view.run, split, *map(int, chosen))


def _side() -> int:
    with bound("side", list(SIDES), "0") as (key, changed):
        chosen = st.segmented_control(
            "Which", list(SIDES), format_func=SIDES.__getitem__, required=True, key=key, on_change=changed
        )
    return int(chosen or 0)


def draw(two: Two, side: int, where: str, found: Pair) -> None:
    """One of the two maps, with the selection that both share."""
    there, split = two[side], two.first.split
    key = f"latent-pair-{where}-{two.first.run}-{two.second.run}-{split}"
    drawn = st.session_state.get(key, {}).get("selection")
    chosen = select(two, side, drawn, key, found)
    facts = lab().run(there.run).facts()
    asked: dict[str, Any] = {"other": two.second.run, "split": split, "map": two.first.map, "other_map": two.second.map}
    asked |= {"step": two.first.step, "other_step": two.second.step, "side": side, "v": latent_pair.stamp(two)}
    query = urlencode({word: value for word, value in asked.items() if value not in (None, "")})
    map_component(
        key=key,
        data={
            "points": tickets.signed(f"api/pair/{two.first.run}?{query}", two.first.run, two.second.run),
            "pictures": picture_address(there, "{i}", weights_of(there)),
            "sheet": sheet_address(there, weights_of(there)),
            "decode": "",
            "names": list(facts.class_names if facts else ()),
            "groups": [said for _, said in KEEPS],
            "colours": list(SHADES),
            "named": False,
            "by": "Neighbours kept",
            "axes": axes(two.first)[:2],
            "alike": True,  # what was turned keeps its form
            "frame": latent_pair.frame(found),
            "lifted": "",
            "shape": list(facts.shape[1:]) if facts else [1, 1],
            "plane": "pair",
            "marks": [],
            "view": {"split": split, "colour": "kept"},
            "selected": selection_address(two.first, chosen),
            "drawn": drawn.get("drawn") if isinstance(drawn, dict) else None,
        },
        on_selection_change=lambda: None,
        on_pins_change=lambda: None,
        on_path_change=lambda: None,
    )


def select(two: Two, side: int, drawn: Any, key: str, found: Pair) -> str:
    """Hash of the selection that both maps show: what was drawn last in one of them, else what the address names."""
    seen = f"{key}-seen"
    if drawn is not None and st.session_state.get(seen) != drawn:
        st.session_state[seen] = drawn
        indices = latent_pair.meant(found, side, drawn)
        latent_selection.address(latent_selection.keep(two.first.run, two.first.split, indices))
        st.rerun()  # the other map is drawn already, or not yet: both must show it
    return str(st.query_params.get(latent_selection.NAME, ""))


def movers(two: Two, found: Pair) -> str:
    """The images that moved most, as HTML: image, then what each model makes of it."""
    side, names = found.sides[0], class_names(two.first)
    drawing = {view.run: view for view in two if weights_of(view)}  # an old moment draws nothing
    shown = list(drawing.values()) or [two.first]
    parts = []
    for at in latent_pair.most_moved(found, SHOWN):
        index, label_ = int(side.indices[at]), int(side.labels[at])
        kept = f"{escape(name(names, label_))} · keeps {100 * found.kept[at]:.0f} %"
        pictures = "".join(f'<img src="{picture_address(view, index, weights_of(view))}" alt="">' for view in shown)
        parts.append(f"<figure>{pictures}<figcaption>{kept}</figcaption></figure>")
    twice = "; above by the first, below by the second" * (len(shown) > 1)
    said = f"<p>The image, and what is made of it{twice}; how many of its neighbours it keeps.</p>"
    return f'<h4>They moved most</h4>{said}<div class="latent-pairs wide">{"".join(parts)}</div>'


def title(view: View) -> str:
    """A side in words: the run with its code size, or the step."""
    if view.step is not None:
        return f"Step {view.step:,}"
    row = next(row for row in runs(lab()) if row.id == view.run)
    return sized(row)
