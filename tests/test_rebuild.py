"""The database can be lost: deleted, it comes back from the run folders."""

import json
import logging
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aecore.config import RunConfig
from aecore.jobs import queue, states, trash
from aecore.jobs.supervisor import ensure_supervisor
from aecore.runs import Lab, LabError, database, events, mirror, run, runs
from tests.conftest import TrainedRun, close, dump, tiny
from tests.postgresql import Server
from tests.test_database import at_once

PROGRESS = ("heartbeat", "step", "total_steps", "epoch", "loss", "images_per_second", "steps_per_second")


@pytest.fixture
def lived_in(lab: Lab) -> Lab:
    """A lab with a run in every state, one deleted, one with a parent, several jobs, and a changed order of the waiting."""
    ids = [queue.submit(lab, tiny(training__seed=i), "ada" if i % 2 else "bea", nonce=f"form-{i}") for i in range(7)]
    jobs = [queue.jobs(lab, run_id)[0].id for run_id in ids]
    for job in jobs[:4]:
        states.move(lab, job, "starting", by="supervisor")
    for job in jobs[1:4]:
        states.claim(lab, job, f"local:x:{job}:1")
    states.move(lab, jobs[2], "failed", by="trainer", attempt=1, reason="It broke.\nTwice.", reason_code="exit")
    states.move(lab, jobs[3], "completed", by="trainer", attempt=1, reason="Completed 3 steps.", checkpoint_step=3)
    queue.submit_job(lab, ids[3], "analyse", "bea")
    child = queue.submit(lab, tiny(training__seed=9), "ada", parent=ids[3])
    with database.writing(lab.engine) as connection:  # the child waits before the one that came first
        places = [(jobs[4], 99), (queue.jobs(lab, child)[0].id, jobs[4])]
        for job, place in places:
            connection.execute(database.jobs.update().where(database.jobs.c.id == job).values(place=place))
        database.changed(connection, ids[4], child)
    queue.stop(lab, ids[5], "bea")
    trash.delete(lab, ids[6], "bea")
    return lab


def lose(lab: Lab) -> None:
    """Delete the database's files."""
    lab.engine.dispose()
    found = list(lab.path.glob("lab.sqlite*"))
    assert found
    for path in found:
        path.unlink()


def test_a_deleted_database_comes_back_equal(lived_in: Lab) -> None:
    before, waiting = dump(lived_in), [job.run_id for job in queue.pending(lived_in)]
    shown = runs(lived_in)
    lose(lived_in)
    back = Lab.open(lived_in.path)
    assert dump(back) == before
    assert len(before["runs"]) == 8
    assert {job["state"] for job in before["jobs"]} == set(database.STATES) - {"paused"}
    assert [job.run_id for job in queue.pending(back)] == waiting
    assert [(row.id, row.shown, row.parent, row.reason) for row in runs(back)] == [
        (row.id, row.shown, row.parent, row.reason) for row in shown
    ]
    assert [run.id for run in trash.deleted(back)] == [row["id"] for row in before["runs"] if row["deleted"]]
    last = max(job["id"] for job in before["jobs"])
    assert queue.jobs(back, queue.submit(back, tiny(), "ada"))[0].id == last + 1
    with pytest.raises(states.Fenced):
        states.beat(back, before["jobs"][1]["id"], 0)
    assert states.beat(back, before["jobs"][1]["id"], 1) == "run"  # its trainer goes on


