"""What stands below the map: traversals, ways between images, samples, how good the code is. Each is computed when it is looked at."""

from functools import lru_cache

import numpy as np
import streamlit as st

from aecore.analysis import walks
from ui import (
    latent_beside,
    latent_grid,
    latent_places,
    latent_points,
    latent_quality,
    latent_samples,
    latent_selection,
    latent_walk,
)
from ui.frame import problem
from ui.latent_map import weights_of
from ui.latent_panel import class_names, name
from ui.latent_points import View
from ui.latent_selection import NAME, kept
from ui.latent_view import bound

SECTIONS = {
    "traverse": "What each code unit does",
    "between": "From image to image",
    "samples": "New images",
    "quality": "How good is the code",
    "pair": "Beside another model or moment",
}
ROWS, STEPS, LOOKED = 10, 9, 64
"""Rows and columns of the traversals, and numbers of the code among which those that change most are looked for."""
GROUPS = 50
"""Labels between whose means directions lead."""
HAND = "latent-hand"
"""Key of what opens to set the numbers oneself."""
WAYS = {"straight": "Straight", "spherical": "Spherical", "data": "Along the data"}


def below(view: View) -> None:
    """The sections, one at a time."""
    with bound("below", list(SECTIONS), "traverse") as (key, changed):
        chosen = st.segmented_control(
            "Below the map", list(SECTIONS), format_func=SECTIONS.__getitem__, required=True, key=key,
            on_change=changed, label_visibility="collapsed",
        )  # fmt: skip
    # a place for each, all but one of them emptied: what stood there would stay, in grey, until the new one is computed
    places = {name: st.container() if name == chosen else st.empty() for name in SECTIONS}
    with places[str(chosen)]:
        section(view, str(chosen))


def section(view: View, chosen: str) -> None:
    try:
        if chosen in WITHOUT_MODEL:
            WITHOUT_MODEL[chosen](view)
        elif not weights_of(view):
            st.caption("This needs the model, and its weights are not there.")
        else:
            WITH_MODEL[chosen](view)
    except (FileNotFoundError, ValueError) as error:
        problem(error)


def traversals(view: View) -> None:
    """A row for each code unit, those that change the picture most first, from the image that is selected."""
    chosen = selection(view)
    start = int(chosen[0]) if len(chosen) == 1 else -1
    said = f"{view.split} image {start:,}" if start >= 0 else "the mean of all codes; select one image to start from it"
    st.caption(
        f"Each row changes one code unit and leaves the others, at nine quantiles of the data, from {said}. "
        "The rows that change the picture most come first; the bars say how much."
    )
    rows = how_many(latent_points.codes(view).shape[1])
    with st.spinner("Decoding …"):
        order, values, frames, change = _traversals(
            plain(view), latent_points.stamp(view), weights_of(view), start, rows
        )
    parts = [
        f"<tr><th>Code unit {dimension + 1}<small>{signed(values[0, row])} to {signed(values[-1, row])}</small></th>"
        f'<td>{latent_walk.row(frames[row])}</td><td class="bar"><i style="width:{100 * change[row] / max(change.max(), 1e-12):.0f}%" '
        f'title="Mean change of a pixel: {change[row]:.3f}"></i></td></tr>'
        for row, dimension in enumerate(order)
    ]
    st.html(f'<table class="latent-walks">{"".join(parts)}</table>')
    latent_grid.show(plain(view), code_of(view, start), order, said)
    own = st.expander("Set the code units yourself", key=HAND, on_change="rerun")
    if own.open:
        with own:
            by_hand(view, order, start)


def signed(value: float) -> str:
    """A number in three digits, with the sign that is as wide as a plus."""
    return f"{value:.3g}".replace("-", "−")


def how_many(size: int) -> int:
    """How many code units have a row and a slider: the ROWS that change most, or all of them, up to LOOKED."""
    most = min(size, LOOKED)
    if most <= ROWS:
        return most
    every = f"All {size}" if size <= LOOKED else f"The {most} that vary most"
    titles = {"some": f"The {ROWS} that change most", "all": every}
    with bound("rows", list(titles), "some") as (key, changed):
        chosen = st.segmented_control(
            "Numbers", list(titles), format_func=titles.__getitem__, required=True, key=key, on_change=changed,
            label_visibility="collapsed",
        )  # fmt: skip
    return most if chosen == "all" else ROWS


def plain(view: View) -> View:
    """All codes of a split, whatever is shown of them: the key of what is computed from them."""
    return View(view.run, view.split, view.step)


