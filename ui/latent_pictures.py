"""The pictures beside the figures of a code: (title, how to read it, plot) each, None where there is nothing to draw."""

from typing import TYPE_CHECKING, Any

import numpy as np

from aecore.analysis.projection import correlations, fit_pca
from ui.palette import label_colour
from ui.words import escape

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN, FEW = 32, 12
"""Numbers of the code in the pictures: those that vary most; and labels that are all written at an axis."""
BLUE, ORANGE, GREY = "#2f7de1", "#e8710a", "#8a8f98"
SHARES = [[0, "rgba(47,125,225,0.05)"], [0.5, "rgba(47,125,225,0.6)"], [1, "rgb(47,125,225)"]]
SIGNED = [[0, "rgb(47,125,225)"], [0.5, "rgba(138,143,152,0.1)"], [1, "rgb(232,113,10)"]]
"""Colour scales that begin, or have their middle, at the page itself: light or dark."""
TAKEN = {
    "probe": ("What the probe takes for what", "Rows are the labels, columns what was said: off the diagonal are the mistakes."),
    "knn": ("What the neighbours take for what", "Rows are the labels, columns what most neighbours are: alike codes are mixed up."),
    "clusters": ("Labels in the clusters", "Rows are the labels, columns clusters that know none: one strong cell a row is a cluster of its own."),
}  # fmt: skip
Drawn = tuple[str, str, "Figure"]


def taken(pictures: dict[str, Any], what: str, names: tuple[str, ...]) -> Drawn | None:
    """A table of labels against what was said of them, in shares of each label."""
    from plotly.graph_objects import Figure, Heatmap

    if what not in pictures:
        return None
    counts = np.array(pictures[what], float)
    rows = [_name(names, label) for label in pictures["labels"]]
    across = rows if what != "clusters" else [str(number + 1) for number in range(counts.shape[1])]
    if what == "clusters":  # each beside the label that has most of it
        order = np.argsort(counts.argmax(0), kind="stable")
        counts = counts[:, order]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    hover = "%{y} → %{x}: %{customdata:.0f} images, %{z:.0%}<extra></extra>"
    figure = Figure(
        Heatmap(
            z=shares, customdata=counts, x=across, y=rows, zmin=0, zmax=1, colorscale=SHARES, showscale=False,
            hovertemplate=hover,
        )
    )  # fmt: skip
    every = 1 if len(rows) <= FEW else None
    figure.update_xaxes(type="category", title="Cluster" if what == "clusters" else "Taken for", dtick=every)
    figure.update_yaxes(type="category", autorange="reversed", title="Label", dtick=every)
    title, said = TAKEN[what]
    return title, said, _small(figure)


def silhouettes(pictures: dict[str, Any], names: tuple[str, ...]) -> Drawn | None:
    """Mean silhouette of each label."""
    from plotly.graph_objects import Bar, Figure

    if "silhouettes" not in pictures:
        return None
    labels = pictures["labels"]
    figure = Figure(
        Bar(
            x=[_name(names, label) for label in labels], y=pictures["silhouettes"],
            marker={"color": [label_colour(label) for label in labels]},
        )
    )  # fmt: skip
    figure.update_xaxes(type="category", title="Label")
    figure.update_yaxes(title="Silhouette")
    return (
        "Silhouette of each label",
        "High: a tight group apart from the others; below 0: most lie in another's.",
        _small(figure),
    )


def spectrum(codes: np.ndarray) -> Drawn:
    """Cumulative variance of the principal components."""
    from plotly.graph_objects import Figure, Scatter

    explained = np.cumsum(fit_pca(codes[:5_000], min(SHOWN, *codes[:5_000].shape)).explained)
    figure = Figure(Scatter(x=np.arange(1, len(explained) + 1), y=100 * explained, mode="lines+markers"))
    every = 1 if len(explained) <= 10 else None  # no halves of a component
    figure.update_xaxes(title="Principal components", rangemode="tozero", dtick=every)
    figure.update_yaxes(title="Variance, %", range=[0, 103])
    said = "A steep start and a long flat end: the code uses fewer dimensions than it has."
    return "Variance that few directions hold", said, _small(figure)