def test_the_same_form_is_still_the_same_run_after_that(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada", nonce="form")
    lose(lab)
    assert queue.submit(Lab.open(lab.path), tiny_config, "ada", nonce="form") == run_id


def test_it_comes_back_on_postgresql_too(lived_in: Lab, server: Server) -> None:
    before = dump(lived_in)
    for _ in range(2):  # twice: from SQLite, and from a PostgreSQL that was lost
        (lived_in.path / "settings.json").write_text(json.dumps({"database": server.new_database()}))
        back = Lab.open(lived_in.path)
        assert dump(back) == before
        run_id = queue.submit(back, tiny(), "ada")  # the counters go on after what was there
        before = dump(back)
        assert run_id in {job.run_id for job in queue.pending(back)}
        back.engine.dispose()


def test_a_trained_run_comes_back_with_all_but_its_last_progress(trained_run: TrainedRun, tmp_path: Path) -> None:
    path = tmp_path / "lab"
    shutil.copytree(trained_run.lab.path, path, ignore=shutil.ignore_patterns("lab.sqlite*", "locks"))
    before, after = dump(trained_run.lab), dump(Lab.open(path))
    assert (after["runs"], after["events"]) == (before["runs"], before["events"])
    for old, new in zip(before["jobs"], after["jobs"], strict=True):
        assert {name for name in old if old[name] != new[name]} <= set(PROGRESS)


def test_ten_processes_at_once_rebuild_it_once(lived_in: Lab) -> None:
    before = dump(lived_in)
    lose(lived_in)
    assert at_once(10, lived_in.path) == ["7"] * 10
    assert dump(Lab.open(lived_in.path)) == before


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "is missing"),
        (b"", "cannot be used|Expecting value"),
        (b'{"layout": 2, "run": {"id"', "delimiter"),
        (b"[]", "cannot be used"),
        (b"\xff\xfe\0", "decode"),
    ],
)
def test_a_run_whose_mirror_is_damaged_comes_back_from_its_other_files(
    trained_run: TrainedRun, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None, why: str
) -> None:
    lab = Lab.open(tmp_path / "lab")
    folder = lab.runs_folder / trained_run.id
    shutil.copytree(trained_run.folder.path, folder)
    waiting = queue.submit(lab, tiny(), "ada")
    for path in (folder, lab.runs_folder / waiting):
        (path / mirror.NAME).unlink()
        if content is not None:
            (path / mirror.NAME).write_bytes(content)
    lose(lab)
    back = Lab.open(lab.path)
    was, row = run(trained_run.lab, trained_run.id), run(back, trained_run.id)
    same = (
        "id",
        "name",
        "dataset",
        "backbone",
        "bottleneck",
        "code_size",
        "epochs",
        "state",
        "step",
        "total_steps",
        "reason",
    )
    assert [getattr(row, name) for name in same] == [getattr(was, name) for name in same]
    assert (row.owner, row.progress, row.loss) == ("unknown", 1.0, pytest.approx(was.loss, rel=0.5))
    [event] = events(back, trained_run.id)
    assert (event.by, event.new) == ("lab", "completed")
    assert "rebuilt without run.json" in event.reason
    assert re.search(why, event.reason), event.reason
    assert (run(back, waiting).state, run(back, waiting).reason) == (
        "failed",
        "How far it had come is not known: it can be resumed.",
    )
    assert trained_run.id in caplog.text


def test_a_mirror_that_no_table_takes_is_damaged_and_the_others_come_back(lived_in: Lab) -> None:
    before = dump(lived_in)["runs"]
    path = lived_in.runs_folder / before[1]["id"] / mirror.NAME
    content = json.loads(path.read_text())
    content["jobs"][0]["state"] = "flying"
    path.write_text(json.dumps(content))
    lose(lived_in)
    back = Lab.open(lived_in.path)
    assert {row["id"] for row in dump(back)["runs"]} == {row["id"] for row in before}
    assert run(back, before[1]["id"]).owner == "unknown"
    assert "cannot be used" in events(back, before[1]["id"])[0].reason


