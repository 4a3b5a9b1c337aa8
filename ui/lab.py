"""The lab that this dashboard shows, who looks at it, and what is kept in memory for all viewers."""

import getpass
import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import streamlit as st

from aecore.config import DataConfig
from aecore.runs import Lab
from ui import access

if TYPE_CHECKING:
    from aecore import Trained
    from aecore.data import Split


def lab() -> Lab:
    """The lab of `AELAB_HOME`, else `lab/` in the checkout. Raises LabError with a sentence where it cannot be opened."""
    return _open(os.environ.get("AELAB_HOME"), os.environ.get("AELAB_DATA"))


@lru_cache(maxsize=4)
def _open(path: str | None, data_root: str | None) -> Lab:
    return Lab.open(path, data_root)


def who() -> str:
    """Who owns what this visitor starts: the login's address, else the name given at the door, else the user of this machine."""
    if address := st.user.get("email"):
        return str(address)
    if access.guarded() and (name := access.name_in(st.context.cookies, lab().path)):
        return name
    return getpass.getuser()


def latest_stamp(run_id: str) -> str:
    """Name of the newest committed checkpoint of a run, '' where there is none: the key of what is computed from it."""
    folder = lab().run(run_id).path / "checkpoints"
    return max((path.parent.name for path in folder.glob("*/MANIFEST.json")), default="")


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
