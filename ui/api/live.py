"""What the live components poll: the rows of a run since a byte, and its samples as strips of pictures."""

import json
from functools import wraps
from typing import Any, NamedTuple, Protocol

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aecore.jobs import news, states
from aecore.jobs.forecast import forecast
from aecore.runs import LabError, RunFolder, files, index
from aecore.runs.columns import read_on
from aecore.runs.database import OPEN
from aecore.runs.folder import TimingRow
from aecore.runs.text import isolated
from ui.caching import FOREVER, NEVER
from ui.lab import lab, whole
from ui.moments import inputs_of, sample_of
from ui.pictures import wall
from ui.samples import RECORDED, finite, folder_of, taken
from ui.shared import once_in
from ui.thinning import Thinned, thin, thin_timing
from ui.words import needs_room

MOST = 64
LATELY = 0.25
"""Seconds for which an answer holds: those who watch a run ask twice a second, each."""


class _Json(Response):
    """What was written as JSON already."""

    media_type = "application/json"


class Answer(Protocol):
    def __call__(self, request: Request) -> Response: ...


def known_run(answer: Answer) -> Answer:
    """Answer 404 with the sentence where there is no such run or picture, 400 where a number is none."""

    @wraps(answer)
    def guarded(request: Request) -> Response:
        try:
            must_see(request)
            return answer(request)
        except LabError as error:
            return JSONResponse({"problem": str(error)}, 404)
        except ValueError as error:
            return JSONResponse({"problem": str(error)}, 400)

    return guarded


def must_see(request: Request) -> None:
    """Raises LabError where a run that the address names is not there for who asks."""
    named = (request.path_params.get("run"), request.query_params.get("run"), request.query_params.get("other"))
    for run in named:
        if run and run not in RECORDED:
            lab().run(run)


def whole_number(name: str, text: str) -> int:
    """A number of an address. Raises ValueError with a sentence."""
    if not text.isdecimal() or len(text) > 12:
        raise ValueError(f"{name} is {text[:100]!r}, but must be a whole number.")
    return int(text)


@known_run
def metrics(request: Request) -> Response:
    """`?run=&after=`: the rows of metrics.csv after the place `after`, the `next` place, and where the run stands.

    `whole` says that the rows are all of them, so that what was drawn before is void; long curves are thinned then, which
    `stretches` and `epoch_means` (`ui.thinning`) make up for.
    """
    run, after = (request.query_params.get(name, "") for name in ("run", "after"))
    lab = str(whole().path)
    return _Json(_news(lab, run, after, _stand(lab, run)), headers=NEVER)


class Stand(NamedTuple):
    """Where a run stands. All who ask in the same quarter of a second are told as much, so that most of them ask for the same rows."""

    row: index.RunRow
    metrics: int
    """Bytes of metrics.csv."""
    timing: int


@once_in(LATELY)
def _stand(_lab: str, run: str) -> Stand:
    row, folder = _row(_lab, run), whole().run(run).path  # the row before the files: what ended has all of its rows
    return Stand(row, files.size(folder / "metrics.csv"), files.size(folder / "timing.csv"))


@once_in(LATELY, most=32)  # of a long curve it is large
def _news(_lab: str, run: str, after: str, stand: Stand) -> bytes:
    row = stand.row
    told = _rows(whole().run(run), stand, after)
    timing = thin_timing(told.timing) if told.whole else told.timing
    content = _curves(told.found) | {"whole": told.whole, "next": told.place}
    content["timing"] = [[one if one is None else finite(one) for one in line] for line in timing]
    return written(content | standing(row))


@once_in(LATELY)
def _row(_lab: str, run: str) -> index.RunRow:
    return index.run(whole(), run)


@known_run
def stretch(request: Request) -> Response:
    """`?run=&first=&last=`: the rows between two steps, as fine as a screen can show these alone."""
    first, last = (whole_number(name, request.query_params.get(name, "0")) for name in ("first", "last"))
    folder = lab().run(request.query_params.get("run", ""))
    file, size = (ask(folder.path / "metrics.csv") for ask in (files.inode, files.size))
    told = read_on(folder, _row(str(whole().path), folder.id).attempt, file, size)
    found = thin(told.at((told.step >= first) & (told.step <= last)))
    return JSONResponse(_curves(found), headers=NEVER)


def _curves(found: Thinned) -> dict[str, Any]:
    rows = [[*head, finite(value)] for *head, value in found.rows]
    return found._asdict() | {"rows": rows}


