"""The lab that this dashboard shows, who looks at it, and what is kept in memory for all viewers."""

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from aecore import manifest
from aecore.config import DataConfig
from aecore.config.lab import read_settings
from aecore.runs import Lab, LabError
from aecore.runs.lab import CHECKOUT
from aecore.runs.rights import Person
from ui import access, ways

if TYPE_CHECKING:
    from aecore import Trained
    from aecore.data import Split


def lab() -> Lab:
    """The lab as this visitor, of a page or of a route, sees it. Raises LabError with a sentence where it cannot be opened."""
    here = whole()
    return here.seen_by(_visitor(here))


def whole() -> Lab:
    """The lab of `AELAB_HOME`, else `lab/` in the checkout, as the program itself sees it: for no page and no route."""
    path, root = os.environ.get("AELAB_HOME"), os.environ.get("AELAB_DATA")
    try:
        _last[path, root] = _open(path, root, changed(path))
    except LabError:
        if (path, root) not in _last or not _broken(path):
            raise
    return _last[path, root]


_last: dict[tuple[str | None, str | None], Lab] = {}
"""The lab as it was opened last: what its settings said holds while somebody's hand has broken the file."""


def _settings(path: str | None) -> Path:
    return Path(path or CHECKOUT / "lab").expanduser() / "settings.json"


def _broken(path: str | None) -> bool:
    try:
        read_settings(_settings(path))
    except (OSError, ValueError):
        return True
    return False


@lru_cache(maxsize=4)
def _open(path: str | None, data_root: str | None, _changed: int) -> Lab:
    found = Lab.open(path, data_root)
    found.engine.update_execution_options(patience=PATIENCE)
    return found


PATIENCE = 1.0
"""Seconds for which what another process writes may go unnoticed: a run that trains writes three times a second, and its pages ask
for what is new every two seconds. What this dashboard writes is seen at once."""


def changed(path: str | None) -> int:
    """When the settings were written last, so that new ones are read; 0 where there are none."""
    try:
        return _settings(path).stat().st_mtime_ns
    except OSError:
        return 0


def visitor() -> Person:
    """Who looks at this page, or asks this route."""
    return _visitor(whole())


def _visitor(here: Lab) -> Person:
    in_script = get_script_run_ctx(suppress_warning=True) is not None
    return ways.visitor(st.context if in_script else access.asking.get(), here)


def who() -> str:
    """Whose are the runs that this visitor starts: the name given at the door, else the user of this machine."""
    return visitor().name


def latest_stamp(run_id: str) -> str:
    """Name of the newest committed checkpoint of a run, '' where there is none: the key of what is computed from it."""
    return manifest.stamp(lab().run(run_id).checkpoints)


@st.cache_resource(max_entries=8, show_spinner="Opening the model …")
def trained(run_id: str, stamp: str) -> "Trained":
    """The model of a run at its newest checkpoint, on the CPU, for all viewers; `stamp` is `latest_stamp(run_id)`."""
    import torch

    import aecore

    torch.set_num_threads(1)  # a page decodes a few codes; the cores belong to the trainers
    return aecore.load(lab().run(run_id))


_reading = threading.Lock()


@st.cache_resource(max_entries=12, show_spinner="Reading the images …")
def split(data_config_json: str, split_name: Literal["train", "val", "test"]) -> "Split":
    """Images (N, C, H, W) uint8 and labels of one split of a data config, read only, for all viewers. Raises DataError."""
    from aecore.data import load

    with _reading:  # a generated set is drawn once
        found = load(DataConfig.model_validate_json(data_config_json), split_name, lab().data_roots)
    for array in (found.images, found.labels):
        array.setflags(write=False)
    return found