@lru_cache(maxsize=32)
def _traversals(
    view: View, stamp: str, weights: str, start: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`count` code units (r,), their values (STEPS, r), frames (r, STEPS, C, H, W), and how much each changes a pixel (r,)."""
    codes = latent_points.codes(view)
    code = code_of(view, start)
    looked = np.argsort(-codes[:20_000].var(0), kind="stable")[:LOOKED]
    values = walks.quantiles(codes[:20_000][:, looked], STEPS)
    ends = np.concatenate([walks.traversal(code, d, values[[0, -1], i]) for i, d in enumerate(looked)])
    low, high = latent_walk.decode(view, ends).reshape(len(looked), 2, -1).astype(np.float32).transpose(1, 0, 2) / 255
    change = np.abs(high - low).mean(1)
    most = np.argsort(-change, kind="stable")[:count]
    rows = np.concatenate([walks.traversal(code, looked[i], values[:, i]) for i in most])
    frames = latent_walk.decode(view, rows)
    return looked[most], values[:, most], frames.reshape(len(most), STEPS, *frames.shape[1:]), change[most]


def by_hand(view: View, order: np.ndarray, start: int) -> None:
    """A slider for each code unit, and the picture of the code that they make."""
    codes = latent_points.codes(view)
    code = code_of(view, start).copy()
    left, right = st.columns([3, 1], gap="large")
    with left, st.grid(2, gap="small"):
        for dimension in sorted(order.tolist()):
            low, high = (float(value) for value in np.quantile(codes[:20_000, dimension], (0.002, 0.998)))
            low, high = min(low, float(code[dimension])), max(high, float(code[dimension])) + 1e-6
            code[dimension] = st.slider(
                f"Code unit {dimension + 1}",
                low,
                high,
                float(code[dimension]),
                key=f"latent-hand-{view.run}-{start}-{dimension}",
            )
    with right.container(key="latent-hand-picture"):
        st.html(latent_walk.row(latent_walk.decode(view, code[None])))


def between(view: View) -> None:
    """A walk from one image to another, and a direction that is added to one."""
    everyone = latent_points.cloud(view)
    chosen = selection(view)
    if len(everyone.indices) < 2:
        raise ValueError("A way needs two images, but there is only one code.")
    ends = (
        chosen[:2]
        if len(chosen) == 2
        else everyone.indices[[0, int(np.argmax(everyone.labels != everyone.labels[0])) or 1]]
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        key = "-".join(map(str, ends))
        highest = int(everyone.indices.max())
        a, b = (
            st.number_input(title, 0, highest, int(end), key=f"latent-{title}-{view.run}-{view.split}-{key}", width=150)
            for title, end in zip(("From image", "To image"), ends, strict=True)
        )
        way = st.segmented_control(
            "Way", list(WAYS), default="straight", required=True, format_func=WAYS.__getitem__, key="latent-way"
        )
    codes = latent_points.codes(view)
    first, last = code_of(view, int(a)), code_of(view, int(b))
    path = {
        "straight": lambda: walks.straight(first, last, 12),
        "spherical": lambda: walks.spherical(first, last, 12),
        "data": lambda: walks.along_data(first, last, codes, 12),
    }[str(way)]()
    frames, away = latent_walk.decode(view, path), latent_walk.far(view, path)
    st.html(latent_walk.strip(frames, away, wide=True))
    st.caption(
        "The bars: green among real codes, red far from all of them. Select two images in the map to walk between them."
    )
    st.download_button(
        "GIF",
        lambda: latent_walk.gif(frames),
        f"{view.run}-{a}-{b}.gif",
        "image/gif",
        on_click="ignore",
        icon=":material/download:",
    )
    st.markdown(f"#### A direction, added to {view.split} image {a:,}")
    arithmetic(view, first)


def arithmetic(view: View, code: np.ndarray) -> None:
    """The image plus a direction, from the mean of one group to that of another, at nine strengths."""
    groups = means(view)
    if len(groups) < 2:
        st.caption("A direction leads from one group of images to another: select some in the map.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        to = st.selectbox(
            "Plus the mean of", list(groups), min(1, len(groups) - 1), key=f"latent-plus-{view.run}", width=280
        )
        minus = st.selectbox("Minus the mean of", list(groups), 0, key=f"latent-minus-{view.run}", width=280)
        most = st.slider("Strength up to", 0.5, 10.0, 2.0, 0.5, key="latent-strength", width=220)
    strengths = np.linspace(-most, most, 9)
    path = code + strengths[:, None] * (groups[to] - groups[minus])
    st.html(
        latent_walk.strip(
            latent_walk.decode(view, path),
            latent_walk.far(view, path),
            [f"{'+' * bool(s > 0)}{signed(s)} ×" for s in strengths],
            wide=True,
        )
    )


def means(view: View) -> dict[str, np.ndarray]:
    """Mean code of each label, of the selection and of earlier ones, and of all."""
    everyone, codes, names = latent_points.cloud(view), latent_points.codes(view), class_names(view)
    found = {name(names, label): mean for label, mean in _of_labels(plain(view), latent_points.stamp(view)).items()}
    for title, indices in reversed(latent_selection.recent(view.run, view.split).items()):
        chosen = np.isin(everyone.indices, indices)
        if chosen.any():
            found = {title: codes[chosen].mean(0)} | found
    return {"all images": latent_places.mean(view)} | found


@lru_cache(maxsize=8)
def _of_labels(view: View, stamp: str) -> dict[int, np.ndarray]:
    """Mean code of each of the first GROUPS labels."""
    labels, codes = latent_points.cloud(view).labels, latent_points.codes(view)
    return {int(label): codes[labels == label].mean(0) for label in np.unique(labels)[:GROUPS]}


def selection(view: View) -> np.ndarray:
    """Places of the selected images, as the address names them."""
    return kept(view.run, view.split, st.query_params.get(NAME, ""))


def code_of(view: View, index: int) -> np.ndarray:
    """The code (D,) of an image; the mean of all for -1. Raises ValueError with a sentence where it has none."""
    if index < 0:
        return latent_places.mean(view)
    found = np.flatnonzero(latent_points.cloud(view).indices == index)
    if not len(found):
        raise ValueError(
            f"There is no code of {view.split} image {index:,}: it was not analysed, or is no finite number."
        )
    return latent_points.codes(view)[found[0]]


WITHOUT_MODEL = {"quality": latent_quality.show, "pair": latent_beside.show}
WITH_MODEL = {"traverse": traversals, "between": between, "samples": latent_samples.show}
"""What each section shows."""
