"""What one person may have: refused in a sentence before anything is queued, held back, or stopped; by default anything goes."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from aecore.config import ConfigError
from aecore.config.lab import LabSettings, read_settings
from aecore.jobs import local, queue, states, steer, supervisor, sweep, trash
from aecore.jobs.forecast import forecast
from aecore.runs import Lab, LabError, database, run, runs, usage
from tests.conftest import tiny
from tests.test_forecast import NOW, measured


def with_limits(lab: Lab, **limits: Any) -> Lab:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1, "per_person": limits}))
    return Lab.open(lab.path)


def test_by_default_nothing_is_limited(lab: Lab) -> None:
    assert set(LabSettings().per_person.model_dump().values()) == {None}
    for _ in range(30):
        queue.submit(lab, tiny(), "ada")
    assert len(queue.pending(lab)) == 30


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"waiting": 0}, "per_person.waiting is 0, but must be at least 1."),
        ({"at_once": -1}, "per_person.at_once is -1, but must be at least 1."),
        ({"hours": 0}, "per_person.hours is 0, but must be greater than 0."),
        ({"gigabytes": "much"}, "per_person.gigabytes is 'much', but must be a number"),
        ({"running": 1}, "per_person.running is not a known field"),
    ],
)
def test_a_limit_that_is_none_is_refused_in_words(lab: Lab, wrong: dict[str, Any], sentence: str) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"per_person": wrong}))
    with pytest.raises(ConfigError, match="per_person") as refused:
        read_settings(lab.path / "settings.json")
    assert sentence in str(refused.value)


def test_who_has_as_many_waiting_as_they_may_is_told_so_and_others_are_not_concerned(either_lab: Lab) -> None:
    path = either_lab.path / "settings.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | {"per_person": {"waiting": 2}}))
    lab = Lab.open(either_lab.path)
    ids = [queue.submit(lab, tiny(), "ada", nonce="form") for _ in range(2)] + [queue.submit(lab, tiny(), "ada")]
    assert len(set(ids)) == 2
    with pytest.raises(LabError) as refused:
        queue.submit(lab, tiny(), "ada")
    assert str(refused.value) == (
        "ada has 2 runs waiting, and a person may have 2 here (per_person.waiting): wait until one starts, or stop one. "
        "Nothing was queued."
    )
    assert len(list(lab.runs_folder.iterdir())) == 2
    assert queue.submit(lab, tiny(), "ada", nonce="form") == ids[0]  # the same click once more is no new run
    queue.submit(lab, tiny(), "bea")
    queue.submit(lab, tiny(), "ada", engine="foreground")  # it waits for nobody
    steer.pause(lab, ids[0], "ada")
    third = queue.submit(lab, tiny(), "ada")
    with pytest.raises(LabError, match="ada has 2 runs waiting"):
        steer.resume(lab, ids[0], "bea")
    assert run(lab, ids[0]).state == "paused"
    queue.stop(lab, third, "ada")
    assert steer.resume(lab, ids[0], "ada") == "queued"
    lab.engine.dispose()


def test_a_sweep_that_is_too_many_is_refused_whole_and_one_that_was_cut_short_is_completed(lab: Lab) -> None:
    lab = with_limits(lab, waiting=4)
    five = sweep.plan(tiny(), {"training.seed": "1,2,3,4,5"})
    with pytest.raises(
        LabError,
        match=r"ada has 0 runs waiting, and a person may have 4 .*: make the sweep smaller\. With these 5 there",
    ):
        sweep.submit(lab, five, "ada")
    assert runs(lab) == []
    name, ids = sweep.submit(lab, five[:4], "ada", nonce="form")
    assert sweep.submit(lab, five[:4], "ada", nonce="form") == (name, ids)
    trash.delete(lab, ids[2], "ada")
    again, more = sweep.submit(lab, five[:4], "ada", nonce="form")
    assert (again, [one for one in more if one not in ids]) == (name, [more[2]])


def test_a_full_share_of_the_disk_is_said_and_deleting_helps(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    (lab.runs_folder / run_id / "weights").write_bytes(bytes(3_000_000))
    lab = with_limits(lab, gigabytes=0.003)
    taken = usage.measure(lab, run_id)
    assert taken >= 3_000_000
    with pytest.raises(LabError) as refused:
        queue.submit(lab, tiny(), "ada")
    assert str(refused.value) == (
        f"The runs of ada take {taken / 1e9:.3g} GB of disk, and a person may take 0.003 GB here (per_person.gigabytes): "
        "delete some. Nothing was queued."
    )
    with pytest.raises(LabError, match="ada take"):
        sweep.submit(lab, [tiny()], "ada")
    queue.submit(lab, tiny(), "bea")
    trash.delete(lab, run_id, "ada")
    assert queue.submit(lab, tiny(), "ada")


def starts(lab: Lab, run_id: str) -> queue.Job:
    """A run that works, as far as the lab knows."""
    job = queue.jobs(lab, run_id)[0]
    states.move(lab, job.id, "starting", by="supervisor", engine="local")
    assert states.claim(lab, job.id, "here") == 1
    return queue.job(lab, job.id)


def test_a_run_that_held_its_slots_for_as_long_as_it_may_is_stopped_and_stays_so(lab: Lab) -> None:
    lab = with_limits(lab, hours=2)
    job = starts(lab, queue.submit(lab, tiny(), "ada"))
    here = supervisor.Supervisor(lab, local.LocalExecutor(lab))
    assert job.since is not None
    for busy, begun, overdue in ((0, 7190, False), (3600, 3500, False), (3600, 3610, True), (0, 7210, True)):
        assert here._overdue(job._replace(busy=busy, since=job.since - begun)) == overdue
        assert not here._overdue(job._replace(kind="analyse", busy=busy, since=job.since - begun))
    status = local.Status(gone=False)
    here._look_at(job._replace(busy=7200), status)
    assert queue.job(lab, job.id).want == "cancel"
    assert states.stopper(lab, job.id) == "the limit of 2 h"
    states.move(lab, job.id, "cancelled", by="trainer", reason="Stopped by the limit of 2 h at step 5.")
    change = update(database.jobs).where(database.jobs.c.id == job.id)
    with database.writing(lab.engine) as connection:
        connection.execute(change.values(busy=7200))
    with pytest.raises(LabError) as refused:
        steer.resume(lab, job.run_id, "ada")
    assert str(refused.value) == f"{job.run_id} has trained for 2 h, as long as a run may here (per_person.hours)."
    (lab.path / "settings.json").write_text("{}")
    assert steer.resume(Lab.open(lab.path), job.run_id, "ada") == "queued"


def test_the_forecast_knows_how_long_a_run_may_take(lab: Lab) -> None:
    measured(lab, 0.001)  # 66,000 s a run
    lab = with_limits(lab, hours=2)
    first, second = (queue.submit(lab, tiny(), "ada") for _ in range(2))
    found = forecast(lab, NOW)
    assert (found[first].ends, found[second].starts) == (NOW + 7200, NOW + 7200)
    assert found[first].why.endswith("It is stopped after 2 h, as long as a run may train here.")
