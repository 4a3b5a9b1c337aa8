"""What is fine on this machine and what is not, each in a line."""

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from aecore import data
from aecore.jobs.devices import devices, gpus
from aecore.jobs.supervisor import running
from aecore.runs import Lab, LabError, database, runs

ROOM = 2 * 2**30
"""Bytes free on the disk under which it is called nearly full."""


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    fine: bool | None
    """None: neither good nor bad."""
    text: str


def examine(lab_path: str | Path | None, data_root: str | Path | None, user: str | None = None) -> list[Check]:
    """Look at everything; nothing is started or changed, except that the lab's folder is made where there is none."""
    checks = [Check("python", True, platform.python_version()), *_packages(), _torch(), *_devices()]
    try:
        lab = Lab.open(lab_path, data_root).seen_by(user)
    except LabError as error:
        return [*checks, Check("lab", False, str(error))]
    return [
        *checks,
        Check("lab", True, str(lab.path)),
        _disk(lab),
        *_sqlite(),
        _database(lab),
        _supervisor(lab),
        *_data(lab),
    ]


def _packages() -> Iterator[Check]:
    for name in ("torchvision", "streamlit", "numpy", "SQLAlchemy", "safetensors"):
        try:
            yield Check(name, True, version(name))
        except PackageNotFoundError:
            yield Check(name, False, "not installed: `pip install -r requirements.txt`")


def _torch() -> Check:
    try:
        import torch
    except Exception as error:  # a broken installation fails in many ways
        return Check("torch", False, f"cannot be imported: {error}")
    seen, cards = torch.cuda.device_count(), len(gpus())
    text = f"{torch.__version__}, {torch.get_num_threads()} threads, {seen} CUDA GPUs"
    return Check(
        "torch", seen >= cards, text if seen >= cards else f"{text}, but the driver has {cards}: a build for the CPU?"
    )


def _devices() -> Iterator[Check]:
    for device in devices():
        used, total = device.memory_used / 2**30, device.memory_total / 2**30
        load = "" if device.load is None else f", {device.load:.0%} busy"
        yield Check(device.kind, True, f"{device.name}: {used:.1f} of {total:.1f} GiB used{load}")


def _disk(lab: Lab) -> Check:
    usage = shutil.disk_usage(lab.path)
    text = f"{usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB free"
    return Check("disk", usage.free > ROOM, text if usage.free > ROOM else f"{text}: checkpoints may not fit")


def _database(lab: Lab) -> Check:
    rows, version_ = f"{len(runs(lab))} runs", database.version(lab.engine)
    if lab.engine.dialect.name == "postgresql":
        return Check("database", True, f"{rows}, {version_} at {database.name(lab.engine)}")
    with database.reading(lab.engine) as connection:
        answer = str(connection.execute(text("PRAGMA quick_check")).scalar_one())
    return Check("database", answer == "ok", f"{answer}, {rows}, {version_}")


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
        None,
        f"{database.sqlite.sqlite_version} is older than 3.51.3, which mends a rare fault that damages a database when several "
        "processes write: `pip install pysqlite3` where there is a wheel for this machine, or a newer system.",
    )


def _supervisor(lab: Lab) -> Check:
    pid = running(lab)
    return Check(
        "supervisor",
        None if pid is None else True,
        "not running; it starts with the next run" if pid is None else f"process {pid}",
    )


def _data(lab: Lab) -> Iterator[Check]:
    here = [d.name for d in data.DATASETS.values() if d.kind != "folder" and d.present(lab.data_roots)]
    missing = [
        f"{d.name} ({d.megabytes:.0f} MB)" for d in data.DATASETS.values() if d.kind != "folder" and d.name not in here
    ]
    yield Check("data sets here", True, ", ".join(here))
    yield Check("to download", None, ", ".join(missing) or "nothing")
