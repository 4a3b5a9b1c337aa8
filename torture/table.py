"""docs/RELIABILITY.md: a table of what was measured, from figures that are kept beside it."""

import json
import os
import platform
import time
from pathlib import Path
from typing import Any, NamedTuple

from aecore.runs import database
from torture.result import Result
from torture.world import ROOT


class Measure(NamedTuple):
    """One row before it is measured."""

    what: str
    rounds: int
    """Of the full version."""
    unit: str


MEASURES = {
    "kills": Measure("kill -9 of a trainer at a random moment", 200, "kills"),
    "syscalls": Measure(
        "every write-side system call of a checkpoint commit x {KILL, ENOSPC, EIO}", 1000, "points at most"
    ),
    "power": Measure("power loss: ext4 in a file, shutdown ioctl", 50, "rounds"),
    "servers": Measure("kill -9 of dashboard and supervisor with 2 running and 3 queued", 20, "rounds"),
    "claims": Measure("queued jobs claimed by 8 processes", 2000, "jobs"),
    "damage": Measure("bit flips and truncations in the newest checkpoint", 20, "places a file"),
    "leave": Measure("SIGTERM to a trainer at a random moment", 100, "signals"),
}
RECORD = ROOT / "docs" / "results" / "reliability.json"

HEAD = """# What survives what

Written by `python -m torture` (`make torture`) from what it measured; `make test` runs the same measures with a few rounds each.
Every row is reproduced by its command. Seconds are wall time on a machine that did other things too.

| what | rounds, seed | counts | held | seconds |
|---|---|---|---|---|
"""


def record(path: Path, name: str, rounds: int, seed: int, result: Result) -> None:
    """Keep the figures of one measure."""
    rows = read(path)
    rows[name] = {"rounds": rounds, "seed": seed, **result._asdict(), "when": time.strftime("%Y-%m-%d"), **versions()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Figures that were kept, by measure."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def versions() -> dict[str, str]:
    """Of what a figure depends on."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sqlite": database.sqlite.sqlite_version,
        "kernel": platform.release(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[2]:.0f}",  # of the last quarter of an hour: what else the machine did
    }


def write(path: Path = RECORD) -> None:
    """The table, beside the folder of the figures when these are the project's own; else beside the figures."""
    rows = read(path)
    place = path.parents[1] / "RELIABILITY.md" if path == RECORD else path.with_suffix(".md")
    body = "".join(_line(name, measure, rows.get(name)) for name, measure in MEASURES.items())
    notes = "".join(_note(name, rows[name]) for name in MEASURES if name in rows)
    place.write_text(f"{HEAD}{body}{notes}", encoding="utf-8")


def _line(name: str, measure: Measure, row: dict[str, Any] | None) -> str:
    if row is None:
        return f"| {measure.what} | | not measured | | |\n"
    counts = ", ".join(f"{value:,} {label}" for label, value in row["counts"].items())
    held = "yes" if row["held"] else "**no**"
    return f"| {measure.what} | {row['rounds']} {measure.unit}, seed {row['seed']} | {counts} | {held} | {row['seconds']:.0f} |\n"


def _note(name: str, row: dict[str, Any]) -> str:
    setting = ", ".join(f"{key} {row[key]}" for key in versions() if key in row)
    command = f"python -m torture {name} --rounds {row['rounds']} --seed {row['seed']}"
    return f"\n## {name}\n\n{row['sentence']}\n\n`{command}`, {row['when']}: {setting}.\n"
