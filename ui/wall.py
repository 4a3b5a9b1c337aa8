"""The wall as its component takes it: one strip of pictures a column, and the words around them. It needs no server any more."""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import streamlit as st

from aecore.runs.text import ISOLATE
from ui.columns import GIVEN, Column, Wall
from ui.late import after_a_while
from ui.live import component
from ui.ordering import gaps
from ui.pictures import data_url
from ui.pictures import wall as strip

_wall = component("wall")
WAITS, AWAITED, LARGE = "wall-waits", "wall-awaited", 96
"""Of the session: whether its first wall is awaited now, and whether it was; pictures that models made from which it is."""
HEAD = 22
"""Letters of a column's name that its head shows, about."""
SPLITS = {"val": "validation"}
READ = "below each image its MSE per pixel × 10⁻³, for pixels in [0,1]"
HEADLINE = {"model": "", "input": "what the encoder sees", "baseline": "needs no network"}


def show(wall: Wall, mode: str, place: int, pair: tuple[str, str] | None = None) -> None:
    """The component; `mode` is 'pictures' or 'differences'. Zoom and swipe stand in the URL, of another than the first wall
    under its number. The first one that a visitor sees is awaited, where it is large, by all that stands around it."""
    data = payload(wall, mode, pair) | {"link": str(place or ""), "awaited": place == 0 and waited()}
    result = _wall(data=data, key=f"wall-{place}", on_drawn_change=lambda: None)
    if place == 0 and waits():
        if result.drawn:
            go_on()
        after_a_while("wall-since", go_on)


def waits(pictures: int = 0) -> bool:
    """Whether this visitor's first wall is still to be drawn: what else the page has would hold it up. The first call of a
    session decides it: only a wall of many pictures is awaited."""
    if WAITS not in st.session_state:
        st.session_state[WAITS] = st.session_state[AWAITED] = pictures >= LARGE
    return bool(st.session_state[WAITS])


def waited() -> bool:
    """Whether the first wall was awaited: what it is told stays the same, so that it is not drawn again when the rest follows."""
    return bool(st.session_state.get(AWAITED))


def go_on() -> None:
    """Let the rest of the page follow: the wall stands, or there is none."""
    if waits():
        st.session_state[WAITS] = False
        st.rerun()


def payload(wall: Wall, mode: str, pair: tuple[str, str] | None = None) -> dict[str, Any]:
    """Everything that the component shows, pictures included. With `pair`, what two models are apart stands under the originals."""
    best = _best(wall.columns)
    apart = gaps(wall, pair) if pair else None
    first = {
        "label": "Target" if wall.target else "Original",
        "kind": "original",
        "note": wall.target or f"{SPLITS.get(wall.split, wall.split)} images",
        "title": "What the decoder should give",
        "colour": "",
        "strip": _strip(wall.originals),
        "captions": [_caption(wall, row, apart) for row in range(len(wall.labels))],
        "best": [False] * len(wall.labels),
    }
    given = GIVEN * any(column.kind == "input" for column in wall.columns)
    columns = [_column(column, best == place, given) for place, column in enumerate(wall.columns)]
    for column, label in zip(columns, told_apart([column["label"] for column in columns]), strict=True):
        column["label"] = label
    rows = [
        {"title": f"{wall.name(row)}, image {index} of the {wall.split} split", "index": index}
        for row, index in enumerate(wall.indices.tolist())
    ]
    keys = [column.key if column.kind == "model" else "" for column in wall.columns]
    two = [1 + keys.index(key) for key in pair or () if key in keys]
    return {
        "pair": two if len(two) == 2 else None,
        "shape": list(wall.originals.shape[1:]),
        "mode": mode,
        "rows": rows,
        "columns": [first, *columns],
    }


def thousandths(error: float) -> str:
    """An error in thousandths, three digits.

    >>> thousandths(0.01234), thousandths(0.2), thousandths(0.00000712)
    ('12.3', '200', '0.00712')
    """
    value = 1e3 * error
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def short(label: str) -> str:
    """A simple method's name in the width of a column.

    >>> short("PCA, 16 numbers"), short("Mean image")
    ('PCA, 16', 'Mean image')
    """
    return re.sub(r" numbers?$", "", label) if label.startswith("PCA") else label


def told_apart(labels: Sequence[str]) -> list[str]:
    """Names of columns, of which about HEAD letters are seen: of those that begin alike the middle is left out.

    >>> told_apart(["convolutional autoencoder, small", "convolutional autoencoder, large", "Mean image"])
    ['convolut… small', 'convolut… large', 'Mean image']
    """
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(label[:HEAD], []).append(label)
    same = {start: _alike(names) for start, names in alike.items() if len(set(names)) > 1}

    def brief(label: str) -> str:
        last = same.get(label[:HEAD], 0)
        rest = label[max(last - 9, label.rfind(" ", 0, last) + 1) :]  # from the word on in which they differ
        return f"{label[:8]}… {rest}" if last and ISOLATE not in label else label

    return [brief(label) for label in labels]


def _alike(names: Sequence[str]) -> int:
    """How many letters all of them begin with."""
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))


def _caption(wall: Wall, row: int, apart: np.ndarray | None) -> str:
    name = wall.name(row)
    return name if apart is None else f"{name} · gap {thousandths(float(apart[row]))}"


def _column(column: Column, best: np.ndarray, given: str) -> dict[str, Any]:
    mean = f"mean {thousandths(float(column.errors.mean()))}"
    file = "" if column.bytes is None else f"{column.bytes.mean():.0f} bytes"
    when = column.when if column.when not in ("", "the analysed model") else ""
    kind = HEADLINE[column.kind] + given * (column.kind == "baseline")
    titles = {} if column.bytes is None else {"titles": [f"a file of {size} bytes" for size in column.bytes.tolist()]}
    return {
        "label": short(column.label) + (f", {column.bytes.mean():.0f} B" if column.bytes is not None else ""),
        "kind": column.kind,
        "note": mean,
        "title": " · ".join(filter(None, [column.label, f"{mean} × 10⁻³", when, kind, file])),
        "colour": column.colour,
        "strip": _strip(column.images),
        "captions": [thousandths(error) for error in column.errors.tolist()],
        "best": best.tolist(),
    } | titles


def _strip(images: np.ndarray) -> str:
    return data_url(strip(images[None]))


def _best(columns: list[Column]) -> np.ndarray:
    """(n,) place of the model's column with the smallest error of each row; -1 where there is only one, which wins nothing."""
    if sum(column.kind == "model" for column in columns) < 2:
        return np.full(len(columns[0].errors) if columns else 0, -1)
    errors = [column.errors if column.kind == "model" else np.full_like(column.errors, np.inf) for column in columns]
    found: np.ndarray = np.argmin(errors, axis=0)
    return found
