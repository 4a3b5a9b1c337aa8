"""Visitors of a dashboard, as a benchmark sends them: those who stay and read or watch, those who pass, and hostile ones.

A session is a websocket client that speaks Streamlit's protocol and polls the routes as the components do.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, FormData, WSMsgType
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from ui import tickets

EVERY = 0.5
"""Seconds between polls of a component that follows a run."""
WATCHER, HOSTILE = 2, 25
"""Of those who stay every second one watches the run that trains; of those who pass every 25th is hostile."""
GRACE = 10
"""Seconds after the end in which everybody is let go of."""
SHORT = 256
"""Bytes: the message that a script has ended is shorter, so that longer ones need not be read to know what they are."""
PAGES = ("train", "runs", "compare", "latent", "")


class Pace(NamedTuple):
    """How fast people come and read, in seconds."""

    all_of_it: float
    arriving: float
    """In which those who stay arrive; those who pass come evenly in the time that is left."""
    thinking: float
    """Between two pages of somebody who reads."""


class Session(NamedTuple):
    """What one session saw."""

    scripts: list[float]
    """Seconds from asking for a run of the script to its end."""
    unasked: int
    """Messages that came later without being asked for."""
    polls: list[float]


def visitor() -> ClientSession:
    return ClientSession(timeout=ClientTimeout(60))


def connected(web: ClientSession, address: str) -> Any:
    """A socket as a page has it."""
    return web.ws_connect(f"{address}/_stcore/stream", protocols=["streamlit"], max_msg_size=0)


async def session(address: str, run: str, watches: bool, end: float, thinking: float) -> Session:
    """One that stays until the end."""
    chance, seen = random.Random(id(asyncio.current_task())), Session([], 0, [])
    async with visitor() as web, connected(web, address) as stream:
        page = "runs" if watches else chance.choice(PAGES)
        seen.scripts.append(await script(stream, page, f"run={run}" if watches else ""))
        if watches:
            return await watch(stream, web, address, run, end, seen)
        while time.perf_counter() + (pause := thinking * chance.uniform(0.5, 1.5)) < end:
            await rest(stream, pause)
            await ask(web, f"{address}/api/notices", "notices")
            seen.scripts.append(await script(stream, chance.choice(PAGES), ""))
        await rest(stream, end - time.perf_counter())
    return seen


async def passer(address: str, place: int) -> Session:
    """One that opens a page and closes it."""
    async with visitor() as web, connected(web, address) as stream:
        return Session([await script(stream, PAGES[place % len(PAGES)], "")], 0, [])


async def slow_reader(address: str, end: float) -> None:
    """Asks for the largest pages again and again, and reads nothing."""
    with suppress(
        ClientError, OSError
    ):  # the dashboard may well close it; and who does not read does not hear that it is over
        async with visitor() as web, asyncio.timeout(end - time.perf_counter()), connected(web, address) as stream:
            while True:
                await stream.send_bytes(asks("runs", ""))
                await asyncio.sleep(2)


async def uploader(address: str, end: float) -> None:
    """Sends files to sessions that are not there."""
    async with visitor() as web:
        for number in range(5):
            form = FormData()
            form.add_field("file", bytes(5_000_000), filename="a.png")
            async with web.put(f"{address}/_stcore/upload_file/invented-{number}/{number}", data=form) as answer:
                assert answer.status in (400, 403, 404), answer.status


async def liar(address: str, end: float) -> None:
    """Makes up ids: of runs, of media, of pages, of fragments and widgets; and sends what is no message at all."""
    invented = (
        "api/metrics?run=../../etc/passwd",
        "api/points/none?split=test",
        "api/sample/none/1.png",
        "media/none.png",
    )
    message = BackMsg()
    message.rerun_script.page_script_hash, message.rerun_script.fragment_id = "f" * 32, "none"
    message.rerun_script.widget_states.widgets.add(id="none", string_value="x" * 100_000)
    async with visitor() as web:
        for path in invented:
            async with web.get(f"{address}/{path}") as answer:
                assert 400 <= answer.status < 500, (path, answer.status)
        for content in (message.SerializeToString(), bytes(1000), b"\xff" * 1000):
            with suppress(ClientError, OSError):
                async with connected(web, address) as stream:
                    await stream.send_bytes(content)
                    await stream.receive(5)


ENEMIES: tuple[Callable[[str, float], Awaitable[None]], ...] = (slow_reader, uploader, liar)


async def script(stream: ClientWebSocketResponse, page: str, query: str) -> float:
    """Ask for a run of a page's script, and wait for its end."""
    begin = time.perf_counter()
    await stream.send_bytes(asks(page, query))
    async for received in stream:
        if len(received.data) > SHORT:
            continue
        answer = ForwardMsg()
        answer.ParseFromString(received.data)
        if (
            answer.WhichOneof("type") == "script_finished"
            and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        ):
            return time.perf_counter() - begin
    raise ConnectionError("the dashboard closed the session")


