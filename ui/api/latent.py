"""What the latent map reads: points as bytes, pictures of images beside their reconstructions, pictures of empty places."""

from contextlib import suppress
from functools import lru_cache, wraps
from typing import Literal

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aecore.runs import LabError
from ui import latent_colours, latent_exchange, latent_pair, latent_places, latent_points
from ui.api.live import Answer, must_see, whole_number
from ui.caching import FOREVER, NEVER
from ui.lab import lab, latest_stamp, split
from ui.latent_model import computed
from ui.latent_points import SPLITS, View
from ui.latent_selection import kept
from ui.pictures import png, wall

SplitName = Literal["train", "val", "test"]
AWAY = "X-Away"
"""Header of a decoded picture: how far its code is from the nearest real one, in units of what is usual between real ones."""
SHEET, PIXELS = 32, 32_768
"""Pictures that are asked for at once, and pixels in them, at most: as in ui/components/latent.js, so that nobody waits for them."""
FAR = 1e18
"""Of a place from the middle: the square of what is farther is no number of 32 bits."""


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
        None if step is None else whole_number("step", step),
        None if n is None else max(1, whole_number("n", n)),
        3 if asked.get("dims") == "3" else 2,
        map=asked.get("map", ""),
        colour=asked.get("colour", "label"),
        only=asked.get("only", ""),
    )


@said
def points(request: Request) -> Response:
    """`/api/points/{run}?split=&step=&n=&dims=&v=`: the points of a view, as `latent_exchange.pack` writes them."""
    view = view_of(request)
    content = latent_exchange.pack(latent_points.points(view), latent_colours.groups(view).member)
    return _columns(content, _kept(request, latent_colours.point_stamp(view)))


@said
def behind(request: Request) -> Response:
    """`/api/behind/{run}?split=&map=&dims=&v=`: places of the other splits' points in the map of a view."""
    view = view_of(request)
    content = latent_exchange.columns(latent_exchange.places(latent_points.behind(view)))
    return _columns(content, _kept(request, latent_colours.point_stamp(view)))


@said
def thumb(request: Request) -> Response:
    """`/api/thumb/{run}/{split}/{i}.png?v=`: image i of a split, and beside it what the weights `v` make of its code.

    Without `v` the image alone.
    """
    run, name, i = (request.path_params[part] for part in ("run", "split", "i"))
    weights = request.query_params.get("v", "")
    newest = latest_stamp(run) if weights else ""
    return Response(_pair(run, _split(name), i, newest), media_type="image/png", headers=_kept(request, newest))


@said
def thumbs(request: Request) -> Response:
    """`/api/thumbs/{run}/{split}.png?i=1,2,3&v=`: the same of several images, one below the other, SHEET of them at most.

    The map asks for those around the pointer, so that they are there when it points at one.
    """
    run, name = request.path_params["run"], _split(request.path_params["split"])
    weights = request.query_params.get("v", "")
    newest = latest_stamp(run) if weights else ""
    facts = lab().run(run).facts()
    most = min(SHEET, max(1, PIXELS // (facts.shape[1] * facts.shape[2]))) if facts else 1
    indices = [whole_number("i", text) for text in request.query_params.get("i", "").split(",")[:most]]
    return Response(wall(_pairs(run, name, indices, newest)), media_type="image/png", headers=_kept(request, newest))


@said
def decode(request: Request) -> Response:
    """`/api/decode/{run}?x=&y=&split=&step=&v=`: what the decoder draws at a place of the plane; as an image of the label of
    the nearest point, where it asks for a label."""
    view = view_of(request)
    weights = latest_stamp(view.run)
    x, y = (_number(request.query_params.get(axis, "")) for axis in "xy")
    code, label = latent_places.lift(view, x, y), latent_places.label_at(view, x, y, weights)
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
    """`/api/pair/{run}?split=&step=&map=&other=&other_step=&other_map=&side=0|1&v=`: one side of a pair, the second laid over the
    first, coloured by what is kept."""
    asked, view = request.query_params, view_of(request)
    step = asked.get("other_step")
    second = View(
        asked.get("other", ""),
        view.split,
        None if step is None else whole_number("other_step", step),
        map=asked.get("other_map", ""),
    )
    two = latent_pair.Two(latent_pair.plain(view), second)
    found = latent_pair.pair(two)
    side = found.sides[min(1, whole_number("side", asked.get("side", "0")))]
    content = latent_exchange.pack(side, latent_pair.members(found.kept))
    return _columns(content, _kept(request, latent_pair.stamp(two)))


def _columns(content: bytes, headers: dict[str, str]) -> Response:
    headers = headers | {"Content-Encoding": "identity"}  # coordinates do not compress
    return Response(content, media_type="application/octet-stream", headers=headers)


@lru_cache(maxsize=20_000)
def _pair(run: str, name: SplitName, i: int, weights: str) -> bytes:
    return wall(_pairs(run, name, [i], weights))


def _pairs(run: str, name: SplitName, indices: list[int], weights: str) -> np.ndarray:
    """(n, 1 or 2, C, H, W) uint8: images of a split, and beside each what the weights make of it where there are any."""
    images, labels, *_ = split(lab().run(run).config().data.model_dump_json(), name)
    if max(indices) >= len(images):
        raise FileNotFoundError(f"The {name} split has {len(images):,} images: there is no number {max(indices):,}.")
    shown = [images[indices]]
    if weights:
        codes = latent_points.codes_of(View(run, name), indices)
        if codes is None:
            codes = computed(run, weights, "encode", computed(run, weights, "see", shown[0]))
        shown.append(computed(run, weights, "decode", codes, labels[indices]))
    return np.stack(shown, axis=1)


def _number(text: str) -> float:
    with suppress(ValueError):
        if abs(value := float(text)) <= FAR:
            return value
    raise ValueError(f"x and y must be finite numbers, and not beyond {FAR:g}.")


def _split(name: str) -> SplitName:
    for split_name in SPLITS:
        if name == split_name:
            return split_name
    raise ValueError(f"The split is {name!r}, but must be one of {', '.join(SPLITS)}.")


def _kept(request: Request, stamp: str) -> dict[str, str]:
    """A browser keeps an answer for good where its address names what it was computed from."""
    return FOREVER if request.query_params.get("v", "") == stamp else NEVER


ROUTES = [
    Route("/api/points/{run}", points),
    Route("/api/behind/{run}", behind),
    Route("/api/thumb/{run}/{split}/{i:int}.png", thumb),
    Route("/api/thumbs/{run}/{split}.png", thumbs),
    Route("/api/decode/{run}", decode),
    Route("/api/selection/{run}/{hash}", selection),
    Route("/api/pair/{run}", pair),
]
