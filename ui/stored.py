"""What pages read of a run's folder to compare it, kept in memory for all viewers."""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from aecore.runs import Inputs, LabError, SampleFile, files
from ui.comparison import Compared
from ui.lab import lab
from ui.moments import inputs_of, sample_of


def shown(run: Compared, name: str) -> dict[str, np.ndarray] | None:
    """What an analysis kept of a run; None before there is one, of an older analysis, or where it is damaged: a new one mends it."""
    try:
        written = (run.folder.path / "analysis" / f"{name}.npz").stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return _read(run.row.id, name, written)


@st.cache_resource(max_entries=128, show_spinner=False)
def _read(run_id: str, name: str, written: int) -> dict[str, np.ndarray] | None:
    with suppress(LabError):
        return lab().run(run_id).analysis(name)
    return None


def simple_figures(run: Compared) -> dict[str, dict[str, Any]]:
    """What an analysis measured of the model and of simple methods, by the column's name; {} before, and of an older analysis."""
    found: dict[str, dict[str, Any]] = told(run, "analysis/metrics.json").get("columns", {})
    return found


def told(run: Compared, name: str) -> dict[str, Any]:
    """What a JSON file of a run's folder says, to be read only; {} where there is none, or it is damaged."""
    folder = run.folder.path
    try:
        return _told(folder, name, (folder / name).stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=4096)
def _told(folder: Path, name: str, written: int) -> dict[str, Any]:
    with suppress(LabError):
        return files.told(folder, name) or {}
    return {}


def sample(run: Compared, epoch: int | None) -> SampleFile | None:
    """The newest sample up to the end of this epoch; None where there is none, or it is damaged."""
    steps = run.folder.sample_steps()
    last = _sample(run, steps[-1]) if steps else None
    if last is None or epoch is None or epoch >= last.epoch:
        return last
    end = epoch * last.step / last.epoch
    return _sample(run, max((step for step in steps if step <= end), default=steps[0]))


def _sample(run: Compared, step: int) -> SampleFile | None:
    with suppress(LabError):
        return sample_of(run.folder, step)
    return None


def inputs(run: Compared) -> Inputs | None:
    """The images that a run is watched on; None before it has begun, or where they are damaged."""
    with suppress(LabError):
        return inputs_of(run.folder)
    return None
