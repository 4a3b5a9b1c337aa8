"""When waiting runs start and end: exact numbers on made-up labs. No process is started."""

import json
from typing import Any

import pytest
from sqlalchemy import event, insert, update

from aecore.jobs import queue
from aecore.jobs.devices import Device
from aecore.jobs.forecast import Forecast, forecast, told
from aecore.runs import Lab, database
from tests.conftest import tiny

NOW = 1_800_000_000.0
STEPS = 66
"""Of a tiny run."""


@pytest.fixture
def two_slots(lab: Lab) -> Lab:
    """A lab that trains two runs at once."""
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2}))
    return Lab.open(lab.path)


def job(lab: Lab, run_id: str, **values: Any) -> str:
    with database.writing(lab.engine) as connection:
        connection.execute(update(database.jobs).where(database.jobs.c.run_id == run_id).values(**values))
    return run_id


def waits(lab: Lab, **values: Any) -> str:
    return queue.submit(lab, tiny(**values), "ada")


def measured(lab: Lab, steps_per_second: float, **values: Any) -> str:
    """An earlier run with this speed."""
    return job(lab, waits(lab, **values), state="completed", steps_per_second=steps_per_second, total_steps=STEPS)


def runs_on(lab: Lab, step: int, steps_per_second: float | None, **values: Any) -> str:
    """A run in the middle of its steps, seen a second ago."""
    values = {"total_steps": STEPS, "heartbeat": NOW - 1} | values
    return job(lab, waits(lab), state="running", engine="local", step=step, steps_per_second=steps_per_second, **values)


def test_where_nothing_waits_nothing_is_foretold(two_slots: Lab) -> None:
    measured(two_slots, 11)
    runs_on(two_slots, 11, 11)
    assert forecast(two_slots, NOW) == {}


def test_a_run_starts_at_once_where_a_slot_is_free_and_takes_what_the_last_ones_took(two_slots: Lab) -> None:
    for speed in (1, 1, 10, 11, 12, 13, 99):
        measured(two_slots, speed)  # the median of the newest five counts
    run = waits(two_slots)
    why = "From the measured speed of 5 earlier runs of the same model."
    assert forecast(two_slots, NOW) == {run: Forecast(1, NOW, NOW + STEPS / 12, why)}


def test_the_queue_is_played_through_over_the_slots(two_slots: Lab) -> None:
    measured(two_slots, 10)  # with those that run the median is 10 steps/s: 6.6 s a run
    runs_on(two_slots, 36, 10)  # 30 steps are left: 3 s, of which one has passed
    runs_on(two_slots, 11, 11)  # 55 steps are left: 5 s, of which one has passed
    ids = [waits(two_slots) for _ in range(4)]
    found = forecast(two_slots, NOW)
    assert list(found) == ids
    assert [one.position for one in found.values()] == [1, 2, 3, 4]
    assert [one.starts and one.starts - NOW for one in found.values()] == pytest.approx([2, 4, 8.6, 10.6])
    assert [one.ends and one.ends - NOW for one in found.values()] == pytest.approx([8.6, 10.6, 15.2, 17.2])


def test_a_run_of_several_processes_waits_until_there_are_as_many_places(two_slots: Lab) -> None:
    measured(two_slots, 11)
    measured(two_slots, 22, training__processes=2)  # counts for the pair only
    runs_on(two_slots, 11, 11)  # 5 s are left, of which one has passed
    pair, alone, many = (waits(two_slots, training__processes=count) for count in (2, 1, 3))
    found = forecast(two_slots, NOW)
    assert (found[pair].starts, found[pair].ends) == (pytest.approx(NOW + 4), pytest.approx(NOW + 4 + 3))
    assert (found[alone].starts, found[alone].ends) == (pytest.approx(NOW + 7), pytest.approx(NOW + 7 + 6))
    assert found[many] == Forecast(3, None, None, "It asks for more places than this lab has.")


