"""What is fine on this machine and what is not, each in a line."""

import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from aecore import data
from aecore.config.lab import read_settings
from aecore.jobs.devices import devices, gpus
from aecore.jobs.holes import LOOKED_THROUGH, holes
from aecore.jobs.squeue import Slurm
from aecore.jobs.supervisor import running
from aecore.runs import Lab, LabError, database, runs
from aecore.runs.text import size
from aecore.runs.times import span

ROOM = 2 * 2**30
"""Bytes free on the disk under which it is called nearly full."""


SKEW = 60.0
"""Seconds that two clocks may differ."""


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    fine: bool | None
    """None: neither good nor bad."""
    text: str


def examine(lab_path: str | Path | None, data_root: str | Path | None, user: str | None = None) -> list[Check]:
    """Look at everything; nothing is started or changed, except that the lab's folder is made where there is none."""
    checks = [Check("python", True, platform.python_version()), *_packages(), *_holes(), _torch(), *_devices()]
    try:
        lab = Lab.open(lab_path, data_root).seen_by(user)
    except LabError as error:
        return [*checks, Check("lab", False, str(error))]
    return [*checks, *of_lab(lab), *_data(lab)]


def without_torch(lab: Lab) -> list[Check]:
    """Look at everything but what would have to import torch, for a page."""
    return [Check("python", True, platform.python_version()), *_packages("torch"), *_holes(), *_devices(), *of_lab(lab)]


def of_lab(lab: Lab) -> list[Check]:
    """What the lab itself stands on."""
    return [
        Check("lab", True, str(lab.path)),
        _settings(lab),
        _disk(lab),
        *(Check("data folder", False, sentence) for sentence in data.unfound(lab.data_roots)),
        *_sqlite(),
        *_database(lab),
        _supervisor(lab),
        *_slurm(lab),
    ]


def _packages(*others: str) -> Iterator[Check]:
    for name in (*others, "torchvision", "streamlit", "numpy", "SQLAlchemy", "safetensors"):
        try:
            yield Check(name, True, version(name))
        except PackageNotFoundError:
            yield Check(name, False, "not installed: “pip install -r requirements.txt”")


def _holes() -> Iterator[Check]:
    for hole, here in holes():
        yield Check(hole.package, False, f"{here} has a known hole: {hole.what}. Use {hole.mended_in} or newer.")
    yield Check("known holes", True, f"the list of {LOOKED_THROUGH} was looked through")


def _torch() -> Check:
    try:
        import torch

        from aecore.training.engines import loops
    except Exception as error:  # a broken installation fails in many ways
        return Check("torch", False, f"cannot be imported: {error}")
    seen, cards = torch.cuda.device_count(), len(gpus())
    compiled = "with" if loops.library() else "without"
    text = f"{torch.__version__}, {torch.get_num_threads()} threads, {compiled} compiled loops, {seen} CUDA GPUs"
    return Check(
        "torch", seen >= cards, text if seen >= cards else f"{text}, but the driver has {cards}: a build for the CPU?"
    )


def _devices() -> Iterator[Check]:
    for device in devices():
        used = f"{size(device.memory_used)} of {size(device.memory_total)} used"
        load = "" if device.load is None else f", {device.load:.0%} busy"
        yield Check(device.kind, True, f"{device.name}: {used}{load}")


def _disk(lab: Lab) -> Check:
    usage = shutil.disk_usage(lab.path)
    text = f"{size(usage.free)} of {size(usage.total)} free"
    return Check("disk", usage.free > ROOM, text if usage.free > ROOM else f"{text}: checkpoints may not fit")


def _database(lab: Lab) -> Iterator[Check]:
    """What it says of itself, and the clock that wrote it."""
    try:
        yield _rows(lab)
        yield _clock(lab)
    except DBAPIError as error:
        cure = f" {DAMAGED}" * (lab.engine.dialect.name == "sqlite")
        yield Check("database", False, f"{database.name(lab.engine)} cannot be read: {error.orig}.{cure}")


