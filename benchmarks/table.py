"""A table of ratios: two things measured in turn in one process, round by round, with the machine that they were measured on."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One ratio: theirs over ours, so that more than 1 means that ours is faster."""

    what: str
    against: str
    ratio: float
    """Median over rounds of the two in the same round, by the clock."""
    low: float
    high: float
    """The quartiles."""
    work: float
    """The same of processor seconds, of all threads: what a busy machine disturbs less. Minimum over minimum."""
    ours: float
    theirs: float
    """Median seconds."""
    hold: float | None = None
    stretch: float | None = None


def timed(call: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    wall, work = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - work


def compare(ours: Callable[[], None], theirs: dict[str, Callable[[], None]], rounds: int) -> dict[str, dict[str, Any]]:
    """Ours and all the others in turn, `rounds` times after one that does not count."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("ours", *theirs)}
    for number in range(rounds + 1):
        for name, call in {"ours": ours, **theirs}.items():
            took = timed(call)
            if number:
                found[name].append(took)
    return {name: _against(found["ours"], found[name]) for name in theirs}


def _against(ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> dict[str, Any]:
    ratios = [b[0] / a[0] for a, b in zip(ours, theirs, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    return {
        "ratio": statistics.median(ratios),
        "low": low,
        "high": high,
        "work": min(b[1] for b in theirs) / min(a[1] for a in ours),
        "ours": statistics.median(a[0] for a in ours),
        "theirs": statistics.median(b[0] for b in theirs),
    }


def machine() -> dict[str, Any]:
    """Processor, GPU, versions, and how busy it was."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    return {
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{name: found for name in ("torch", "jax", "pythae") if (found := _version(name))},
        "load": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python", *sys.orig_argv[1:]]),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def save(folder: Path, name: str, title: str, tables: dict[str, list[dict[str, Any]]], notes: list[str]) -> None:
    """JSON and Markdown: each table under its heading, and what is missing in words."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "tables": tables, "notes": notes}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [f"# {title}", "", *(f"- {key}: {value}" for key, value in content["machine"].items() if value), ""]
    for heading, rows in tables.items():
        lines += [f"## {heading}", "", *markdown(rows), ""]
    lines += notes and ["## Missing", "", *(f"- {note}" for note in notes)]
    (folder / f"{name}.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """A table of equal rows; numbers with three digits."""
    if not rows:
        return ["Nothing was measured."]
    names = list(rows[0])
    body = ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names), *body]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value)
