"""The live chart and the live pictures: components that poll for what is new, so that nothing reruns and nothing flickers."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from aecore.config import ConfigError, RunConfig
from aecore.runs import LabError, RunFolder
from aecore.runs.text import isolated
from ui import tickets
from ui.lab import lab
from ui.palette import run_colour
from ui.samples import taken

FOLDER = Path(__file__).parent / "components"
SIZE = 84
"""CSS pixels that an image is about wide."""


def component(name: str, *scripts: str, isolated: bool = True) -> Callable[..., Any]:
    """A component of these scripts, one after the other in one module: a component's script cannot import.

    `isolated`: the dashboard's own style does not reach into it.
    """
    html = '<div class="root"></div>'
    made = st.components.v2.component(
        f"aelab_{name}", html=html, js=script(*scripts, name), css=style(name), isolate_styles=isolated
    )

    def mount(data: dict[str, Any], **options: Any) -> Any:
        # Streamlit imports pandas, half a second, to look whether a list is a table; of a tuple it knows that it is none.
        told = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return made(data=told, **options)

    return mount


def script(*parts: str) -> str:
    """One module of these scripts, one after the other, behind what all share."""
    return "\n".join((FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in ("shared", *parts))


def style(name: str) -> str:
    return (FOLDER / f"{name}.css").read_text(encoding="utf-8")


_curves = component("curves", "curves_data", "curves_plot", "vector")
_strips = component("strips")
_moment = component("moment")

ERRORS = {
    "mse": "squared error",
    "l1": "absolute error",
    "huber": "Huber loss",
    "gaussian": "Gaussian negative log-likelihood, nats",
    "bce": "binary cross-entropy",
    "ssim": "1 - SSIM",
    "ms_ssim": "1 - MS-SSIM",
}


def titles(configs: Sequence[RunConfig]) -> dict[str, str]:
    """Name of a metric -> title of its axis, with what it is summed or averaged over and the range of the pixels."""
    kinds = _minimised(configs)
    fixed = {
        "mse": "squared error of the pictures, values clipped to [0,1], mean over pixels",
        "learning_rate": "learning rate",
        "commitment": "distance of the encoder's vectors from the code book, weighted",
        "perplexity": "perplexity of the codes: how many are in even use",
        "code_use": "share of the codes that is used",
        "active_units": "code units in use: their posterior means vary over the images",
        "kl_dim": "KL of each code unit to the prior, not weighted, nats",
        "images_per_second": "images per second",
        "device_memory": "device memory, GB",
        "device_load": "device utilisation, %",
    }
    if len(kinds) != 1:
        return {"loss": "loss (these runs do not minimise the same)", "reconstruction": "reconstruction loss", **fixed}
    kind, error, span = next(iter(kinds))
    objective = configs[0].model.objective
    whole = "" if kind == "reconstruction" else f"reconstruction and {'KL' if kind == 'elbo' else 'regularisers'}, "
    over = "sum over pixels" if objective.summed else "mean over pixels"
    words = f"{ERRORS[error]}, {over}, images in {span}"
    return {
        "loss": f"loss: {whole}{words}",
        "reconstruction": words,
        **objective.terms,
        **fixed,
    }


def _minimised(configs: Sequence[RunConfig]) -> set[tuple[str, str, str]]:
    """What they minimise: losses of several kinds are no numbers to be compared."""
    return {(one.model.objective.kind, one.model.objective.loss, one.data.value_range) for one in configs}


@lru_cache(maxsize=512)
def _config(path: Path) -> RunConfig:
    return RunFolder(path).config()


def _configs(runs: Sequence["Shown"]) -> list[RunConfig]:
    try:
        return [_config(lab().run(run.id).path) for run in runs]
    except (ConfigError, LabError):  # deleted a moment ago, or damaged: its curve can still be drawn
        return []


class Shown(NamedTuple):
    """A run in a live component: its id, what it is called there, its colour."""

    id: str
    label: str
    colour: str

    def told(self) -> dict[str, str]:
        """What the component is told: with the token for its routes."""
        return self._asdict() | {"token": tickets.own(self.id)}


def shown(runs: Sequence[tuple[str, str]]) -> list[Shown]:
    """(id, label) of runs -> with the colours that stand for them on this page."""
    return [Shown(run, isolated(label), run_colour(place)) for place, (run, label) in enumerate(runs)]


def live_curves(runs: Sequence[Shown], key: str, height: int = 380, shared: bool = False) -> None:
    """Curves of these runs, growing while they train; the zoom and the choices stay.

    Whenever one of them ends before the viewer's eyes, the page reruns once, so that it offers what comes next. `shared`: the
    choices stand in the URL, and a marker shows the moment that pictures and points show.
    """
    configs = _configs(runs)
    term = "mse" if len(_minimised(configs)) > 1 else "loss"
    data = {"runs": [run.told() for run in runs], "height": height, "term": term, "units": titles(configs)}
    _curves(data=data | {"shared": shared}, key=key, on_ended_change=lambda: None)


def live_pictures(runs: Sequence[Shown], key: str, lines: int = 1, loop: bool = False, shared: bool = False) -> None:
    """Held-out images, under them the reconstruction of each run, sharpening while it trains; a slider goes back in time.

    Each row of images takes up to `lines` lines. `loop` plays the training again and again, until somebody takes the slider.
    `shared`: the slider moves everything that is shown of the run, its place stands in the URL, and errors are drawn, too.
    """
    told = film(runs) if loop else {"runs": [run.told() for run in runs], "loop": False}
    _strips(data={"size": SIZE, "lines": lines, "shared": shared} | told, key=key)


def film(runs: Sequence[Shown], most: int | None = None) -> dict[str, Any]:
    """What the live pictures are told to play the training of these runs again and again, or the first `most` samples of each: these
    are named, so that the first pictures of all need not ask for them."""
    return {"runs": [run.told() | _taken(run, most) for run in runs], "loop": True}


def _taken(run: Shown, most: int | None) -> dict[str, Any]:
    """Which samples there are; nothing of a run that was deleted a moment ago."""
    try:
        return taken(run.id, most)
    except LabError:
        return {}


def live_moment(run: Shown, key: str) -> None:
    """Where the codes lie, the error of each class, and the best and the worst images, at the moment of the slider."""
    _moment(data={"run": run.told()}, key=key)
