"""What the latent map reads: points as bytes, pictures of images beside their reconstructions, pictures of empty places."""

import math
from functools import lru_cache, wraps
from typing import Literal

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aecore.runs import LabError
from ui import latent_colours, latent_pair, latent_places, latent_points
from ui.api.live import FOREVER, Answer, must_see
from ui.lab import lab, latest_stamp, split
from ui.latent_maps import point_stamp
from ui.latent_model import computed
from ui.latent_points import SPLITS, View
from ui.latent_selection import kept
from ui.pictures import png, wall

SplitName = Literal["train", "val", "test"]
AWAY = "X-Away"
"""Header of a decoded picture: how far its code is from the nearest real one, in units of what is usual between real ones."""
NOT_KEPT = {"Cache-Control": "no-store"}


def said(answer: Answer) -> Answer:
    """Answer 404 with the sentence where something is not there, 400 where the address asks for what cannot be."""

    @wraps(answer)
    def guarded(request: Request) -> Response:
        try:
            must_see(request)
            return answer(request)
        except (LabError, FileNotFoundError) as error:
            return JSONResponse({"problem": str(error)}, 404)
        except ValueError as error:
            return JSONResponse({"problem": str(error)}, 400)

    return guarded


def view_of(request: Request) -> View:
    """The view that a request asks for. Raises ValueError with a sentence."""
    asked = request.query_params
    step, n = asked.get("step"), asked.get("n")
    return View(
        request.path_params["run"],
        _split(asked.get("split", "")),
        None if step is None else _whole("step", step),
        None if n is None else max(1, _whole("n", n)),
        map=asked.get("map", ""),
        colour=asked.get("colour", "label"),
        only=asked.get("only", ""),
    )


@said
def points(request: Request) -> Response:
    """`/api/points/{run}?split=&step=&n=&v=`: the points of a view, as `latent_points.pack` writes them."""
    view = view_of(request)
    content = latent_points.pack(latent_points.points(view), latent_colours.groups(view).member)
    headers = _kept(request, point_stamp(view)) | {"Content-Encoding": "identity"}  # coordinates do not compress
    return Response(content, media_type="application/octet-stream", headers=headers)


@said
def thumb(request: Request) -> Response:
    """`/api/thumb/{run}/{split}/{i}.png?v=`: image i of a split, and beside it what the weights `v` make of it.

    Without `v` the image alone.
    """
    run, name, i = (request.path_params[part] for part in ("run", "split", "i"))
    weights = request.query_params.get("v", "")
    newest = latest_stamp(run) if weights else ""
    return Response(_pair(run, _split(name), i, newest), media_type="image/png", headers=_kept(request, newest))


@said
def decode(request: Request) -> Response:
    """`/api/decode/{run}?x=&y=&split=&step=&v=`: what the decoder draws at a place of the plane; as an image of the label of
    the nearest point, where it asks for a label."""
    view = view_of(request)
    weights = latest_stamp(view.run)
    place = [_number(request.query_params.get(axis, "")) for axis in "xy"]
    code, label = latent_places.lift(view, *place), latent_points.nearest_label(view, *place)
    picture = png(computed(view.run, weights, "decode", code, label)[0])
    away = {AWAY: f"{latent_places.away(view, code[0]):.2f}"}
    return Response(picture, media_type="image/png", headers=_kept(request, weights) | away)


@said
def selection(request: Request) -> Response:
    """`/api/selection/{run}/{hash}?split=`: int32 places, in their split, of the images of a selection."""
    indices = kept(
        request.path_params["run"], _split(request.query_params.get("split", "")), request.path_params["hash"]
    )
    return Response(indices.astype("<i4").tobytes(), media_type="application/octet-stream", headers=FOREVER)


@said
def pair(request: Request) -> Response:
    """`/api/pair/{run}?other=&split=&map=&side=0|1&v=`: the points of one of two models, aligned, coloured by what they keep."""
    view, other = view_of(request), request.query_params.get("other", "")
    found = latent_pair.pair(view, other)
    side = found.sides[min(1, _whole("side", request.query_params.get("side", "0")))]
    content = latent_points.pack(side, latent_pair.members(found.kept))
    headers = _kept(request, latent_pair.stamp(view, other)) | {"Content-Encoding": "identity"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@lru_cache(maxsize=20_000)
def _pair(run: str, name: SplitName, i: int, weights: str) -> bytes:
    images, labels, *_ = split(lab().run(run).config().data.model_dump_json(), name)
    if i >= len(images):
        raise FileNotFoundError(f"The {name} split has {len(images):,} images: there is no number {i:,}.")
    shown = [images[i]]
    if weights:
        shown.append(computed(run, weights, "reconstruct", images[i : i + 1].copy(), labels[i : i + 1].copy())[0])
    return wall(np.stack(shown)[None])


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("x and y must be finite numbers.")
    return value


def _whole(name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 12:
        raise ValueError(f"{name} is {text!r}, but must be a whole number.")
    return int(text)


def _split(name: str) -> SplitName:
    for split_name in SPLITS:
        if name == split_name:
            return split_name
    raise ValueError(f"The split is {name!r}, but must be one of {', '.join(SPLITS)}.")


def _kept(request: Request, stamp: str) -> dict[str, str]:
    """A browser keeps an answer for good where its address names what it was computed from."""
    return FOREVER if request.query_params.get("v", "") == stamp else NOT_KEPT


ROUTES = [
    Route("/api/points/{run}", points),
    Route("/api/thumb/{run}/{split}/{i:int}.png", thumb),
    Route("/api/decode/{run}", decode),
    Route("/api/selection/{run}/{hash}", selection),
    Route("/api/pair/{run}", pair),
]
