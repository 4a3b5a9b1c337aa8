"""Scripts of pages one after the other: as many as are allowed, in their order, and nobody waits for ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Semaphore, Thread

import pytest

from ui import in_turn


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "_turns", Semaphore(in_turn.AT_ONCE))
    monkeypatch.setattr(in_turn, "PATIENCE", 60)


class Visitor:
    """A script on a thread of its own, which works until it is told to end."""

    def __init__(self, began: list["Visitor"]) -> None:
        self.end, self.began, self.works = Event(), began, Event()
        self.thread = Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        with in_turn.in_turn():
            self.began.append(self)
            self.works.set()
            assert self.end.wait(60)

    def leave(self) -> None:
        self.end.set()
        self.thread.join(60)


@contextmanager
def crowd(count: int, began: list[Visitor]) -> Iterator[list[Visitor]]:
    """Visitors who come in this order; each waits for a turn before the next one comes."""
    waiting = in_turn._turns._cond._waiters  # type: ignore[attr-defined]
    come: list[Visitor] = []
    for place in range(count):
        come.append(Visitor(began))
        while not come[-1].works.is_set() and len(waiting) <= place - in_turn.AT_ONCE:
            come[-1].works.wait(0.001)
    yield come
    for one in come:
        one.leave()


def test_two_work_at_once_and_the_others_come_in_their_order() -> None:
    began: list[Visitor] = []
    with crowd(5, began) as come:
        assert began == come[:2]
        for place in range(3):
            come[place].leave()
            assert come[place + 2].works.wait(60)
        assert began == come


def test_one_who_stands_still_holds_nobody_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "PATIENCE", 0.01)
    began: list[Visitor] = []
    stuck = [Visitor(began) for _ in range(in_turn.AT_ONCE)]
    assert all(one.works.wait(60) for one in stuck)
    later = Visitor(began)
    assert later.works.wait(60)
    for one in (later, *stuck):
        one.leave()
    free = [in_turn._turns.acquire(blocking=False) for _ in range(in_turn.AT_ONCE + 1)]
    assert free == [True] * in_turn.AT_ONCE + [False], "who had no turn gave none back"


def test_an_error_gives_the_turn_back() -> None:
    for _ in range(in_turn.AT_ONCE + 1):
        with pytest.raises(RuntimeError), in_turn.in_turn():
            raise RuntimeError("a page broke")
