"""How good the code of a run is: each figure of its analysis with how to read it, beside the picture that belongs to it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from aecore.analysis.quality_words import FACTORS, FIGURES, Figure
from ui import latent_book, latent_pictures, latent_points
from ui.lab import lab
from ui.latent_map import weights_of
from ui.latent_points import View
from ui.words import escape

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plot

Drawn = tuple[str, str, "Plot"]
"""A picture: its title, how to read it, and itself."""


class Known(NamedTuple):
    """What a picture is drawn from."""

    view: View
    figures: dict[str, Any]
    pictures: dict[str, Any]
    names: tuple[str, ...]
    """Of the labels."""


class Block(NamedTuple):
    """Figures that belong together, and their picture."""

    figures: tuple[str, ...]
    draw: Callable[[Known], Drawn | None]


BLOCKS = (
    Block(("probe_accuracy",), lambda known: latent_pictures.taken(known.pictures, "probe", known.names)),
    Block(("knn_accuracy",), lambda known: latent_pictures.taken(known.pictures, "knn", known.names)),
    Block(("nmi", "ari"), lambda known: latent_pictures.taken(known.pictures, "clusters", known.names)),
    Block(("silhouette",), lambda known: latent_pictures.silhouettes(known.pictures, known.names)),
    Block(("effective_dimension",), lambda known: latent_pictures.spectrum(_codes(known))),
    Block(("correlation", "used_dimensions"), lambda known: latent_pictures.correlation(_codes(known))),
    Block(("prior_distance",), lambda known: latent_pictures.values(_codes(known), _prior(known))),
    Block(("active_units",), lambda known: latent_pictures.divergences(known.pictures)),
    Block(tuple(FACTORS), lambda known: latent_pictures.factors(known.figures)),
)
"""In the order of the page."""


def show(view: View) -> None:
    """The blocks, three beside each other, and the code book of codes that have one; all of the images of the analysis."""
    view = _judged(view)
    metrics = lab().run(view.run).analysis_metrics() or {}
    facts = lab().run(view.run).facts()
    figures = metrics.get("code", {}) | metrics.get("disentanglement", {})
    known = Known(view, figures, metrics.get("code_pictures", {}), facts.class_names if facts else ())
    if not figures:
        st.caption(
            "The analysis of this run did not measure its code: it is older than this measure, or fewer than three codes are finite "
            "numbers."
        )
    else:
        whichever = ", whichever images the map shows" * (view.split == "test")
        st.caption(f"These figures and pictures are of the {view.split} images{whichever}.")
    if latent_book.finite(view):
        latent_book.show(view)
    drawn = [(block, picture) for block in BLOCKS if (picture := _picture(block, known)) or _has(block, figures)]
    for begin in range(0, len(drawn), 3):
        row = drawn[begin : begin + 3]
        figured = any(_has(block, figures) for block, _ in row)  # the room of one, so that pictures begin alike
        for column, (block, picture) in zip(st.columns(3, gap="large"), row, strict=False):
            with column:
                if figured:
                    st.html(cards(figures, block.figures))
                if picture:
                    title, said, plot = picture
                    st.markdown(f"**{title}**")
                    st.plotly_chart(plot, key=f"latent-quality-{title}", config={"displayModeBar": False})
                    st.caption(said)


def _judged(view: View) -> View:
    """The images that the figures are of, where they were analysed: the test images."""
    return View(view.run, "test") if "test" in latent_points.analysed(lab().run(view.run)) else view


def _has(block: Block, figures: dict[str, Any]) -> bool:
    return any(name in figures for name in block.figures)


def _picture(block: Block, known: Known) -> Drawn | None:
    return block.draw(known) if len(_codes(known)) >= 3 else None


def _codes(known: Known) -> Any:
    return latent_points.codes(known.view)[:20_000]


def _prior(known: Known) -> Any:
    """Codes of the model's prior, beside which the values of the codes stand; None where it has none, or no weights."""
    from aecore.analysis import latent
    from ui.latent_model import model

    weights = weights_of(known.view)
    if not weights or "prior_distance" not in known.figures:
        return None
    size = latent_points.codes(known.view).shape[1]
    return latent.prior(model(known.view.run, weights).model, max(200, min(5_000, (1 << 22) // size)), 0)


def cards(figures: dict[str, Any], names: Sequence[str] = (*FIGURES, *FACTORS)) -> str:
    """A card for each of these figures that is known, as HTML: value, bar where it goes from 0 to 1, and how to read it."""
    known = FIGURES | FACTORS
    parts = [_card(figures, name, known[name]) for name in names if name in figures]
    return f'<div class="latent-figures">{"".join(parts)}</div>'


def _card(figures: dict[str, Any], name: str, figure: Figure) -> str:
    value = figures[name]
    said = format(value, f"z{figure.form}").replace("-", "−")  # z: no zero below zero
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
    return f"<div><b>{escape(figure.title)}</b><strong>{said}</strong>{bar}<p>{escape(figure.read)}</p></div>"