DAMAGED = "Every run's folder holds its rows: stop the lab and put the file aside, and they come back from there."


def _rows(lab: Lab) -> Check:
    name, said = database.name(lab.engine), ""
    if lab.engine.dialect.name == "sqlite":
        with database.reading(lab.engine) as connection:
            said = str(connection.execute(text("PRAGMA quick_check(1)")).scalar_one())
        if said != "ok":
            return Check("database", False, f"{name} is damaged: {said}. {DAMAGED}")
    count = len(runs(lab))
    rows = f"{count} run{'s' * (count != 1)}, {database.version(lab.engine)}"
    return Check("database", True, f"{said}, {rows}" if said else f"{rows} at {name}")


def _sqlite() -> Iterator[Check]:
    """Releases with the fix of the bug that could damage a database with several writers."""
    found = database.sqlite.sqlite_version_info
    if (
        found >= (3, 51, 3)
        or (found[:2] == (3, 50) and found >= (3, 50, 7))
        or (found[:2] == (3, 44) and found >= (3, 44, 6))
    ):
        return
    yield Check(
        "SQLite",
        False,
        f"{database.sqlite.sqlite_version} is older than 3.51.3, which mends a rare fault that damages a database when several "
        "processes write: “pip install pysqlite3” where there is a wheel for this machine, or a newer system.",
    )


def _settings(lab: Lab) -> Check:
    try:
        read_settings(lab.path / "settings.json")
    except (OSError, ValueError) as error:
        return Check("settings", False, f"{error} What was read of it before still holds.")
    return Check("settings", True, "can be read")


def _clock(lab: Lab) -> Check:
    """Against the clock of the disk that the lab is on, and the newest that was written here."""
    probe = lab.path / "locks" / f"clock-{os.getpid()}"
    try:
        probe.touch()
        ahead = probe.stat().st_mtime - time.time()
        probe.unlink()
    except OSError as error:
        return Check(
            "writing", False, f"{lab.path} cannot be written: {error.strerror}. Nothing can be queued or changed."
        )
    with database.reading(lab.engine) as connection:
        newest = connection.execute(select(func.max(database.events.c.at))).scalar_one() or 0.0
    if newest - time.time() > SKEW:
        text = f"the newest event was written {span(newest - time.time())} in the future: the clock was set back"
    elif abs(ahead) > SKEW:
        text = f"the lab's disk is {span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} this machine"
    else:
        return Check("clock", True, "agrees with the lab's disk and the newest event")
    return Check("clock", False, f"{text}; times and orders in lists may be wrong.")


def _supervisor(lab: Lab) -> Check:
    pid = running(lab)
    return Check(
        "supervisor",
        None if pid is None else True,
        "not running; it starts with the next run" if pid is None else f"process {pid}",
    )


def _slurm(lab: Lab) -> Iterator[Check]:
    """Whether runs can be handed to the cluster, where that starts them."""
    if lab.settings.executor != "slurm":
        return
    if missing := [name for name in ("sbatch", "squeue", "scancel", "scontrol") if shutil.which(name) is None]:
        yield Check("Slurm", False, f"{', '.join(missing)}: not on the PATH, so that no run can start")
        return
    slurm = Slurm(lab.settings.slurm, "doctor")
    version = slurm.call("sbatch", "--version")
    fine = version is not None and slurm.look([0], 0) is not None
    yield Check(
        "Slurm", fine, version.stdout.strip() if version and fine else "does not answer: runs wait until it does"
    )


def _data(lab: Lab) -> Iterator[Check]:
    here = [d.name for d in data.DATASETS.values() if d.kind != "folder" and d.present(lab.data_roots)]
    missing = [
        f"{d.name} ({d.megabytes:.0f} MB)" for d in data.DATASETS.values() if d.kind != "folder" and d.name not in here
    ]
    yield Check("data sets here", True, ", ".join(here))
    yield Check("to download", None, ", ".join(missing) or "nothing")
