"""The map of code book use: of codes that are from a finite set, which of it is used how often, and what it draws."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from ui import latent_points
from ui.lab import lab
from ui.latent_map import weights_of
from ui.latent_model import model
from ui.latent_points import View
from ui.pictures import data_url, png
from ui.words import escape

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from aecore.analysis.codebook import Use

ASKED, PICTURED = 2_000, 24
"""Images whose codes are counted, and vectors whose pictures are shown: those that are used most."""


class Book(NamedTuple):
    """A code book, as codes use it."""

    use: "Use"
    most: np.ndarray
    """(n,) numbers of the vectors that are used most."""
    images: np.ndarray
    """(n, C, H, W) uint8 of those."""


def finite(view: View) -> bool:
    """Whether the codes of a view are from a finite set, and its model is there."""
    return bool(lab().run(view.run).config().model.bottleneck.finite and weights_of(view))


def show(view: View) -> None:
    """The map, a cell for each vector; how many are used; and what those draw that are used most."""
    with st.spinner("Counting …"):
        book = _book(View(view.run, view.split, view.step), latent_points.stamp(view), weights_of(view))
    use, images = book.use, min(ASKED, len(latent_points.codes(view)))
    st.markdown(f"**Use of the code book: {use.used:,} of {len(use.counts):,} vectors**")
    left, right = st.columns([1.2, 1], gap="large")
    with left:
        st.plotly_chart(cells(use.counts), key="latent-book", config={"displayModeBar": False})
        st.caption(
            f"Each cell is a vector, the most used first; grey ones are taken by none of {images:,} {view.split} images. They "
            f"count for {use.perplexity:,.0f} in even use; a place of the code takes {use.places.min():,} to "
            f"{use.places.max():,} different ones."
        )
    with right:
        parts = [
            f'<figure><img src="{data_url(png(image))}" alt=""><figcaption>{escape(f"{number}")} · {100 * share:.1f} %</figcaption></figure>'
            for number, image, share in zip(
                book.most.tolist(), book.images, use.counts[book.most] / max(1, use.counts.sum()), strict=True
            )
        ]
        st.html(f'<div class="latent-pins">{"".join(parts)}</div>')
        st.caption("What the decoder draws where every place has that vector: its number, and its share of all places.")


def cells(counts: np.ndarray) -> "Figure":
    """A cell for each vector, by falling use; colours by the logarithm of it."""
    from plotly.graph_objects import Figure, Heatmap

    across = int(np.ceil(np.sqrt(2 * len(counts))))
    down = -(-len(counts) // across)
    order = np.argsort(-counts, kind="stable")
    use, number = np.full(across * down, np.nan), np.full(across * down, -1)
    use[: len(counts)], number[: len(counts)] = np.log10(np.maximum(counts[order], 0.1)), order
    use[use < 0] = np.nan
    times = np.zeros(across * down, np.int64)
    times[: len(counts)] = counts[order]
    top = max(1, int(counts.max(initial=1)))
    ticks = list(range(int(np.log10(top)) + 1))
    figure = Figure(
        Heatmap(
            z=use.reshape(down, across), customdata=np.stack([number, times], 1).reshape(down, across, 2), xgap=1, ygap=1,
            zmin=0, zmax=max(1.0, float(np.log10(top))), colorscale="Viridis",
            colorbar={"thickness": 8, "title": "times", "tickvals": ticks, "ticktext": [f"{10**tick:,}" for tick in ticks]},
            hovertemplate="vector %{customdata[0]}: %{customdata[1]:,} times<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(height=280, margin={"l": 8, "r": 8, "t": 8, "b": 8}, plot_bgcolor="rgba(138,143,152,0.25)")
    figure.update_xaxes(visible=False, constrain="domain", constraintoward="left")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain", constraintoward="top")
    return figure


@lru_cache(maxsize=8)
def _book(view: View, stamp: str, weights: str) -> Book:
    from aecore.analysis import codebook

    trained = model(view.run, weights)
    use = codebook.use(trained.model, latent_points.codes(view)[:ASKED])
    most = np.argsort(-use.counts, kind="stable")[: min(PICTURED, use.used)]
    return Book(use, most, codebook.drawn(trained.model, trained.facts, most))
