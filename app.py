"""The launcher: `streamlit run app.py`. Routes, the door, and what must be warm; the pages start in ui/main.py."""

import gc
import os
from pathlib import Path

from aecore.jobs import launch

# before what takes a second to import: its process imports the same, side by side
if not os.environ.get("AELAB_KIOSK"):
    launch.early(Path(__file__).parent)
if gc.isenabled():  # of what is imported next to nothing is garbage
    gc.disable()

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit import delta_generator
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager

from aecore.jobs.supervisor import ensure_supervisor
from aecore.runs import LabError
from ui import access, api, errors, kiosk, leaving, warm, ways
from ui.api.first import First
from ui.lab import whole
from ui.scripts import Scripts
from ui.serve import LOOPBACK
from ui.shield import Shield

ROUTES = [*access.ROUTES, *api.ROUTES]
delta_generator._use_warning_has_been_displayed = True
"""Else the first page waits a tenth of a second: Streamlit looks through all modules for whether it runs at a Python prompt."""
manifest_scanner.scan_component_manifests = lambda *_: []
"""Ours are made by our own pages: Streamlit reads what each installed package says of itself to find others, for 0.2 s of a start."""
logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel("ERROR")
"""Else the log fills with warnings that can be ignored, as they say: routes, too, use what is kept for pages."""
LOOK_EVERY = 5
"""Seconds between looks after the supervisor."""
TURN = 0.0005
"""Seconds that a thread may compute while others wait for the interpreter, a tenth of Python's own: a page's script lets go of it
some hundred times, for a file or a message, and waits for every thread that computes each time."""


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """While the dashboard is up: a supervisor for the lab; and what pages need is imported while the first visitor looks."""
    PagesManager.uses_pages_directory = False  # else a deep link may run pages/x.py without ui/main.py around it
    supervised = asyncio.create_task(keep_supervised() if not kiosk.chosen() else asyncio.sleep(0))
    sys.setswitchinterval(TURN)
    warm.start()
    tidied = asyncio.create_task(leaving.tidied())
    if (address := st.get_option("server.address")) == LOOPBACK:  # on the network `ui.serve` has said another one
        print(f"Autoencoder Lab: http://{address}:{st.get_option('server.port')}{ways.base()}", flush=True)
    yield
    supervised.cancel()
    tidied.cancel()


async def keep_supervised() -> None:
    """Start the lab's supervisor wherever there is none. It and its trainers outlive the dashboard."""
    said = ""
    while True:
        try:
            await asyncio.to_thread(lambda: ensure_supervisor(whole()))
        except Exception as error:  # whatever it is, it may pass, and nobody else would look again
            if str(error) != said:  # each page says it too
                print(said := str(error), file=sys.stderr)
        await asyncio.sleep(LOOK_EVERY)


def provider() -> dict[str, Any]:
    """What Streamlit needs for a login; nothing where the lab cannot be opened: then the door says why."""
    try:
        return ways.provider(whole())
    except (LabError, OSError):
        return {}


app = st.App(
    Path(__file__).parent / "ui/main.py",
    lifespan=lifespan,
    on_script_error=errors.told,
    secrets=provider() or None,
    routes=[Route(ways.base() + route.path, route.endpoint, methods=route.methods) for route in ROUTES],
    middleware=[Middleware(Shield), Middleware(access.Door), Middleware(First), Middleware(Scripts)],
)
gc.freeze()
gc.enable()
