"""How good the code of a run is: figures of its analysis, each with how to read it, and the pictures that belong to them."""

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from aecore.analysis.projection import fit_pca
from aecore.analysis.quality_words import FIGURES
from ui import latent_points
from ui.lab import lab
from ui.latent_points import View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 32
"""Numbers of the code in the pictures: those that vary most."""


def show(view: View) -> None:
    """The figures, and three pictures: variance by number, correlations, and values beside a standard normal."""
    figures = (lab().run(view.run).analysis_metrics() or {}).get("code", {})
    if not figures:
        st.caption(
            "The analysis of this run did not measure its code: it is older than this measure, or no code is a finite number."
        )
    st.html(cards(figures))
    codes = latent_points.codes(view)[:20_000]
    if len(codes) < 3:
        return
    pictures = (spectrum(codes), correlation(codes), values(codes))
    for column, (title, said, figure) in zip(st.columns(3, gap="medium"), pictures, strict=True):
        with column:
            st.markdown(f"**{title}**")
            st.plotly_chart(figure, key=f"latent-quality-{title}", config={"displayModeBar": False})
            st.caption(said)


def cards(figures: dict[str, Any]) -> str:
    """A card for each figure that is known, as HTML: value, bar where it goes from 0 to 1, and how to read it."""
    parts = []
    for name, figure in FIGURES.items():
        if name not in figures:
            continue
        value = figures[name]
        chance = figures.get(figure.chance, 0.0) if figure.chance else None
        mark = (
            f'<u style="left:{100 * chance:.1f}%" title="Always saying the most frequent label: {chance:.2f}"></u>'
            if chance
            else ""
        )
        bar = (
            f'<div class="bar"><i style="width:{100 * min(1.0, max(0.0, value)):.1f}%"></i>{mark}</div>'
            if figure.share
            else ""
        )
        parts.append(
            f"<div><b>{escape(figure.title)}</b><strong>{value:{figure.form}}</strong>{bar}<p>{escape(figure.read)}</p></div>"
        )
    return f'<div class="latent-figures">{"".join(parts)}</div>'


def spectrum(codes: np.ndarray) -> tuple[str, str, "Figure"]:
    """Cumulative variance of the principal components."""
    from plotly.graph_objects import Figure, Scatter

    explained = np.cumsum(fit_pca(codes[:5_000], min(SHOWN, *codes[:5_000].shape)).explained)
    figure = Figure(Scatter(x=np.arange(1, len(explained) + 1), y=100 * explained, mode="lines+markers"))
    figure.update_xaxes(title="Principal components", rangemode="tozero")
    figure.update_yaxes(title="Variance, %", range=[0, 103])
    said = "A steep start and a long flat end: the code uses fewer dimensions than it has."
    return "Variance that few directions hold", said, _small(figure)


def correlation(codes: np.ndarray) -> tuple[str, str, "Figure"]:
    """Correlations of the numbers that vary most."""
    from plotly.graph_objects import Figure, Heatmap

    from aecore.analysis.projection import correlations

    chosen = np.sort(np.argsort(-codes.var(0), kind="stable")[:SHOWN])
    names = [str(number + 1) for number in chosen]
    matrix = correlations(codes[:, chosen])
    figure = Figure(
        Heatmap(z=matrix, x=names, y=names, zmin=-1, zmax=1, colorscale="RdBu_r", colorbar={"thickness": 8})
    )
    figure.update_xaxes(title="Number of the code", type="category")
    figure.update_yaxes(type="category", autorange="reversed")
    return (
        "Correlation of the numbers",
        "White beside the diagonal: each number tells something of its own.",
        _small(figure),
    )


def values(codes: np.ndarray) -> tuple[str, str, "Figure"]:
    """Where the values of each number lie: median, half of them, nearly all, over the standard normal's."""
    from plotly.graph_objects import Figure, Scatter

    chosen = np.sort(np.argsort(-codes.var(0), kind="stable")[:SHOWN])
    low, first, middle, third, high = np.quantile(codes[:, chosen], (0.025, 0.25, 0.5, 0.75, 0.975), axis=0)
    x = [str(number + 1) for number in chosen]
    figure = Figure()
    for bottom, top, width in ((low, high, 1.5), (first, third, 6)):
        for place, (a, b) in enumerate(zip(bottom, top, strict=True)):
            figure.add_trace(
                Scatter(
                    x=[x[place]] * 2,
                    y=[a, b],
                    mode="lines",
                    line={"width": width, "color": "#2f7de1"},
                    showlegend=False,
                )
            )
    figure.add_trace(Scatter(x=x, y=middle, mode="markers", marker={"color": "#e8710a", "size": 6}, showlegend=False))
    figure.add_hrect(y0=-1.96, y1=1.96, line_width=0, fillcolor="#8a8f98", opacity=0.15)
    figure.update_xaxes(title="Number of the code", type="category")
    figure.update_yaxes(title="Value")
    said = "Thick: half of the images; thin: 95 %; dot: the median. Grey: where a standard normal prior has 95 % of its values."
    return "Values of each number", said, _small(figure)


def _small(figure: "Figure") -> "Figure":
    figure.update_layout(height=280, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    return figure
