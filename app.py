"""The launcher: `streamlit run app.py`. Routes, the door, and what must be warm; the pages start in ui/main.py."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from aecore.jobs.supervisor import ensure_supervisor
from aecore.runs.lab import LabError
from ui import access, api, warm
from ui.lab import lab


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Start the lab's supervisor where none runs, and import what pages need while the first visitor already looks."""
    PagesManager.uses_pages_directory = False  # else a deep link may run pages/x.py without ui/main.py around it
    try:
        ensure_supervisor(lab())
    except LabError as error:
        print(error, file=sys.stderr)  # each page says it too
    gc.freeze()
    warm.start()
    yield


app = st.App(
    Path(__file__).parent / "ui/main.py",
    lifespan=lifespan,
    routes=[*access.ROUTES, *api.ROUTES],
    middleware=[Middleware(access.Shield), Middleware(access.Door)],
)
