"""Somebody's share of the disk becomes full while their runs train: they save and wait, nothing is lost, and it is said."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from sqlalchemy import select

from aecore.jobs import local, queue, quota, states, supervisor, trash
from aecore.jobs.forecast import ROOM, forecast
from aecore.jobs.settings import change
from aecore.runs import Lab, database, events, run, usage
from aecore.runs.folder import RunFolder
from tests.conftest import tiny
from tests.test_care import Engine
from tests.test_quota import starts
from ui import words
from ui.queue import _progress

BIG = 3_000_000
"""Bytes of a run that ended earlier."""


@pytest.fixture
def limited(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab of two slots in which a person may take 5 MB, and that looks all the time."""
    monkeypatch.setattr(quota, "WEIGH", 0.0)
    monkeypatch.setattr(quota, "PART", math.inf)
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2, "warm": 0, "per_person": {"gigabytes": 0.005}}))
    lab.reread()
    return lab


def large(lab: Lab, owner: str, size: int = BIG) -> str:
    """A run that has ended and takes so many bytes."""
    run_id = queue.submit(lab, tiny(), owner)
    queue.stop(lab, run_id, owner)
    (lab.runs_folder / run_id / "weights").write_bytes(bytes(size))
    return run_id


def test_what_trains_is_asked_to_leave_once_and_nothing_starts_until_there_is_room(limited: Lab) -> None:
    lab, engine = limited, Engine(limited)
    here = supervisor.Supervisor(lab, engine)
    old, mine, hers = large(lab, "ada"), starts(lab, queue.submit(lab, tiny(), "ada")), large(lab, "bea")
    here.tick()
    assert engine.stopped == []
    (lab.runs_folder / mine.run_id / "grown").write_bytes(bytes(BIG))
    waiting, other = queue.submit(lab, tiny(), "bea"), queue.submit(lab, tiny(), "cyd")
    for _ in range(3):
        here.tick()
    taken = usage.measure(lab, old) + usage.measure(lab, mine.run_id)
    why = (
        f"he disk share of ada is full: their runs take {taken / 1e9:.3g} GB, and a person may take 0.005 GB here "
        "(per_person.gigabytes). It goes on when some are deleted."
    )
    assert engine.stopped == [(mine.run_id, False)]
    assert [event.reason for event in events(lab, mine.run_id)].count(f"T{why}") == 1
    assert queue.job(lab, mine.id).want == "run"  # nobody paused it: it comes back by itself
    assert set(engine.started) == {waiting, other}
    states.move(lab, mine.id, "queued", by="trainer", reason="It was told to leave.", reason_code="signal")
    for _ in range(2):
        here.tick()
    row = run(lab, mine.run_id)
    assert (row.shown, row.reason) == ("queued", f"Waits: t{why}")
    assert forecast(lab)[mine.run_id][:4] == (1, None, None, ROOM)
    assert words.needs_room(row)
    assert _progress(row, None) == "the owner's share of the disk is full, it waits"
    assert mine.run_id not in engine.started
    trash.delete(lab, old, "ada")
    here.tick()
    assert engine.started[2:] == [mine.run_id]
    assert not words.needs_room(run(lab, mine.run_id))
    assert run(lab, hers).state == "cancelled"


def test_a_larger_share_makes_room_too_and_an_owner_who_asked_hears_of_it(limited: Lab) -> None:
    lab, engine = limited, Engine(limited)
    here = supervisor.Supervisor(lab, engine)
    job = starts(lab, queue.submit(lab, tiny(), "ada", tell=True))
    (lab.runs_folder / job.run_id / "grown").write_bytes(bytes(2 * BIG))
    here.scale.look({"ada"}, {job.run_id})
    here._look_at(job, local.Status(gone=False))
    with database.reading(lab.engine) as connection:
        [untold] = connection.execute(select(database.runs.c.untold).where(database.runs.c.id == job.run_id)).scalars()
        news = connection.execute(database.events.select().where(database.events.c.id == untold)).one()
    assert (news.new, news.by) == ("running", "supervisor")
    assert news.reason.startswith("The disk share of ada is full")
    states.move(lab, job.id, "queued", by="trainer")
    here.tick()
    assert engine.started == []
    change(lab, {"per_person.gigabytes": 0.05}, "cyd")
    here.tick()
    assert engine.started == [job.run_id]


def test_a_little_over_the_share_is_let_be_so_that_nothing_leaves_and_comes_back_all_the_time(limited: Lab) -> None:
    scale = quota.Scale(limited)
    scale.taken = {"ada": 5_050_000, "bea": 5_200_000, "cyd": 4_999_999}
    assert [bool(scale.full(name)) for name in scale.taken] == [True, True, False]
    assert [bool(scale.full(name, quota.MARGIN)) for name in scale.taken] == [False, True, False]


def test_runs_that_ended_are_weighed_once(limited: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    scale, weighed = quota.Scale(limited), list[str]()
    old, live = large(limited, "ada", 1000), queue.submit(limited, tiny(), "ada")
    measure = usage.measure
    monkeypatch.setattr(usage, "measure", lambda lab, run_id: (weighed.append(run_id), measure(lab, run_id))[1])
    for _ in range(3):
        scale.look({"ada"}, {live})
    assert sorted(weighed) == sorted([old, live, live, live])
    scale.look({"ada"}, set())
    assert weighed[4:] == [live]  # what it wrote last
    scale.look({"ada"}, set())
    assert len(weighed) == 5


@contextmanager
def supervised(lab: Lab) -> Iterator[None]:
    """A supervisor of real trainers, in a thread of this process."""
    here, over = supervisor.Supervisor(lab, local.LocalExecutor(lab)), threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            here._tick()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        here.executor.close()


def until(lab: Lab, run_id: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < end, run(lab, run_id)
        time.sleep(0.05)


def steps(folder: RunFolder) -> list[int]:
    return [step for step, _, split, name, _ in folder.metrics()[0] if (split, name) == ("train", "loss")]


def test_a_real_run_saves_waits_and_goes_on_where_it_was(limited: Lab) -> None:
    lab = limited
    old, run_id = large(lab, "ada"), queue.submit(lab, tiny(training__epochs=100_000), "ada")
    with supervised(lab):
        until(lab, run_id, lambda: run(lab, run_id).step > 900)
        (lab.runs_folder / run_id / "grown").write_bytes(bytes(BIG))
        until(lab, run_id, lambda: words.needs_room(run(lab, run_id)))
        kept = run(lab, run_id).checkpoint_step
        assert kept is not None
        assert kept >= 900
        assert steps(lab.run(run_id))[-1] <= kept
        trash.delete(lab, old, "ada")
        until(lab, run_id, lambda: run(lab, run_id).step > kept + 900)
        queue.stop(lab, run_id, "ada")
        until(lab, run_id, lambda: run(lab, run_id).state == "cancelled")
    there = steps(lab.run(run_id))
    assert there == sorted(set(there))  # no step twice, none missing
    assert {after - before for before, after in pairwise(there)} == {there[1] - there[0]}
