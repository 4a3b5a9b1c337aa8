"""What many viewers ask for at the same moment is found once, and nobody sees more for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aecore.jobs import marks, owners, queue
from aecore.runs import Lab
from aecore.runs.rights import Person, Role
from tests.conftest import tiny
from ui import pulse, shared
from ui.api.tokens import QUICK, guarded
from ui.samples import RECORDED


def test_many_who_ask_at_once_wait_for_one_answer_and_another_question_waits_for_nobody() -> None:
    begun, go, asked = Event(), Event(), list[str]()

    @shared.once_in(3600)
    def slowly(what: str) -> str:
        asked.append(what)
        if what == "slow":
            begun.set()
            assert go.wait(60)
        return what.upper()

    with ThreadPoolExecutor(8) as crowd:
        answers = [crowd.submit(slowly, "slow") for _ in range(7)]
        assert begun.wait(60)
        assert crowd.submit(slowly, "other").result(60) == "OTHER"
        go.set()
        assert [answer.result(60) for answer in answers] == ["SLOW"] * 7
    assert asked == ["slow", "other"]


def test_a_question_that_failed_is_asked_again() -> None:
    asked = list[int]()

    @shared.once_in(3600)
    def fails_once() -> str:
        asked.append(1)
        if len(asked) == 1:
            raise ValueError("not yet")
        return "there"

    with pytest.raises(ValueError, match="not yet"):
        fails_once()
    assert fails_once() == fails_once() == "there"
    assert len(asked) == 2


def test_an_answer_is_forgotten_after_its_time() -> None:
    asked = list[int]()

    @shared.once_in(0.001)
    def count() -> int:
        asked.append(1)
        return len(asked)

    first = count()
    while count() == first:
        pass
    assert len(asked) == 2


def test_somebody_elses_private_run_does_not_change_what_one_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    private, public = queue.submit(lab, tiny(), "ada"), queue.submit(lab, tiny(), "ada")
    owners.hide(lab, [private], True, "ada")

    def told(name: str) -> str:
        shared.forget()
        monkeypatch.setattr(pulse, "lab", lambda: lab.seen_by(Person(name, Role.MEMBER)))
        return pulse.table_stamp_now()

    before = {name: told(name) for name in ("ada", "bea")}
    assert before["ada"] != before["bea"]
    marks.annotate(lab, private, "hers")
    assert told("bea") == before["bea"]
    assert told("ada") != before["ada"]
    marks.annotate(lab, public, "for all")
    assert told("bea") != before["bea"]


def test_on_the_event_loop_only_what_is_at_hand_is_told() -> None:
    asked = list[str]()

    @shared.once_in(3600)
    def find(what: str) -> str:
        asked.append(what)
        return what.upper()

    with shared.at_hand(), pytest.raises(shared.NotAtHandError):
        find("a")
    assert asked == []
    assert find("a") == "A"
    with shared.at_hand():
        assert find("a") == "A"
    shared.forget()
    assert find("a") == "A"
    assert asked == ["a", "a"]


def test_a_route_that_pages_ask_all_the_time_answers_by_a_thread_and_then_without(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    threads = list[int]()

    @shared.once_in(3600)
    def found(_run: str) -> str:
        threads.append(get_ident())
        return "found"

    def answer(request: Request) -> Response:
        return PlainTextResponse(found(request.path_params["run"]) + f" {get_ident() in threads}")

    endpoint = guarded(Route(QUICK[3], answer)).endpoint
    run = next(iter(RECORDED))  # what came with the program needs no token

    def asked() -> bytes:
        request = Request({"type": "http", "path_params": {"run": run}, "query_string": b"", "headers": []})
        return bytes(asyncio.run(endpoint(request)).body)

    assert asked() == b"found True", "by the thread that looked for it"
    assert asked() == b"found False"
    assert len(threads) == 1
