"""The live chart and the live pictures: components that poll for what is new, so that nothing reruns and nothing flickers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from ui.palette import run_colour

FOLDER = Path(__file__).parent / "components"


def _component(name: str) -> Callable[..., Any]:
    script, style = ((FOLDER / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return st.components.v2.component(f"aelab_{name}", html='<div class="root"></div>', js=script, css=style)


_curves = _component("curves")
_strips = _component("strips")

UNITS = {
    "loss": "loss (mean over pixels)",
    "reconstruction": "reconstruction loss (mean over pixels)",
    "kl": "KL divergence, weighted",
    "mse": "MSE per pixel, images in [0,1]",
    "learning_rate": "learning rate",
}
"""Name of a metric -> title of its axis."""


class Shown(NamedTuple):
    """A run in a live component: its id, what it is called there, its colour."""

    id: str
    label: str
    colour: str


def shown(runs: Sequence[tuple[str, str]]) -> list[Shown]:
    """(id, label) of runs -> with the colours that stand for them on this page."""
    return [Shown(run, label, run_colour(place)) for place, (run, label) in enumerate(runs)]


def live_curves(runs: Sequence[Shown], key: str, height: int = 380, term: str = "loss") -> bool:
    """Curves of these runs, growing while they train; the zoom and the choices stay. True in the one rerun after a run ended."""
    data = {"runs": [run._asdict() for run in runs], "height": height, "term": term, "units": UNITS}
    result = _curves(data=data, key=key, on_ended_change=lambda: None)
    return bool(result.ended)


def live_pictures(runs: Sequence[Shown], key: str, size: int = 72, loop: bool = False) -> None:
    """Held-out images, under them the reconstruction of each run, sharpening while it trains; a slider goes back in time.

    `size` is about how large an image is drawn, in CSS pixels; an image's pixel is a whole number of the screen's.
    `loop` plays the training again and again, until somebody takes the slider.
    """
    _strips(data={"runs": [run._asdict() for run in runs], "size": size, "loop": loop}, key=key)