async def rest(stream: ClientWebSocketResponse, seconds: float) -> int:
    """Ask for nothing, but answer what keeps the socket open; how many messages came all the same."""
    came = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # a limit of `receive` itself begins anew with each ping
            while True:
                if (await stream.receive()).type is not WSMsgType.BINARY:
                    raise ConnectionError("the dashboard closed the session")
                came += 1
    return came


def asks(page: str, query: str) -> bytes:
    """The message that asks for a run of a page's script."""
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.query_string = query
    return message.SerializeToString()


async def ask(web: ClientSession, address: str, named: str, **query: str | int) -> Any:
    """What a route answers, as a browser asks: once more where the dashboard has just closed a connection that was idle."""
    query["token"] = tickets.own(named)
    try:
        async with web.get(address, params=query) as answer:
            return await answer.json()
    except (ClientError, OSError):
        async with web.get(address, params=query) as answer:
            return await answer.json()


async def watch(
    stream: ClientWebSocketResponse, web: ClientSession, address: str, run: str, end: float, seen: Session
) -> Session:
    """Poll as the components of a run's page do, and count what comes through the socket meanwhile."""
    unasked, place, number, pictures = 0, 0, 0, 0.0
    await rest(stream, EVERY)  # what Streamlit says behind the end of a script
    while time.perf_counter() < end:
        begin = time.perf_counter()
        place = (await ask(web, f"{address}/api/metrics", run, run=run, after=place))["next"]
        seen.polls.append(time.perf_counter() - begin)
        if begin >= pictures:
            taken = (await ask(web, f"{address}/api/samples", run, run=run))["samples"]
            pictures = begin + min(2.0, max(EVERY, (taken[-1][2] - taken[-2][2]) / 2 if len(taken) > 1 else 0))
        if number % 4 == 0:
            await ask(web, f"{address}/api/pulse/{run}", run)
            await ask(web, f"{address}/api/pulse", "pulse")
        if number % 20 == 0:
            await ask(web, f"{address}/api/notices", "notices")
        number += 1
        unasked += await rest(stream, EVERY - (time.perf_counter() - begin))
    return seen._replace(unasked=unasked)


async def crowd(address: str, run: str, staying: int, passing: int, pace: Pace) -> list[Session | None]:
    """All of them; None for one who still waited for an answer `GRACE` seconds after the end."""
    end = time.perf_counter() + pace.all_of_it

    async def stays(place: int) -> Session:
        await asyncio.sleep(pace.arriving * place / staying)
        return await session(address, run, place % WATCHER == 0, end, pace.thinking)

    async def passes(place: int) -> Session:
        await asyncio.sleep(pace.arriving + (pace.all_of_it - pace.arriving) * place / passing)
        if place % HOSTILE:
            return await passer(address, place)
        await ENEMIES[place // HOSTILE % len(ENEMIES)](address, end)
        return Session([], 0, [])

    async def bounded(visit: Awaitable[Session]) -> Session | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(end - time.perf_counter() + GRACE):
                return await visit
        return None

    return await asyncio.gather(*map(bounded, [*map(stays, range(staying)), *map(passes, range(passing))]))


async def opened_once(address: str, seconds: float = 10) -> None:
    """Every page for a while, so that what is imported and cached once is there: what lies below a map or a wall comes later."""

    async def stays(page: str) -> None:
        async with visitor() as web, connected(web, address) as stream:
            await script(stream, page, "")
            await rest(stream, seconds)

    await asyncio.gather(*map(stays, PAGES))
