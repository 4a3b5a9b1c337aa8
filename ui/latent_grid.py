"""What the decoder draws all over two code units: a grid at the quantiles of the data, or of the prior."""

from functools import lru_cache

import numpy as np
import streamlit as st

from aecore.analysis import walks
from ui import latent_points, latent_walk
from ui.latent_map import weights_of
from ui.latent_model import model
from ui.latent_points import View
from ui.latent_view import bound
from ui.pictures import data_url, wall
from ui.words import plain

GRID, DRAWN, NUMBERS = 14, 20_000, 1 << 24
"""Pictures along a side; codes of the prior that its quantiles are taken from, and numbers in them at most."""
OF = {"data": "the data", "prior": "the prior"}


def show(view: View, code: np.ndarray, order: np.ndarray, said: str) -> None:
    """The grid from a code (D,), along the two code units that are chosen: at first those that change most, the first of `order`."""
    size = len(code)
    if size < 2:
        return
    plane = st.expander(
        "All over the plane of two code units", size == 2, key=f"latent-plane-{size == 2}", on_change="rerun"
    )
    if plane.open:
        with plane:
            _grid(view, code, order, said)


def _grid(view: View, code: np.ndarray, order: np.ndarray, said: str) -> None:
    size = len(code)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        across, up = _numbers(size, order)
        of = _of(view)
    try:
        images = _images(view, latent_points.stamp(view), weights_of(view), code.tobytes(), (across, up), of)
    except ValueError as error:
        st.caption(plain(str(error)))
        return
    address = data_url(wall(images.reshape(GRID, GRID, *images.shape[1:]), max(1, 56 // images.shape[-1])))
    st.html(f'<img class="latent-grid" src="{address}" alt="A grid of decoded pictures">')
    rest = "" if size == 2 else f" The other code units are those of {plain(said)}."
    st.caption(
        f"Every picture is a place: {GRID} x {GRID} of them, at the quantiles of {OF[of]}, code unit {across + 1} to the right, "
        f"code unit {up + 1} upwards.{rest}"
    )


def _numbers(size: int, order: np.ndarray) -> tuple[int, int]:
    """The two code units, counted from 0."""
    first = sorted(order[:2].tolist()) if size > 2 else [0, 1]
    if size == 2:
        return 0, 1
    options = [str(number + 1) for number in (range(size) if size <= 512 else sorted(order.tolist()))]
    chosen = []
    for name, title, default in (("across", "To the right", first[0]), ("up", "Upwards", first[1])):
        with bound(name, options, str(default + 1)) as (key, changed):
            chosen.append(int(st.selectbox(title, options, key=key, on_change=changed, width=120)) - 1)
    return chosen[0], chosen[1]


def _of(view: View) -> str:
    from aecore.analysis import latent

    if not latent.has_prior(model(view.run, weights_of(view)).model):
        return "data"
    with bound("quantiles", list(OF), "data") as (key, changed):
        chosen = st.segmented_control(
            "At the quantiles of", list(OF), format_func=OF.__getitem__, required=True, key=key, on_change=changed
        )
    return str(chosen)


@lru_cache(maxsize=16)
def _images(view: View, stamp: str, weights: str, code: bytes, numbers: tuple[int, int], of: str) -> np.ndarray:
    """(GRID^2, C, H, W) uint8, the second code unit falling from row to row. Raises ValueError for twice the same one."""
    if numbers[0] == numbers[1]:
        raise ValueError("Choose two different code units: a plane has two directions.")
    first, second = quantiles(view, weights, numbers, of).T
    across, up = np.meshgrid(first, second[::-1])
    codes = np.repeat(np.frombuffer(code, np.float32)[None], GRID * GRID, axis=0)
    codes[:, numbers[0]], codes[:, numbers[1]] = across.ravel(), up.ravel()
    return latent_walk.decode(view, codes)


def quantiles(view: View, weights: str, numbers: tuple[int, int], of: str) -> np.ndarray:
    """(GRID, 2): the middles of GRID equal shares of two code units, in the data or in codes drawn from the prior."""
    codes = latent_points.codes(view)
    if of == "prior":
        from aecore.analysis import latent

        codes = latent.prior(model(view.run, weights).model, min(DRAWN, NUMBERS // codes.shape[1]), 0)
    return walks.quantiles(codes[:DRAWN, list(numbers)], GRID)
