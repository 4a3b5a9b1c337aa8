"""Whose turn it is: exact orders on made-up queues, and what holds for any queue."""

import contextlib
import io
import json
import math
import random
from typing import Any, NamedTuple

import pytest
from sqlalchemy import insert

from aecore.__main__ import main
from aecore.jobs import queue, states, turns
from aecore.jobs.forecast import forecast, told
from aecore.jobs.turns import LEAST, Shares
from aecore.runs import Lab, database, shares
from aecore.runs.shares import HALF_LIFE, Spell, Used, added
from tests.conftest import tiny
from tests.test_forecast import NOW, measured
from ui.words import soon

HOUR = 3600.0


class Asked(NamedTuple):
    """A job, as far as its turn goes."""

    owner: str
    place: int
    priority: int = 0
    state: str = "queued"
    since: float | None = None
    slots: int = 1
    kind: str = "train"
    sweep: str | None = None
    at_once: int | None = None
    reason_code: str = ""


def asked(text: str, **values: Any) -> list[Asked]:
    """'aab': two jobs of a, then one of b."""
    return [Asked(owner, place, **values) for place, owner in enumerate(text)]


def order(waiting: list[Asked], live: list[Asked] = [], at_once: int | None = None, **hours: float) -> str:  # noqa: B006
    """Who starts, one letter each; `hours` is what each has used, just now."""
    used = {owner: Used(HOUR * spent, NOW) for owner, spent in hours.items()}
    return "".join(one.owner for one in turns.line(live, waiting, used, NOW, at_once).may)


def test_what_was_used_counts_half_a_day_later_and_a_quarter_after_two() -> None:
    counting = Shares({"ada": Used(HOUR, NOW)})
    assert [counting.of("ada", NOW + days * HALF_LIFE) for days in (0, 1, 2)] == [HOUR, HOUR / 2, HOUR / 4]
    assert counting.of("ada", NOW - 5) == HOUR  # a clock that was set back
    assert counting.of("bea", NOW) == 0


def test_a_run_of_a_whole_day_on_two_slots_counts_as_its_integral() -> None:
    counting = Shares({})
    counting.begin("ada", Spell(NOW, NOW + HALF_LIFE, 2))
    integral = 2 * HALF_LIFE / math.log(2) / 2  # of 2 ** (-t / HALF_LIFE) over one half life
    assert counting.of("ada", NOW + HALF_LIFE) == pytest.approx(integral, rel=1e-12)
    assert counting.of("ada", NOW + 3 * HALF_LIFE) == pytest.approx(integral / 4, rel=1e-12)


def test_what_runs_counts_from_its_start_and_for_ten_minutes_at_least() -> None:
    counting = Shares.now({}, [Asked("ada", 1, since=NOW - HOUR), Asked("bea", 2, since=NOW - 5)], NOW)
    assert counting.of("ada", NOW) == pytest.approx(HOUR, rel=0.02)
    assert counting.of("bea", NOW) == LEAST == 600
    short = Shares({})
    short.begin("ada", Spell(NOW, NOW + 5, 1))  # and once it has ended for what it took
    assert short.of("ada", NOW + 4) == LEAST
    assert short.of("ada", NOW + 5) == pytest.approx(5, rel=0.001)


def test_one_persons_runs_start_by_priority_and_then_as_they_came() -> None:
    jobs = [Asked("a", 3), Asked("a", 1), Asked("a", 9, priority=1), Asked("a", 2)]
    assert [one.place for one in turns.line([], jobs, {"a": Used(1e9, NOW)}, NOW, None).may] == [9, 1, 2, 3]


def test_what_lost_its_slot_goes_on_before_the_others_of_its_priority_whatever_its_owner_has_used() -> None:
    killed, paused = Asked("a", 5, reason_code="signal"), Asked("a", 4, reason_code="user")
    assert turns.line([], [*asked("bb"), paused, killed], {"a": Used(1e9, NOW)}, NOW, None).may[0] == killed
    urgent = Asked("b", 6, priority=1)
    found = turns.line([], [urgent, *asked("b"), killed], {"a": Used(1e9, NOW)}, NOW, None).may
    assert found == [urgent, killed, *asked("b")]


