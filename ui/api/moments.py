"""What the moment of a run is shown with: `ui.moments` as JSON and pictures. A step's answers never change."""

from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aecore.config import ConfigError
from aecore.data import DataError, Split
from aecore.runs import Inputs, LabError, RunFolder, SampleFile, index
from aecore.runs.database import OPEN
from ui import moments
from ui.api.live import finite, known_run, whole_number
from ui.caching import FOREVER, NEVER
from ui.lab import lab, latest_stamp, split
from ui.latent_model import computed
from ui.moments import Extreme
from ui.palette import label_colour
from ui.pictures import wall


@known_run
def watched(request: Request) -> Response:
    """`/api/watched/{run}`: labels, classes with names and colours, the split and how many of its images are watched."""
    content = moments.about(lab().run(request.path_params["run"]), label_colour)
    return JSONResponse(content, headers=NEVER)


@known_run
def moment(request: Request) -> Response:
    """`/api/moment/{run}/{step}?label=&v=`: `places` of the points, error by class, and the best, typical and worst images."""
    folder, step, label = _asked(request)
    inputs, sample = moments.inputs_of(folder), moments.sample_of(folder, step)
    shown, whole = _shown(folder, inputs, sample, label)
    content = {
        "places": moments.told(moments.places(folder, [one for one in folder.sample_steps() if one <= step])),
        "classes": [[label, finite(error), n] for label, error, n in moments.by_class(inputs, sample)],
        "mean": finite(float(sample.errors.mean())),
        "extremes": [_told(inputs, sample, one) for one in shown],
        "pooled": whole is None,
    }
    return JSONResponse(content, headers=FOREVER)


def _told(inputs: Inputs, sample: SampleFile, one: Extreme) -> dict[str, Any]:
    known = {"label": int(moments.labels(inputs)[one.place]), "kept": moments.kept_of(sample, one) is not None}
    return {"kind": one.kind, "rank": one.rank, "error": finite(one.error), **known}


@known_run
def extremes(request: Request) -> Response:
    """`/api/extremes/{run}/{step}.png?label=&v=`: the best, typical and worst images, below them their reconstructions.

    Those that samples do not keep are the newest model's, and grey where there is none.
    """
    folder, step, label = _asked(request)
    inputs, sample = moments.inputs_of(folder), moments.sample_of(folder, step)
    shown, whole = _shown(folder, inputs, sample, label)
    made = [moments.kept_of(sample, one) for one in shown]
    images = np.full((2, len(shown), *inputs.images.shape[1:]), 128, np.uint8)
    for column, (one, x_hat) in enumerate(zip(shown, made, strict=True)):
        images[0, column] = (
            inputs.images[one.kept] if whole is None else whole.images[moments.indices(inputs)[one.place]]
        )
        if x_hat is not None:
            images[1, column] = x_hat
    missing = [column for column, x_hat in enumerate(made) if x_hat is None]
    known = moments.labels(inputs)[[shown[column].place for column in missing]]
    if missing and (newest := _reconstructed(folder, images[0, missing], known)) is not None:
        images[1, missing] = newest
    if whole is not None and inputs.target:
        images[0] = _wanted(folder, images[0])
    final = not missing or index.run(lab(), folder.id).state not in OPEN
    return Response(wall(images), media_type="image/png", headers=FOREVER if final else NEVER)


def _asked(request: Request) -> tuple[RunFolder, int, int | None]:
    label = request.query_params.get("label", "")
    return (
        lab().run(request.path_params["run"]),
        request.path_params["step"],
        whole_number("label", label) if label else None,
    )


def _shown(
    folder: RunFolder, inputs: Inputs, sample: SampleFile, label: int | None
) -> tuple[list[Extreme], Split | None]:
    """The images to show, and the whole split; None for it where the data cannot be read: then only images that the
    samples keep are among those shown."""
    try:
        data = folder.config().data.model_dump_json()
        whole: Split | None = split(data, "val") if inputs.split == "val" else split(data, "test")
    except (DataError, ConfigError, OSError):
        whole = None
    found = moments.extremes(inputs, sample, label, pooled=whole is None)
    if not found:
        raise LabError(f"None of the watched images of run {folder.id} is of class {label}.")
    return found, whole


def _wanted(folder: RunFolder, images: np.ndarray) -> np.ndarray:
    """What the decoder should give for images; themselves where it is not known any more."""
    from aecore.analysis.seen import wanted  # torch: for the few runs that need it

    facts = folder.facts()
    return images if facts is None else wanted(folder.config(), images, facts)


def _reconstructed(folder: RunFolder, images: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """What the newest model makes of images; None where there is no model that can be loaded."""
    newest = latest_stamp(folder.id)
    try:
        return computed(folder.id, newest, "reconstruct", computed(folder.id, newest, "see", images), labels)
    except (ValueError, OSError, RuntimeError):
        return None


@known_run
def error_map(request: Request) -> Response:
    """`/api/error/{run}/{step}.png?n=&v=`: where the first n reconstructions are too bright and too dark, side by side."""
    folder, step, _ = _asked(request)
    inputs, sample = moments.inputs_of(folder), moments.sample_of(folder, step)
    count = min(max(whole_number("n", request.query_params.get("n", "10")), 1), len(sample.x_hat))
    shown = moments.difference(inputs.images[:count], sample.x_hat[:count])
    return Response(wall(shown[None]), media_type="image/png", headers=FOREVER)


ROUTES = [
    Route("/api/watched/{run}", watched),
    Route("/api/moment/{run}/{step:int}", moment),
    Route("/api/extremes/{run}/{step:int}.png", extremes),
    Route("/api/error/{run}/{step:int}.png", error_map),
]
