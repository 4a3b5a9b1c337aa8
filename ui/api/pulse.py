"""Stamps of what pages say in words (`ui.pulse`), and the host's devices as they are now."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aecore.runs import LabError
from ui import notices, pulse
from ui.caching import NEVER
from ui.queue import devices_html

GONE = "gone"
"""Stamp of a run that was deleted: its page says so."""


def of_run(request: Request) -> Response:
    """`/api/pulse/{run}`: {'stamp'}."""
    try:
        stamp = pulse.run_stamp_now(request.path_params["run"])
    except LabError:
        stamp = GONE
    return JSONResponse({"stamp": stamp}, headers=NEVER)


def of_table(_: Request) -> Response:
    """`/api/pulse`: {'stamp'} of the table of runs."""
    return JSONResponse({"stamp": pulse.table_stamp_now()}, headers=NEVER)


def of_notices(_: Request) -> Response:
    """`/api/notices`: {'stamp'} of what everybody reads at the top of a page."""
    return JSONResponse({"stamp": notices.stamp()}, headers=NEVER)


def devices(_: Request) -> Response:
    """`/api/devices`: {'html'} of the card of devices."""
    return JSONResponse({"html": devices_html()}, headers=NEVER)


ROUTES = [
    Route("/api/devices", devices),
    Route("/api/notices", of_notices),
    Route("/api/pulse/{run}", of_run),
    Route("/api/pulse", of_table),
]