def test_where_nobody_has_used_more_the_first_come_first_and_slots_go_round() -> None:
    assert order(asked("abc")) == "abc"
    assert order(asked("aaab")) == "abaa"
    assert order(asked("aaabbbcc")) == "abcabcab"
    assert order(asked("cab", priority=3), a=1, b=1, c=1) == "cab"


def test_the_next_slot_goes_to_who_has_used_least() -> None:
    assert order(asked("aaab"), a=1) == "baaa"
    assert order(asked("aaabb"), a=5 / 60) == "babaa"  # b 0, a 5, b 10, a 15 minutes
    assert order(asked("aaa" + "b" * 9), a=1) == "bbbbbb" + "aba" + "bab"  # six times ten minutes are an hour
    assert order(asked("abc"), a=3, b=2, c=1) == "cba"


def test_what_runs_counts_too() -> None:
    assert order(asked("ab"), live=[Asked("a", -1, state="running", since=NOW - 1)]) == "ba"
    both = [Asked("a", -2, state="running", since=NOW - HOUR), Asked("b", -1, state="running", since=NOW - 1)]
    assert order(asked("aabb"), live=both) == "bbaa"
    wide = [Asked("a", -2, state="running", slots=4, since=NOW), Asked("b", -1, state="running", since=NOW)]
    assert order(asked("aabb"), live=wide) == "bbaa"


def test_priority_comes_before_what_was_used() -> None:
    assert order([Asked("a", 1, priority=1), Asked("b", 0)], a=100) == "ab"


def test_a_thousand_runs_of_one_do_not_stand_before_the_one_of_another() -> None:
    assert order(asked("a" * 1000 + "b"), live=[Asked("a", -1, state="running", since=NOW - 5)]).index("b") == 0


def test_an_idle_lab_gives_everything_to_one_person() -> None:
    live = [Asked("a", -1, state="running", since=NOW - HOUR)] * 7
    assert order(asked("a" * 50), live=live, a=1000) == "a" * 50


def test_a_person_has_no_more_at_once_than_the_lab_allows_and_others_go_on() -> None:
    live = [Asked("a", -1, state="running", since=NOW), Asked("a", -2, kind="analyse", state="running", since=NOW)]
    line = turns.line(live, asked("aabbb"), {}, NOW, 2)
    assert [one.owner for one in line.may] == ["b", "b", "a"]
    assert sorted((one.place, why) for one, why in line.held) == [
        (1, "a trains 2 at once, as many as a person may here"),
        (4, "b trains 2 at once, as many as a person may here"),
    ]
    assert order(asked("aaa", kind="analyse"), live=live, at_once=1) == "aaa"


def test_what_an_engine_has_already_keeps_its_place_under_a_limit() -> None:
    handed = [one._replace(state="starting") for one in asked("aa")]
    line = turns.line([], [*handed, Asked("a", 5)], {}, NOW, 2)
    assert (line.may, [one.place for one, _ in line.held]) == (handed, [5])