def test_a_cluster_decides_for_itself(lab: Lab) -> None:
    measured(lab, 11)
    run = waits(lab)
    (lab.path / "settings.json").write_text(json.dumps({"executor": "slurm"}))
    why = "The cluster's scheduler decides when it starts."
    assert forecast(Lab.open(lab.path), NOW) == {run: Forecast(1, None, None, why)}


def test_who_shares_a_gpu_may_have_to_wait_for_memory(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Device("GPU", "cuda", 0, 10**9, None, "GPU-1")
    monkeypatch.setattr("aecore.jobs.speeds.gpus", lambda: [card])
    run = waits(lab, training__device="auto")
    assert "memory" not in forecast(lab, NOW)[run].why
    (lab.path / "settings.json").write_text(json.dumps({"runs_per_gpu": 2}))
    shared = forecast(Lab.open(lab.path), NOW)[run].why
    assert shared.endswith("If its memory fits beside that of the runs on the same GPU.")


def test_priority_and_place_decide_who_is_first(two_slots: Lab) -> None:
    first, second, third = (waits(two_slots) for _ in range(3))
    job(two_slots, third, priority=1)
    job(two_slots, first, place=1000)
    assert list(forecast(two_slots, NOW)) == [third, second, first]


def test_a_kind_of_run_that_was_never_measured_has_no_end_and_nobody_behind_it_a_start(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))
    lab = Lab.open(lab.path)
    measured(lab, 11, data__name="patches")
    measured(lab, 11, model__backbone__kind="conv")
    first, second, third = (waits(lab) for _ in range(3))
    found = forecast(lab, NOW)
    assert found[first] == Forecast(1, NOW, None, "No run like it was measured yet.")
    assert found[second] == Forecast(
        2, None, None, f"It starts after {first}, of which nobody knows yet how long it takes."
    )
    assert (found[third].starts, found[third].ends) == (None, None)


def test_beside_a_run_that_nobody_knows_a_start_is_one_at_the_latest(two_slots: Lab) -> None:
    unknown = runs_on(two_slots, 0, None, total_steps=None)
    runs_on(two_slots, 36, 10)
    waits(two_slots)
    [found] = forecast(two_slots, NOW).values()
    assert (found.starts, found.ends) == (pytest.approx(NOW + 2), pytest.approx(NOW + 2 + STEPS / 10))
    job(two_slots, unknown, reason_code="disk_full", steps_per_second=10, total_steps=STEPS)
    [found] = forecast(two_slots, NOW).values()
    assert found.why.startswith(
        f"At the latest: nobody knows yet how long {unknown} takes. From the measured speed of "
    )


@pytest.mark.parametrize(
    ("earlier", "speed", "words"),
    [
        ({}, 8, "1 earlier run of the same model."),
        ({"training__seed": 7, "training__learning_rate": 0.1, "name": "other"}, 8, "1 earlier run of the same model."),
        (
            {"data__seed": 1},
            8,
            "1 earlier run with the same data set, kind of model, code size and batch size.",
        ),
        (
            {"model__bottleneck__latent_dim": 4, "training__batch_size": 128},
            16,
            "1 earlier run with the same data set and backbone, by their images per second.",
        ),
    ],
)
def test_the_most_similar_runs_are_what_a_speed_comes_from(
    lab: Lab, earlier: dict[str, Any], speed: float, words: str
) -> None:
    measured(lab, 1, model__bottleneck__latent_dim=3)
    measured(lab, 8, **earlier)
    run = waits(lab)
    found = forecast(lab, NOW)[run]
    least_alike = "images per second" in words
    expected = (speed + 1) / 2 if least_alike else speed  # there the other one counts as well
    assert found.ends == pytest.approx(NOW + STEPS / expected)
    assert (
        found.why
        == f"From the measured speed of {words.replace('1 earlier run', '2 earlier runs') if least_alike else words}"
    )


