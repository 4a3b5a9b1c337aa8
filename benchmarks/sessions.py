"""A crowd of browser sessions while a run trains: how long pages' scripts take, what the run loses, and what is left of it all.

    python -m benchmarks.sessions [--sessions 100] [--passers 500] [--seconds 600] [--arriving 60] [--thinking 60]
                                  [--runs 1000] [--keep LAB] [--write docs/benchmarks]

The trainer is pinned to the first processor; the dashboard and the sessions share the others. `--sessions` of them come
within `--arriving` seconds and stay: half of them watch the run that trains, the others open a page every `--thinking` seconds.
`--passers` come one after the other, open a page and close it; every 25th of them is hostile: it never reads what it asked for,
sends files that nobody asked for, or makes up ids. First the pinned run trains alone, then beside the crowd, then alone again;
then what the dashboard still holds is measured, the sessions that were left being forgotten after `FORGOTTEN` seconds. A lab of
1,000 runs takes a while to make: `--keep` keeps it.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import uvloop

from aecore.config import parse, with_values
from aecore.jobs import queue
from aecore.jobs.supervisor import ensure_supervisor, stop_supervisor
from aecore.runs import Lab, runs
from benchmarks.crowd import WATCHER, Pace, crowd, opened_once
from benchmarks.pages import fill
from benchmarks.table import save
from tests.browser import dashboard
from ui.leaving import EVERY

FORGOTTEN = 20
"""Seconds after which the dashboard forgets a session that was left; by default it is a quarter of an hour."""


def trained(lab: Lab, run: str, seconds: float) -> float:
    """Steps per second of a run over the next seconds, as its metrics tell."""
    first, begin = _step(lab, run), time.perf_counter()
    time.sleep(seconds)
    return (_step(lab, run) - first) / (time.perf_counter() - begin)


def _step(lab: Lab, run: str) -> int:
    step, *_ = lab.run(run).metrics()[0][-1]
    return step


def began(lab: Lab) -> str:
    """A run that trains until it is stopped, on the first processor."""
    config = parse({"name": "watched", "data": {"name": "digits"}, "training": {"epochs": 100_000, "device": "cpu"}})
    run = queue.submit(lab, with_values(config, {"model.backbone.kind": "dense"}), "benchmark")
    ensure_supervisor(lab)
    while not lab.run(run).metrics()[0] or runs(lab, [run])[0].state != "running":
        time.sleep(0.2)
    reference = queue.jobs(lab, run)[0].engine_ref
    assert reference is not None
    psutil.Process(int(reference.split(":")[2])).cpu_affinity([0])
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--passers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--arriving", type=float, default=60)
    parser.add_argument("--thinking", type=float, default=60)
    parser.add_argument("--alone", type=float, default=10, help="seconds of training alone, before and after")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="a folder for the lab, as `benchmarks.pages` makes it")
    parser.add_argument("--write", type=Path, help="folder for sessions.json and sessions.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lab = Lab.open(asked.keep or Path(place) / "lab")
        if not any((lab.path / "runs").iterdir()):
            fill(lab, asked.runs, asked.rows)
        (lab.path / "settings.json").write_text('{"warm": 0}')
        lab = Lab.open(lab.path)
        os.environ["AELAB_HOME"] = str(lab.path)  # whose tokens the sessions bring
        run = began(lab)
        try:
            found = measured(lab, run, asked)
            for line in found:
                print(line, flush=True)
            if asked.write:
                title = f"{asked.sessions} sessions that stay, {asked.passers} that come and go, {asked.runs:,} runs in the lab"
                save(asked.write, "sessions", title, {"": found}, [])
        finally:
            queue.stop(lab, run, "benchmark")
            while queue.live(lab):
                time.sleep(0.2)
            stop_supervisor(lab)


class Size(NamedTuple):
    """What the dashboard's process holds."""

    memory: int
    files: int

    @classmethod
    def of(cls, process: psutil.Process) -> "Size":
        return cls(process.memory_info().rss, process.num_fds())


@contextmanager
def watched(process: psutil.Process) -> Iterator[list[Size]]:
    """The sizes of a process, a second apart, while something is done."""
    sizes, over = [Size.of(process)], threading.Event()

    def look() -> None:
        while not over.wait(1):
            sizes.append(Size.of(process))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes
    finally:
        over.set()
        thread.join()


def measured(lab: Lab, run: str, asked: argparse.Namespace) -> list[dict[str, Any]]:
    others = sorted(set(os.sched_getaffinity(0)) - {0})
    os.sched_setaffinity(0, others)  # the dashboard inherits it
    time.sleep(3)
    before = trained(lab, run, asked.alone)
    with dashboard(lab.path, STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL=str(FORGOTTEN)) as address:
        server = next(p for p in psutil.Process().children() if "streamlit" in " ".join(p.cmdline()))
        for _ in range(2):
            uvloop.run(opened_once(address))
        empty, first, begin = Size.of(server), _step(lab, run), time.perf_counter()
        with watched(server) as sizes:
            pace = Pace(asked.seconds, asked.arriving, asked.thinking)
            all_of_them = uvloop.run(crowd(address, run, asked.sessions, asked.passers, pace))
        seen = [one for one in all_of_them if one is not None]
        beside = (_step(lab, run) - first) / (time.perf_counter() - begin)
        time.sleep(FORGOTTEN + EVERY + 5)  # what the last of them held is given back then
        left, load = Size.of(server), sum(server.cpu_times()[:2])
    after = trained(lab, run, asked.alone)
    scripts = sorted(took for one in seen for took in one.scripts)
    polls = sorted(took for one in seen for took in one.polls)
    late = lambda values: values[int(0.95 * len(values))]
    speed = statistics.mean([before, after])
    watchers = len(range(0, asked.sessions, WATCHER))
    unasked = sum(one.unasked for one in seen) / watchers
    peak = max(size.memory for size in sizes) / 1e6

    def line(what: str, measured: float, hold: float | None, n: int) -> dict[str, Any]:
        return {"what": what, "measured": measured, "hold": hold, "n": n}

    return [
        line("script run p95, s", late(scripts), 2.0, len(scripts)),
        line("script run p50, s", scripts[len(scripts) // 2], None, len(scripts)),
        line("visitors who never had an answer", len(all_of_them) - len(seen), 0.0, len(all_of_them)),
        line("poll of a live curve p95, s", late(polls), None, len(polls)),
        line("messages to watchers, each", unasked, None, watchers),
        line("training lost beside them, %", 100 * (1 - beside / speed), 10.0, 1),
        line("steps/s alone, before", before, None, 1),
        line("steps/s alone, after", after, None, 1),
        line("memory before, MB", empty.memory / 1e6, None, 1),
        line("memory at most, MB", peak, None, len(sizes)),
        line("memory left afterwards, % more", 100 * (left.memory / empty.memory - 1), 20.0, 1),
        line("open files before", empty.files, None, 1),
        line("open files at most", max(size.files for size in sizes), None, len(sizes)),
        line("open files left afterwards, more", left.files - empty.files, 0.0, 1),
        line("processor seconds of the dashboard", load, None, 1),
    ]


if __name__ == "__main__":
    main()