class Play:
    """Any queue in time: everybody always has two runs waiting, of random lengths; the rule decides who starts."""

    def __init__(self, seed: int):
        self.draw = random.Random(seed)
        self.slots, self.people = self.draw.randint(1, 3), "abcde"[: self.draw.randint(2, 5)]
        self.longest = self.draw.choice([60.0, HOUR, 5 * HOUR])
        self.used = {owner: Used(self.draw.uniform(0, self.longest), NOW) for owner in self.people}
        self.live: list[tuple[float, Asked]] = []
        self.now, self.places = NOW, iter(range(1_000_000))
        self.waiting = [Asked(owner, next(self.places)) for owner in self.people for _ in range(2)]
        self.began = {owner: [NOW] for owner in self.people}

    def step(self) -> None:
        """Fill the slots, then go on to the end of the run that ends first."""
        line = turns.line([one for _, one in self.live], self.waiting, self.used, self.now, None)
        for one in line.may[: self.slots - len(self.live)]:
            length = self.longest * self.draw.choice([1, self.draw.random(), 0.01])
            self.live.append((self.now + length, one._replace(state="running", since=self.now)))
            self.waiting.remove(one)
            self.waiting.append(Asked(one.owner, next(self.places)))
            self.began[one.owner].append(self.now)
        assert len(self.live) == self.slots, "a slot is free although somebody waits"
        ended = min(self.live)
        self.live.remove(ended)
        self.now, one = ended
        spell = Spell(one.since or 0, self.now, 1)
        self.used[one.owner] = added(self.used[one.owner], spell, self.now)


@pytest.mark.parametrize("seed", range(24))
def test_no_slot_stays_free_nobody_starves_and_nobody_gets_ahead(seed: int) -> None:
    play = Play(seed)
    most = max(play.longest, LEAST)
    for _ in range(300):
        play.step()
        counting = Shares.now(play.used, [one for _, one in play.live], play.now)
        counted = [counting.of(owner, play.now) for owner in play.people]
        # Who was chosen had the least; then at most all slots were theirs for one run each.
        assert max(counted) - min(counted) <= play.slots * most + most
    # While one waits, each of the others can catch up with them once, and end what they began.
    longest_wait = (len(play.people) - 1) * (play.slots + 2) * most / play.slots + most
    for began in play.began.values():
        gaps = [after - before for before, after in zip(began, [*began[1:], play.now], strict=True)]
        assert max(gaps) <= longest_wait


def test_time_is_measured_when_a_job_leaves_its_slots(either_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, clock = either_lab, [NOW]
    monkeypatch.setattr("time.time", lambda: clock[0])
    run = queue.submit(lab, tiny(training__processes=2), "ada")
    one = queue.jobs(lab, run)[0].id

    def state(new: str, after: float, by: str = "trainer") -> queue.Job:
        clock[0] += after
        if new == "running":
            assert states.claim(lab, one, "here")
        elif new == "beat":
            states.beat(lab, one, queue.job(lab, one).attempt)
        else:
            assert states.move(lab, one, new, by=by)
        return queue.job(lab, one)

    state("starting", 5, by="supervisor")
    assert state("running", 5).since == NOW + 10
    left = state("queued", 60)  # it was told to leave, and says so itself
    assert (left.since, left.busy) == (None, 60)
    state("starting", 1000, by="supervisor")
    state("running", 0)
    state("beat", 30)
    left = state("queued", 5000, by="supervisor")  # the machine was lost after its last sign of life
    assert (left.since, left.busy) == (None, 90)
    with database.reading(lab.engine) as connection:
        counted = Shares(shares.read(connection)).of("ada", clock[0])
    spells = (Spell(NOW + 10, NOW + 70, 2), Spell(NOW + 1070, NOW + 1100, 2))
    total = None
    for spell in spells:
        total = added(total, spell, clock[0])
    assert total is not None
    assert counted == pytest.approx(total.seconds, rel=1e-9)
    assert counted == pytest.approx(180, rel=0.05)


def used(lab: Lab, **hours: float) -> None:
    with database.writing(lab.engine) as connection:
        for owner, spent in hours.items():
            connection.execute(insert(database.used).values(owner=owner, seconds=HOUR * spent, at=NOW))


@pytest.fixture
def one_slot(lab: Lab) -> Lab:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))
    return Lab.open(lab.path)