def correlation(codes: np.ndarray) -> Drawn:
    """Correlations of the code units that vary most."""
    from plotly.graph_objects import Figure, Heatmap

    chosen = _most(codes)
    names = [str(number + 1) for number in chosen]
    matrix = correlations(codes[:, chosen])
    figure = Figure(Heatmap(z=matrix, x=names, y=names, zmin=-1, zmax=1, colorscale=SIGNED, colorbar={"thickness": 8}))
    figure.update_xaxes(title="Code unit", type="category")
    figure.update_yaxes(type="category", autorange="reversed")
    said = "Pale beside the diagonal: each code unit tells something of its own."
    return "Correlation of the code units", said, _small(figure)


def values(codes: np.ndarray, prior: np.ndarray | None) -> Drawn:
    """Where the values of each code unit lie: median, half of them, nearly all; behind them, where the prior's lie."""
    from plotly.graph_objects import Figure, Scatter

    chosen = _most(codes)
    low, first, middle, third, high = np.quantile(codes[:, chosen], (0.025, 0.25, 0.5, 0.75, 0.975), axis=0)
    x = [str(number + 1) for number in chosen]
    figure = Figure()
    if prior is not None:
        bottom, top = np.quantile(prior[:, chosen], (0.025, 0.975), axis=0)
        _bars(figure, x, bottom, top, 14, "rgba(138,143,152,0.35)")
    _bars(figure, x, low, high, 1.5, BLUE)
    _bars(figure, x, first, third, 6, BLUE)
    figure.add_trace(Scatter(x=x, y=middle, mode="markers", marker={"color": ORANGE, "size": 6}, showlegend=False))
    figure.update_xaxes(title="Code unit", type="category")
    figure.update_yaxes(title="Value")
    said = "Thick: half of the images; thin: 95 %; dot: the median." + " Grey: 95 % of the prior." * (prior is not None)
    return "Values of each code unit", said, _small(figure)


def divergences(pictures: dict[str, Any]) -> Drawn | None:
    """KL of each code unit to the prior, the largest first."""
    from plotly.graph_objects import Bar, Figure

    if not pictures.get("kl_units"):
        return None
    kl = np.array(pictures["kl_units"])
    order = np.argsort(-kl, kind="stable")[: 2 * SHOWN]
    figure = Figure(Bar(x=[str(unit + 1) for unit in order], y=kl[order], marker={"color": BLUE}))
    figure.update_xaxes(title="Code unit", type="category")
    figure.update_yaxes(title="KL to the prior, nats")
    said = "How much each code unit tells of an image; those at 0 have collapsed to the prior."
    return "KL of each code unit", said, _small(figure)


def factors(figures: dict[str, Any]) -> Drawn | None:
    """How much each code unit knows of each known factor."""
    from plotly.graph_objects import Figure, Heatmap

    known = {name: told["information"] for name, told in figures.get("factors", {}).items() if "information" in told}
    if not known:
        return None
    matrix = np.array(list(known.values()))
    chosen = np.sort(np.argsort(-matrix.max(0), kind="stable")[:SHOWN])
    figure = Figure(
        Heatmap(
            z=matrix[:, chosen], x=[str(unit + 1) for unit in chosen], y=[name.replace("_", " ") for name in known],
            colorscale=SHARES, colorbar={"thickness": 8},
            hovertemplate="unit %{x} knows %{z:.2f} nats of %{y}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="Code unit", type="category")
    figure.update_yaxes(type="category", autorange="reversed")
    said = (
        "Nats that each code unit knows of each factor: one strong cell in a row, each in another column, is the best."
    )
    return "Which code unit knows which factor", said, _small(figure)


def _bars(figure: "Figure", x: list[str], low: np.ndarray, high: np.ndarray, width: float, colour: str) -> None:
    """A vertical bar for each x, as one trace."""
    from plotly.graph_objects import Scatter

    across = [part for name in x for part in (name, name, None)]
    up = [part for a, b in zip(low.tolist(), high.tolist(), strict=True) for part in (a, b, None)]
    figure.add_trace(
        Scatter(
            x=across, y=up, mode="lines", line={"width": width, "color": colour}, showlegend=False, hoverinfo="skip"
        )
    )


def _most(codes: np.ndarray) -> np.ndarray:
    """Which code units vary most, at most SHOWN, in their order."""
    return np.sort(np.argsort(-codes.var(0), kind="stable")[:SHOWN])


def _name(names: tuple[str, ...], label: int) -> str:
    """Escaped: plotly takes a text for HTML."""
    return escape(names[label], quote=False) if 0 <= label < len(names) else str(label)


def _small(figure: "Figure") -> "Figure":
    figure.update_layout(height=280, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    if figure.data[0].type == "heatmap":  # lines would shine through its pale cells
        figure.update_yaxes(showgrid=False)
    return figure
