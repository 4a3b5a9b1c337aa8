"""What the latent map reads: points as bytes, pictures of images beside their reconstructions, pictures of empty places."""

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ui import latent_points
from ui.api.live import FOREVER, known_run
from ui.lab import lab, latest_stamp, split, trained
from ui.latent_points import SPLITS, View
from ui.pictures import png, wall

if TYPE_CHECKING:
    from aecore import Trained

NOT_KEPT = {"Cache-Control": "no-store"}
_computing = threading.Lock()
"""A model computes for one viewer at a time, on one thread: the cores belong to the trainers."""


def view_of(request: Request) -> View:
    """The view that a request asks for. Raises ValueError with a sentence."""
    asked = request.query_params
    step, n = asked.get("step"), asked.get("n")
    return View(
        request.path_params["run"],
        _split(asked.get("split", "")),
        None if step is None else int(step),
        None if n is None else max(1, int(n)),
    )


@known_run
def points(request: Request) -> Response:
    """`/api/points/{run}?split=&step=&n=&v=`: the points of a view, as `latent_points.pack` writes them."""
    view = view_of(request)
    content = latent_points.pack(latent_points.points(view))
    return Response(content, media_type="application/octet-stream", headers=_kept(request, latent_points.stamp(view)))


@known_run
def thumb(request: Request) -> Response:
    """`/api/thumb/{run}/{split}/{i}.png?v=`: image i of a split, and beside it what the weights `v` make of it.

    Without `v` the image alone.
    """
    run, name, i = (request.path_params[part] for part in ("run", "split", "i"))
    weights = request.query_params.get("v", "")
    newest = latest_stamp(run) if weights else ""
    return Response(_pair(run, _split(name), i, newest), media_type="image/png", headers=_kept(request, newest))


@known_run
def decode(request: Request) -> Response:
    """`/api/decode/{run}?x=&y=&split=&step=&v=`: what the decoder draws at a place of the plane."""
    view = view_of(request)
    weights = latest_stamp(view.run)
    code = latent_points.lift(view, float(request.query_params["x"]), float(request.query_params["y"]))
    if not np.isfinite(code).all():
        raise ValueError("x and y must be finite numbers.")
    picture = png(_compute(view.run, weights, "decode", code)[0])
    return Response(picture, media_type="image/png", headers=_kept(request, weights))


def model(run: str, weights: str) -> "Trained":
    """The model of a run. Raises FileNotFoundError with a sentence while it has no weights."""
    if not weights:
        raise FileNotFoundError("This run has no weights yet: the first checkpoint brings them.")
    return trained(run, weights)


@lru_cache(maxsize=20_000)
def _pair(run: str, name: str, i: int, weights: str) -> bytes:
    images = split(lab().run(run).config().data.model_dump_json(), name).images
    if i >= len(images):
        raise FileNotFoundError(f"The {name} split has {len(images):,} images: there is no number {i:,}.")
    shown = [images[i]]
    if weights:
        shown.append(_compute(run, weights, "reconstruct", images[i : i + 1])[0])
    return wall(np.stack(shown)[None])


def _compute(run: str, weights: str, verb: str, values: np.ndarray) -> np.ndarray:
    ready = model(run, weights)
    with _computing:
        return np.asarray(getattr(ready, verb)(values))


def _split(name: str) -> str:
    if name not in SPLITS:
        raise ValueError(f"The split is {name!r}, but must be one of {', '.join(SPLITS)}.")
    return name


def _kept(request: Request, stamp: str) -> dict[str, str]:
    """A browser keeps an answer for good where its address names what it was computed from."""
    return FOREVER if request.query_params.get("v", "") == stamp else NOT_KEPT


ROUTES = [
    Route("/api/points/{run}", points),
    Route("/api/thumb/{run}/{split}/{i:int}.png", thumb),
    Route("/api/decode/{run}", decode),
]
