"""Slots: how many jobs run at once, and on what. A slot is a lock file that the job's process inherits."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aecore.config import RunConfig
from aecore.config.lab import cores
from aecore.runs import Lab


class Slot(NamedTuple):
    """A place for one process."""

    name: str
    pool: str
    """'gpu', 'cpu' or 'side'."""
    lock: Path
    device: str
    """What CUDA_VISIBLE_DEVICES becomes: a GPU's UUID, or '' for none."""
    threads: int


def wish(config: RunConfig) -> str:
    """The places that a run may have: 'cpu', or 'auto', which is a GPU where there is one."""
    return "cpu" if config.training.device in ("cpu", "mps") else "auto"


def pool_of(wish: str, has_gpus: bool) -> str:
    """The pool that a job's wish ('auto', 'cpu' or 'side') means on this machine."""
    return wish if wish != "auto" else "gpu" if has_gpus else "cpu"


def slots(lab: Lab, uuids: Sequence[str]) -> list[Slot]:
    """All slots of a lab on a machine with these GPUs."""
    count = lab.settings.cpu_slots
    share = max(1, cores() // count)
    ours = lab.path / "locks"
    # A GPU is locked for all labs of this user on this machine: two of them must not share it unknowingly.
    everyone = Path(tempfile.gettempdir()) / f"aelab-{os.getuid()}"
    each = lab.settings.runs_per_gpu
    gpu_share = max(1, cores() // max(1, each * len(uuids)))
    # The first places of all GPUs come before the second ones: a run shares a GPU only when none is empty.
    shared = [(n, i, uuid) for n in range(each) for i, uuid in enumerate(uuids)]
    return [
        *(Slot(_name(i, n), "gpu", everyone / f"{uuid}{_suffix(n)}.lock", uuid, gpu_share) for n, i, uuid in shared),
        *(Slot(f"cpu-{i}", "cpu", ours / f"cpu-{i}.lock", "", share) for i in range(count)),
        *(Slot(f"side-{i}", "side", ours / f"side-{i}.lock", "", share) for i in range(lab.settings.side_slots)),
    ]


def _name(index: int, place: int) -> str:
    return f"gpu-{index}{_suffix(place)}"


def _suffix(place: int) -> str:
    return f"-{place + 1}" if place else ""