def test_what_the_rule_did_is_said_of_each_run_and_agrees_with_the_forecast(one_slot: Lab) -> None:
    lab = one_slot
    measured(lab, 0.1)  # 660 s a run
    used(lab, ada=1)
    mine = [queue.submit(lab, tiny(), "ada") for _ in range(2)]
    theirs = [queue.submit(lab, tiny(), "bea") for _ in range(2)]
    found = forecast(lab, NOW)
    assert [*found] == [*theirs, *mine] == [job.run_id for job in queue.pending(lab)]
    assert [one.starts for one in found.values()] == [NOW, NOW + 660, NOW + 1320, NOW + 1980]
    assert [(one.others, one.rule) for one in found.values()] == [
        (0, "It goes before 2 runs that were queued earlier: bea has used less lately."),
        (0, "It goes before 2 runs that were queued earlier: bea has used less lately."),
        (2, "2 runs that were queued later go first: ada has used more lately."),
        (2, "2 runs that were queued later go first: ada has used more lately."),
    ]
    assert soon(found[mine[0]], NOW) == "in 22 min, after 2 of others"
    assert soon(found[theirs[0]], NOW) == "1st, next"
    lines = main_says(lab, "runs").splitlines()
    assert any(mine[0] in line and "3rd, 2 runs of others first" in line for line in lines)
    assert "2 runs of others first" in main_says(lab, "show", mine[1])
    assert "2 runs that were queued later go first: ada has used more lately." in main_says(lab, "show", mine[1])
    assert told(found[mine[0]], NOW).startswith(
        "3rd in the queue, 2 runs of others first, starts in about 22 min, ends at"
    )


def main_says(lab: Lab, *arguments: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([*arguments, "--lab", str(lab.path)]) == 0
    return out.getvalue()


def test_what_is_foretold_is_what_the_rule_will_do_when_the_time_has_come(one_slot: Lab) -> None:
    lab = one_slot
    measured(lab, 1)
    long = [queue.submit(lab, tiny(training__epochs=300), "ada") for _ in range(3)]  # 6,600 s
    short = [queue.submit(lab, tiny(training__epochs=30), "bea") for _ in range(4)]  # 660 s
    found = forecast(lab, NOW)
    # By numbers of runs they would take turns; but of the others' time all of bea's runs are less than one of ada's.
    assert [*found] == [long[0], *short, *long[1:]]
    assert found[long[1]].starts == NOW + 6600 + 4 * 660


@pytest.mark.parametrize("seed", range(4))
def test_the_forecast_is_what_happens_if_runs_take_what_they_are_expected_to(lab: Lab, seed: int) -> None:
    draw = random.Random(seed)
    slots = draw.randint(1, 3)
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": slots, "per_person": {"at_once": 2}}))
    lab = Lab.open(lab.path)
    measured(lab, 1)
    used(lab, a=draw.random(), b=draw.random())
    for owner in draw.choices("abc", k=9):
        queue.submit(lab, tiny(training__epochs=draw.randint(3, 300)), owner)
    found, hand = forecast(lab, NOW), queue.at_hand(lab)
    expected = {run_id: (one.starts or 0, one.ends or 0) for run_id, one in found.items()}
    assert happens(slots, hand, expected) == {run_id: starts for run_id, (starts, _) in expected.items()}


def happens(slots: int, hand: queue.Hand, expected: dict[str, tuple[float, float]]) -> dict[str, float]:
    """When each run starts if the supervisor looks whenever one has ended."""
    now, live, waiting, used = NOW, list[tuple[float, queue.Job]](), list(hand.waiting), dict(hand.used)
    began: dict[str, float] = {}
    while waiting:
        may = turns.line([one for _, one in live], waiting, used, now, 2).may
        for one in may[: slots - len(live)]:
            starts, ends = expected[one.run_id]
            began[one.run_id] = now
            live.append((now + ends - starts, one._replace(state="running", since=now)))
            waiting.remove(one)
        now, ended = min(live)
        live.remove((now, ended))
        used[ended.owner] = added(used.get(ended.owner), Spell(ended.since or 0, now, 1), now)
    return began