def test_a_folder_that_was_copied_by_hand_is_a_run_of_its_own(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    shutil.copytree(lab.runs_folder / run_id, lab.runs_folder / "copy-2-aaaa")
    lose(lab)
    back = Lab.open(lab.path)
    assert {row.id: row.owner for row in runs(back)} == {run_id: "ada", "copy-2-aaaa": "unknown"}
    assert f"belongs to run {run_id}" in events(back, "copy-2-aaaa")[0].reason


def test_a_folder_that_tells_nothing_is_named_and_left(
    lab: Lab, tiny_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    (lab.runs_folder / "holiday").mkdir()
    (lab.runs_folder / "holiday" / "photo.png").write_bytes(b"x")
    lose(lab)
    with caplog.at_level(logging.WARNING):
        assert [row.id for row in runs(Lab.open(lab.path))] == [run_id]
    assert "holiday was left out: The configuration of run holiday cannot be read" in caplog.text
    assert (lab.runs_folder / "holiday" / "photo.png").exists()


def test_a_mirror_is_as_new_as_the_last_change_and_heartbeats_do_not_touch_it(lab: Lab, tiny_config: RunConfig) -> None:
    job = queue.jobs(lab, queue.submit(lab, tiny_config, "ada"))[0]
    path = lab.runs_folder / job.run_id / mirror.NAME
    assert json.loads(path.read_text())["jobs"][0]["state"] == "queued"
    states.move(lab, job.id, "starting", by="supervisor")
    states.claim(lab, job.id, "local:x:1:1")
    written = json.loads(path.read_text())
    assert (written["jobs"][0]["state"], len(written["events"])) == ("running", 3)
    assert {name: dump(lab)[name] for name in ("jobs", "events")} == {
        name: written[name] for name in ("jobs", "events")
    }
    inode = path.stat().st_ino
    states.beat(lab, job.id, 1, step=5)
    assert path.stat().st_ino == inode


def test_a_state_changes_though_its_folder_is_gone_or_cannot_be_written(lab: Lab, tiny_config: RunConfig) -> None:
    gone, blocked = (queue.submit(lab, tiny_config, "ada") for _ in range(2))
    shutil.rmtree(lab.runs_folder / gone)
    (lab.runs_folder / blocked / mirror.NAME).unlink()
    (lab.runs_folder / blocked / mirror.NAME / "folder").mkdir(parents=True)
    for run_id in (gone, blocked):
        assert queue.stop(lab, run_id, "ada") == "cancelled"
    close(lab)


def test_the_folders_of_a_newer_program_are_left_alone(lab: Lab, tiny_config: RunConfig) -> None:
    path = lab.runs_folder / queue.submit(lab, tiny_config, "ada") / mirror.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layout": 99, "later": 1}))
    lose(lab)
    for _ in range(2):
        with pytest.raises(LabError, match=r"The run folder .* was written by a newer version .*: update the program"):
            Lab.open(lab.path)
    assert "later" in path.read_text()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layout": 2}))
    assert len(runs(Lab.open(lab.path))) == 1


@pytest.mark.parametrize("reads", [True, False], ids=["who reads", "who writes"])
def test_who_has_the_lab_open_when_its_database_is_lost_goes_on(lab: Lab, tiny_config: RunConfig, reads: bool) -> None:
    job = queue.jobs(lab, queue.submit(lab, tiny_config, "ada"))[0]
    states.move(lab, job.id, "starting", by="supervisor")
    states.claim(lab, job.id, "local:x:1:1")
    lose(lab)
    assert (run(lab, job.run_id).state if reads else states.beat(lab, job.id, 1, step=7)) in ("running", "run")
    assert dump(Lab.open(lab.path)) == dump(lab)
    assert len(events(lab, job.run_id)) == 3


def test_nobody_fails_at_the_moment_in_which_its_files_are_deleted(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    deleting = subprocess.Popen([sys.executable, "-c", DELETE, str(lab.path)])
    looks = 0
    while deleting.poll() is None:
        assert run(lab, run_id).owner == "ada"
        looks += 1
    assert deleting.returncode == 0
    assert looks > 20


DELETE = """
import pathlib, sys, time
for _ in range(60):
    for path in pathlib.Path(sys.argv[1]).glob("lab.sqlite*"):
        path.unlink(missing_ok=True)
    time.sleep(0.1)
"""


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_a_run_trains_to_its_end_though_its_database_is_lost_meanwhile(
    lab: Lab, where: str, request: pytest.FixtureRequest
) -> None:
    settings = {"warm": 0}
    if where == "postgresql":
        settings["database"] = request.getfixturevalue("server").new_database()
    (lab.path / "settings.json").write_text(json.dumps(settings))
    there = Lab.open(lab.path)
    run_id = queue.submit(there, tiny(training__epochs=600), "ada")
    ensure_supervisor(there)
    until(lambda: run(there, run_id).step > 0)
    if where == "sqlite":
        lose(there)
    until(lambda: run(there, run_id).state not in database.OPEN)
    until(lambda: queue.at_hand(there)[:2] == ([], []))
    assert run(there, run_id).reason.startswith("Completed 13,200 steps")
    moves = [(event.kind, event.new) for event in events(there, run_id)]
    assert [new for kind, new in moves if kind == "train"] == ["queued", "starting", "running", "completed"]
    # it may begin before the run has said that it is over, and waits for it
    assert [new for kind, new in moves if kind == "analyse"] == ["queued", "starting", "running", "completed"]
    close(there)
    there.engine.dispose()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
