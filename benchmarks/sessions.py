"""Many browser sessions while a run trains: how long pages' scripts take, what the run loses, memory of a session.

    python -m benchmarks.sessions [--sessions 50] [--seconds 30] [--runs 1000] [--keep LAB] [--write docs/benchmarks]

The trainer is pinned to the first processor; the dashboard and the sessions share the others. A session is a websocket client that
speaks Streamlit's protocol and polls the routes as the components do: half of them watch the run that trains, each of the others
opens a page every five seconds. First the pinned run trains alone, then beside the sessions, then alone again.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from aecore.config import parse, with_values
from aecore.jobs import queue
from aecore.jobs.supervisor import ensure_supervisor, stop_supervisor
from aecore.runs import Lab, runs
from benchmarks.pages import fill
from benchmarks.table import save
from tests.browser import dashboard

EVERY, THINKING = 0.5, 5.0
"""Seconds between polls of a component that follows a run, and between two pages of somebody who reads."""
PAGES = ("train", "runs", "compare", "")


class Session(NamedTuple):
    """What one session saw."""

    scripts: list[float]
    """Seconds from asking for a run of the script to its end."""
    unasked: int
    """Messages that came later without being asked for."""
    polls: list[float]


async def session(address: str, run: str, watches: bool, end: float) -> Session:
    chance, seen = random.Random(id(asyncio.current_task())), Session([], 0, [])
    socket = address.replace("http", "ws") + "/_stcore/stream"
    async with (
        websockets.connect(socket, max_size=None, subprotocols=["streamlit"]) as stream,
        httpx.AsyncClient() as web,
    ):  # type: ignore[list-item]
        page = "runs" if watches else chance.choice(PAGES)
        seen.scripts.append(await script(stream, page, f"run={run}" if watches else ""))
        if watches:
            return await watch(stream, web, address, run, end, seen)
        while time.perf_counter() < end:
            await asyncio.sleep(THINKING * chance.uniform(0.5, 1.5))
            seen.scripts.append(await script(stream, chance.choice(PAGES), ""))
    return seen


async def script(stream: Any, page: str, query: str) -> float:
    """Ask for a run of a page's script, and wait for its end."""
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.query_string = query
    begin = time.perf_counter()
    await stream.send(message.SerializeToString())
    async for received in stream:
        answer = ForwardMsg()
        answer.ParseFromString(received)
        if (
            answer.WhichOneof("type") == "script_finished"
            and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        ):
            return time.perf_counter() - begin
    raise ConnectionError("the dashboard closed the session")


async def watch(stream: Any, web: httpx.AsyncClient, address: str, run: str, end: float, seen: Session) -> Session:
    """Poll as the components of a run's page do, and count what comes through the socket meanwhile."""
    unasked, place, number = 0, "", 0
    while time.perf_counter() < end:
        begin = time.perf_counter()
        answer = await web.get(f"{address}/api/metrics", params={"run": run, "after": place})
        place = answer.json()["next"]
        seen.polls.append(time.perf_counter() - begin)
        await web.get(f"{address}/api/samples", params={"run": run})
        if number % 4 == 0:
            await web.get(f"{address}/api/pulse/{run}")
            await web.get(f"{address}/api/pulse")
        number += 1
        try:
            while True:
                await asyncio.wait_for(stream.recv(), max(0.001, EVERY - (time.perf_counter() - begin)))
                unasked += 1
        except TimeoutError:
            pass
    return seen._replace(unasked=unasked)


async def crowd(address: str, run: str, count: int, seconds: float) -> list[Session]:
    """All of them, arriving over five seconds."""
    end = time.perf_counter() + seconds

    async def one(place: int) -> Session:
        await asyncio.sleep(5 * place / count)
        return await session(address, run, place % 2 == 0, end)

    return await asyncio.gather(*(one(place) for place in range(count)))


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
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
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
        run = began(lab)
        try:
            found = measured(lab, run, asked.sessions, asked.seconds)
        finally:
            queue.stop(lab, run, "benchmark")
            while queue.live(lab):
                time.sleep(0.2)
            stop_supervisor(lab)
        for line in found:
            print(line)
        if asked.write:
            save(asked.write, "sessions", f"{asked.sessions} sessions, half of them watching", {"": found}, [])


def measured(lab: Lab, run: str, count: int, seconds: float) -> list[dict[str, Any]]:
    others = sorted(set(os.sched_getaffinity(0)) - {0})
    os.sched_setaffinity(0, others)  # the dashboard inherits it
    time.sleep(3)
    before = trained(lab, run, seconds / 2)
    with dashboard(lab.path) as address:
        server = next(p for p in psutil.Process().children() if "streamlit" in " ".join(p.cmdline()))
        asyncio.run(crowd(address, run, 1, 8))
        time.sleep(10)  # what is warmed in the background is there
        alone = server.memory_info().rss
        begin, first = time.perf_counter(), _step(lab, run)
        seen = asyncio.run(crowd(address, run, count, seconds))
        beside = (_step(lab, run) - first) / (time.perf_counter() - begin)
        memory = (server.memory_info().rss - alone) / (count - 1)
        load = sum(server.cpu_times()[:2])
    after = trained(lab, run, seconds / 2)
    scripts = sorted(took for one in seen for took in one.scripts)
    polls = sorted(took for one in seen for took in one.polls)
    late = lambda values: values[int(0.95 * len(values))]
    speed = statistics.mean([before, after])
    return [
        {"what": "script run p95, s", "measured": late(scripts), "hold": 2.0, "n": len(scripts)},
        {"what": "script run p50, s", "measured": scripts[len(scripts) // 2], "hold": None, "n": len(scripts)},
        {"what": "poll of a live curve p95, s", "measured": late(polls), "hold": None, "n": len(polls)},
        {
            "what": "messages to watchers, each",
            "measured": sum(o.unasked for o in seen) / count,
            "hold": 0.0,
            "n": count,
        },
        {"what": "steps/s alone (before, after)", "measured": before, "hold": after, "n": 2},
        {"what": "training lost beside them, %", "measured": 100 * (1 - beside / speed), "hold": 10.0, "n": 1},
        {"what": "memory of a session, MB", "measured": memory / 1e6, "hold": 5.0, "n": count - 1},
        {"what": "processor seconds of the dashboard", "measured": load, "hold": None, "n": 1},
    ]


if __name__ == "__main__":
    main()