def test_a_run_that_goes_on_has_its_own_speed_and_only_the_rest_before_it(lab: Lab) -> None:
    measured(lab, 1)
    run = job(lab, waits(lab), step=44, total_steps=STEPS, steps_per_second=11)
    assert forecast(lab, NOW) == {run: Forecast(1, NOW, NOW + 2, "From its own speed until now.")}


def test_a_run_that_is_asked_to_leave_makes_room_at_once(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))
    lab = Lab.open(lab.path)
    runs_on(lab, 0, 0.001, want="pause")
    run = waits(lab)
    assert forecast(lab, NOW)[run].starts == NOW


def test_runs_in_the_foreground_hold_no_slot_and_do_not_wait(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))
    lab = Lab.open(lab.path)
    job(lab, runs_on(lab, 0, 1), engine="foreground")
    queue.submit(lab, tiny(), "ada", engine="foreground")
    run = waits(lab)
    assert {one: found.position for one, found in forecast(lab, NOW).items()} == {run: 1}
    assert forecast(lab, NOW)[run].starts == NOW


def test_more_runs_than_slots_leave_one_after_the_other(lab: Lab) -> None:
    runs_on(lab, 56, 10)
    runs_on(lab, 36, 10)
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))  # there were two when they began
    run = waits(lab)
    assert forecast(Lab.open(lab.path), NOW)[run].starts == pytest.approx(NOW + 2)


def test_a_run_whose_classes_or_configuration_nobody_has_counted_says_so(lab: Lab) -> None:
    measured(lab, 11)
    counted = waits(lab, training__classes=["1", "2"])
    assert forecast(lab, NOW)[counted].why == "The images of its classes are counted when it starts."
    lost = waits(lab)
    (lab.runs_folder / lost / "config.json").unlink()
    assert forecast(lab, NOW)[lost].why == "Its configuration or its images cannot be read."


def test_a_thousand_runs_are_looked_through_in_three_queries(lab: Lab) -> None:
    ids = [measured(lab, 11, model__bottleneck__latent_dim=size) for size in range(2, 6)]
    with database.writing(lab.engine) as connection:
        columns = [c for c in database.runs.c if c.name not in ("seq", "id", "job_id", "submission")]
        [row] = connection.execute(database.runs.select().where(database.runs.c.id == ids[0])).mappings()
        same = {c.name: row[c.name] for c in columns}
        rows = [same | {"id": f"old-{n}", "seq": 1000 + n, "job_id": 1000 + n} for n in range(1000)]
        connection.execute(insert(database.runs), rows)
        done = {"kind": "train", "owner": "ada", "state": "completed", "created": 0.0, "steps_per_second": 22.0}
        connection.execute(insert(database.jobs), [done | {"id": 1000 + n, "run_id": f"old-{n}"} for n in range(1000)])
    waiting = [waits(lab) for _ in range(20)]
    statements: list[str] = []
    event.listen(lab.engine, "before_cursor_execute", lambda *what: statements.append(what[2]))
    found = forecast(lab)
    assert list(found) == waiting
    assert sum(statement.startswith("SELECT") for statement in statements) == 3
    # Of the thousand no folder is left: the four that can be read are what counts.
    assert found[waiting[0]].ends is not None


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (Forecast(1, NOW, NOW + 66, ""), "1st in the queue, starts in a moment, ends at {66}"),
        (Forecast(2, NOW + 240, NOW + 600, ""), "2nd in the queue, starts in about 4 min, ends at {600}"),
        (Forecast(3, NOW + 7200, None, ""), "3rd in the queue, starts in about 2.0 h"),
        (Forecast(12, None, None, ""), "12th in the queue"),
        (Forecast(1, NOW, NOW + 3 * 86_400, ""), "1st in the queue, starts in a moment, ends on {259200}"),
    ],
)
def test_it_is_told_in_words(expected: Forecast, words: str) -> None:
    from aecore.runs.times import when

    moments = {str(seconds): when(NOW + seconds, NOW) for seconds in (66, 600, 259_200)}
    for seconds, moment in moments.items():
        words = words.replace(f"{{{seconds}}}", moment)
    assert told(expected, NOW) == words
