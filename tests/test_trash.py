"""Deleting is undone for seven days, and how much room the runs take."""

import json
import os
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from aecore.config import RunConfig
from aecore.jobs import queue, states, trash
from aecore.runs import Lab, LabError, database, events, run, runs
from aecore.runs.usage import by_owner, measure, usage
from tests.conftest import dump, tiny


@pytest.fixture
def lab(either_lab: Lab) -> Lab:
    """Everything here holds on SQLite and on PostgreSQL."""
    return either_lab


def later(lab: Lab, run_id: str, days: float) -> None:
    """Make it so long ago that the run was deleted."""
    with database.writing(lab.engine) as connection:
        gone = database.runs.update().where(database.runs.c.id == run_id).values(deleted=time.time() - days * 86400)
        connection.execute(gone)
        database.changed(connection, run_id)


def test_a_deleted_run_is_brought_back_as_it_was(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada", nonce="form")
    queue.stop(lab, run_id, "ada")
    before = run(lab, run_id)
    trash.delete(lab, run_id, "bea")
    [kept] = trash.deleted(lab)
    assert (kept.id, kept.owner, kept.until - kept.at) == (run_id, "ada", 7 * 86400)
    assert kept.bytes == measure(lab, run_id) > 0
    trash.undelete(lab, run_id, "ada")
    assert run(lab, run_id) == before
    assert lab.run(run_id).config() == tiny_config
    assert trash.deleted(lab) == []
    assert [(e.old, e.new, e.reason) for e in events(lab, run_id)][-2:] == [
        ("cancelled", "deleted", "Deleted by bea."),
        ("deleted", "cancelled", "Brought back by ada."),
    ]


def test_an_analysis_that_the_deletion_stopped_begins_again(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    queue.stop(lab, run_id, "ada")
    queue.submit_job(lab, run_id, "analyse", "ada")
    trash.delete(lab, run_id, "ada")
    trash.undelete(lab, run_id, "ada")
    found = [(job.owner, job.state) for job in queue.jobs(lab, run_id) if job.kind == "analyse"]
    assert found == [("ada", "cancelled"), ("ada", "queued")]
    queue.stop(lab, run_id, "ada")
    lab.run(run_id).write_analysis({}, {"n": 1})
    trash.delete(lab, run_id, "ada")
    trash.undelete(lab, run_id, "ada")
    assert len([job for job in queue.jobs(lab, run_id) if job.kind == "analyse"]) == 2, "it has one"


def test_one_that_is_still_saving_is_brought_back_too(lab: Lab, tiny_config: RunConfig) -> None:
    job = queue.jobs(lab, queue.submit(lab, tiny_config, "ada"))[0]
    states.move(lab, job.id, "starting", by="supervisor")
    trash.delete(lab, job.run_id, "ada")
    trash.undelete(lab, job.run_id, "ada")
    assert run(lab, job.run_id).shown == "stopping"
    states.move(lab, job.id, "cancelled", by="supervisor")
    trash.sweep(lab)
    assert lab.run(job.run_id).path.is_dir()


def test_after_seven_days_it_is_gone_with_its_row(lab: Lab, tiny_config: RunConfig) -> None:
    old, young, kept = (queue.submit(lab, tiny(training__seed=i), "ada") for i in range(3))
    queue.submit_job(lab, old, "analyse", "ada")
    for run_id, days in ((old, 7.01), (young, 6.99)):
        trash.delete(lab, run_id, "ada")
        later(lab, run_id, days)
    trash.sweep(lab)
    assert [path.name for path in lab.trash.iterdir()] == [young]
    assert {row["run_id"] for row in (*dump(lab)["jobs"], *dump(lab)["events"])} == {young, kept}
    with pytest.raises(LabError, match=f"There is no run '{old}'"):
        run(lab, old)
    with pytest.raises(LabError, match=f"There is no deleted run '{old}' .*aecore deleted"):
        trash.undelete(lab, old, "ada")
    with pytest.raises(LabError, match=f"Run '{young}' was deleted on"):
        lab.run(young)


def test_the_lab_says_how_long_deleted_runs_are_kept(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    settings = lab.path / "settings.json"
    settings.write_text(json.dumps({"keep_deleted_days": 0, "database": lab.settings.database}))
    trash.delete(Lab.open(lab.path), run_id, "ada")
    assert list(lab.trash.iterdir()) == []
    assert dump(lab)["runs"] == []


def test_what_a_purge_left_behind_when_it_was_ended_goes_with_the_next(lab: Lab, tiny_config: RunConfig) -> None:
    (lab.trash / ".purged-old-2-aaaa" / "samples").mkdir(parents=True)
    trash.delete(lab, queue.submit(lab, tiny_config, "ada"), "ada")
    assert not (lab.trash / ".purged-old-2-aaaa").exists()


def test_a_run_that_was_never_deleted_cannot_be_brought_back(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    for name in (run_id, "nope"):
        with pytest.raises(LabError, match=f"There is no deleted run '{name}'"):
            trash.undelete(lab, name, "ada")
    assert len(runs(lab)) == 1


def test_usage_counts_every_file_once_a_run_and_adds_up_for_each_person(lab: Lab) -> None:
    big, small, gone = (queue.submit(lab, tiny(training__seed=i), who) for i, who in enumerate(("ada", "bea", "ada")))
    queue.stop(lab, gone, "ada")
    trash.delete(lab, gone, "ada")
    empty = {run.id: run.bytes for run in usage(lab)}
    for run_id, name in ((big, "weights"), (gone, "weights")):
        folder: Path = next(place / run_id for place in (lab.runs_folder, lab.trash) if (place / run_id).exists())
        (folder / "checkpoints" / name).write_bytes(os.urandom(1_000_000))
        os.link(folder / "checkpoints" / name, folder / "checkpoints" / "again")
    found = usage(lab)
    assert {run.id: run.deleted for run in found} == {big: False, gone: True, small: False}
    assert [run.id for run in found][-1] == small
    for one in found:
        assert one.bytes - empty[one.id] == pytest.approx(0 if one.id == small else 1_000_000, abs=8192)
    assert by_owner(found) == {"ada": found[0].bytes + found[1].bytes, "bea": found[2].bytes}


def test_what_is_forgotten_frees_its_room_before_anything_is_written(
    lab: Lab, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    queue.stop(lab, run_id, "ada")
    trash.delete(lab, run_id, "ada")
    writing = database.writing

    def full(engine: Engine) -> AbstractContextManager[Connection]:
        assert not list(lab.trash.iterdir()), "no room yet"
        return writing(engine)

    monkeypatch.setattr(database, "writing", full)
    assert trash.forget(lab, run_id)
    assert not trash.forget(lab, run_id)
    assert trash.deleted(lab) == []