class Told(NamedTuple):
    """Rows of both files after a place."""

    found: Thinned
    timing: list[TimingRow]
    whole: bool
    """Whether they are all that there are."""
    place: str
    """Where to go on from."""


def _rows(folder: RunFolder, stand: Stand, after: str) -> Told:
    """The rows after a place, as far as they are told of.

    A place is the attempt, the file and the byte of each file. A run that goes on cuts the files to its checkpoint under new
    inodes: whoever has drawn the old ones must start again. An inode may come back, but not within one attempt.
    """
    while True:
        file = files.inode(folder.path / "metrics.csv")
        known, *bytes_ = after.rsplit("-", 2)
        onward = known == f"{stand.row.attempt}-{file}" and len(bytes_) == 2
        first, second = (whole_number("after", byte) for byte in bytes_) if onward else (0, 0)
        if onward:
            rows, end = folder.metrics(first, stand.metrics)
            found = Thinned(rows, {}, {}, False)
        else:  # most of it was read for another
            told = read_on(folder, stand.row.attempt, file, stand.metrics)
            found, end = thin(told), told.end
        timing, until = folder.timing(second, stand.timing)
        if file == files.inode(folder.path / "metrics.csv"):  # otherwise it was cut just now
            return Told(found, timing, not onward, f"{stand.row.attempt}-{file}-{end}-{until}")


def standing(row: index.RunRow) -> dict[str, Any]:
    """Where a run stands, for a line above its curve."""
    expected = forecast(whole()).get(row.id) if row.shown == "queued" else None
    return {
        "shown": row.shown,
        "ended": row.state not in OPEN,
        "step": row.step,
        "total": row.total_steps,
        "epoch": row.epoch,
        "epochs": row.epochs,
        "speed": finite(row.images_per_second),
        "eta": finite(row.eta_seconds),
        "position": expected and expected.position,
        "reason": row.reason,
    }


def written(content: dict[str, Any]) -> bytes:
    """As JSON. Raises ValueError where a number is none that JSON knows."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


@known_run
def told(request: Request) -> Response:
    """`?runs=a,b`: {run: what a browser tells of it}, for those that are there: `word` is null while there is no news."""
    rows = index.runs(lab(), request.query_params.get("runs", "").split(",")[:MOST])
    content = {
        row.id: {"name": isolated(row.name), "word": _word(row), "reason": row.reason.partition("\n")[0]}
        for row in rows
    }
    return JSONResponse(content, headers=NEVER)


def _word(row: index.RunRow) -> str | None:
    if needs_room(row):
        return news.WORDS["running"]
    return news.WORDS[row.state] if row.state in states.NEWS else None


@known_run
def samples(request: Request) -> Response:
    """`?run=`: which samples there are, see `ui.samples`."""
    return _Json(_taken(str(whole().path), request.query_params.get("run", "")), headers=NEVER)


@once_in(LATELY)
def _taken(_lab: str, run: str) -> bytes:
    return written(taken(run))


@known_run
def sample(request: Request) -> Response:
    """`/api/sample/{run}/{step}.png?n=&v=`: the first n reconstructions at a step, side by side.

    `v` is there for the browser, which keeps a picture for good: another number is another picture of that step.
    """
    run, step = request.path_params["run"], request.path_params["step"]
    return _strip(sample_of(folder_of(run), step).x_hat, request)


@known_run
def inputs(request: Request) -> Response:
    """`/api/inputs/{run}.png?n=`: the first n images that the samples reconstruct, side by side."""
    return _strip(inputs_of(folder_of(request.path_params["run"])).images, request)


@known_run
def seen(request: Request) -> Response:
    """`/api/seen/{run}.png?n=`: what the encoder sees of the first n images, side by side."""
    run = request.path_params["run"]
    found = inputs_of(folder_of(run)).seen
    if found is None:
        raise LabError(f"The encoder of run {run} sees the images themselves.")
    return _strip(found, request)


def _strip(images: np.ndarray, request: Request) -> Response:
    count = min(max(whole_number("n", request.query_params.get("n", "10")), 1), MOST)
    return Response(wall(images[None, :count]), media_type="image/png", headers=FOREVER)


ROUTES = [
    Route("/api/metrics", metrics),
    Route("/api/metrics/stretch", stretch),
    Route("/api/told", told),
    Route("/api/samples", samples),
    Route("/api/sample/{run}/{step:int}.png", sample),
    Route("/api/inputs/{run}.png", inputs),
    Route("/api/seen/{run}.png", seen),
]
