"""The database's engine and its layouts: an older one is brought to today's, once, whole or not at all."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from aecore import manifest
from aecore.config import RunConfig
from aecore.jobs import burial, endings, queue, states, trainer
from aecore.jobs.executor import Status
from aecore.jobs.slurm import SlurmExecutor
from aecore.jobs.work import DATABASE, OVER, WAITS, Stop, Work
from aecore.runs import Lab, LabError, database, events, migrations, run, runs
from tests import postgresql
from tests.conftest import dump, tiny
from tests.postgresql import Server

ROOT = Path(__file__).parents[1]

LAYOUT_1 = """
CREATE TABLE runs (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id VARCHAR NOT NULL UNIQUE, name VARCHAR NOT NULL,
  owner VARCHAR NOT NULL, dataset VARCHAR NOT NULL, backbone VARCHAR NOT NULL, bottleneck VARCHAR NOT NULL,
  code_size INTEGER NOT NULL, epochs INTEGER NOT NULL, created FLOAT NOT NULL, parent VARCHAR, deleted FLOAT,
  submission VARCHAR UNIQUE, job_id INTEGER);
CREATE TABLE jobs (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, run_id VARCHAR NOT NULL REFERENCES runs (id),
  kind VARCHAR NOT NULL, owner VARCHAR NOT NULL, state VARCHAR NOT NULL, want VARCHAR NOT NULL, priority INTEGER NOT NULL,
  attempt INTEGER NOT NULL, created FLOAT NOT NULL, started FLOAT, ended FLOAT, engine VARCHAR, engine_ref VARCHAR,
  slot VARCHAR, pool VARCHAR NOT NULL, device VARCHAR, heartbeat FLOAT, reason_code VARCHAR NOT NULL,
  reason VARCHAR NOT NULL, step INTEGER NOT NULL, total_steps INTEGER, epoch INTEGER NOT NULL, loss FLOAT,
  images_per_second FLOAT, steps_per_second FLOAT, checkpoint_step INTEGER, data_root VARCHAR,
  CHECK (state IN ('queued', 'starting', 'running', 'paused', 'completed', 'failed', 'cancelled')),
  CHECK (want IN ('run', 'pause', 'cancel')));
CREATE INDEX jobs_by_state ON jobs (state, priority, id);
CREATE UNIQUE INDEX one_open_job ON jobs (run_id, kind) WHERE state IN ('queued', 'starting', 'running', 'paused');
CREATE TABLE events (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, job_id INTEGER NOT NULL REFERENCES jobs (id),
  run_id VARCHAR NOT NULL, at FLOAT NOT NULL, old VARCHAR NOT NULL, new VARCHAR NOT NULL, by VARCHAR NOT NULL,
  reason VARCHAR NOT NULL);
INSERT INTO runs VALUES (1, 'old-2-aaaa', 'old', 'ada', 'digits', 'dense', 'vector', 2, 3, 1.5, NULL, NULL, NULL, 1);
INSERT INTO runs VALUES (2, 'old-2-bbbb', 'old', 'bea', 'digits', 'dense', 'vector', 2, 3, 2.5, NULL, NULL, 'x', 2);
INSERT INTO jobs (id, run_id, kind, owner, state, want, priority, attempt, created, pool, reason_code, reason, step, epoch)
  VALUES (1, 'old-2-aaaa', 'train', 'ada', 'completed', 'run', 0, 1, 1.5, 'cpu', '', 'Completed.', 66, 3),
         (2, 'old-2-bbbb', 'train', 'bea', 'queued', 'run', 0, 0, 2.5, 'cpu', '', '', 0, 0);
INSERT INTO events VALUES (1, 1, 'old-2-aaaa', 1.5, '', 'queued', 'ada', '');
PRAGMA user_version = 1
"""
OPEN = "import sys; from aecore.runs import Lab, runs; print(len(runs(Lab.open(sys.argv[1]))))"


def old_lab(path: Path) -> Path:
    """A lab as the first version left it: layout 1, no mirrors."""
    (path / "runs" / "old-2-aaaa").mkdir(parents=True)
    with database._sqlite(path / "lab.sqlite").connect() as connection:
        for statement in LAYOUT_1.split(";"):
            connection.execute(text(statement))
        connection.commit()
    return path


def at_once(count: int, path: Path) -> list[str]:
    """What so many processes print that open the lab at the same moment and count its runs."""
    opened = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    said = [process.communicate(timeout=120) for process in opened]
    assert [(process.returncode, err) for process, (_, err) in zip(opened, said, strict=True)] == [(0, "")] * count
    return [out.strip() for out, _ in said]


def test_the_sqlite_in_use_has_the_fix_of_3_51_3() -> None:
    pytest.importorskip("pysqlite3", reason="pysqlite3 has no wheel for this machine")
    assert database.sqlite.sqlite_version_info >= (3, 51, 3)
    assert database.sqlite.__name__ == "pysqlite3.dbapi2"


def test_nothing_but_sqlalchemy_opens_the_database_file() -> None:
    sources = [path for part in ("aecore", "ui", "pages") for path in (ROOT / part).rglob("*.py")]
    words = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sources}
    assert [name for name, word in words.items() if 'lab.sqlite"' in word] == ["aecore/runs/database.py"]
    assert [name for name, word in words.items() if re.search(r"(from|import) (py)?sqlite3\b", word)] == [
        "aecore/runs/database.py"
    ]
    assert "sqlite.connect" not in words["aecore/runs/database.py"]


def test_a_database_of_layout_1_is_brought_up_with_its_rows(tmp_path: Path) -> None:
    lab = Lab.open(old_lab(tmp_path))
    assert [(row.id, row.state, row.owner) for row in runs(lab)] == [
        ("old-2-bbbb", "queued", "bea"),
        ("old-2-aaaa", "completed", "ada"),
    ]
    assert [(job["place"], job["crashes"], job["memory"]) for job in dump(lab)["jobs"]] == [(1, 0, None), (2, 0, None)]
    fresh = Lab.open(tmp_path / "fresh")
    for table in ("runs", "jobs", "events", "used"):
        columns = [{column["name"] for column in inspect(each.engine).get_columns(table)} for each in (lab, fresh)]
        assert columns[0] == columns[1]
    assert json.loads((lab.runs_folder / "old-2-aaaa" / "run.json").read_text())["jobs"][0]["state"] == "completed"


@pytest.mark.parametrize("old", [False, True], ids=["empty", "layout-1"])
def test_eight_processes_that_open_a_lab_at_once_bring_it_up_once(tmp_path: Path, old: bool) -> None:
    path = old_lab(tmp_path) if old else tmp_path
    assert at_once(8, path) == ["2" if old else "0"] * 8
    assert len(dump(Lab.open(path))["runs"]) == (2 if old else 0)


def test_a_process_killed_at_any_statement_leaves_the_old_layout_or_the_new_one(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from aecore.runs import database; from sqlalchemy import event, Engine\n"
        "count = int(sys.argv[2])\n"
        "@event.listens_for(Engine, 'before_cursor_execute')\n"
        "def _(*_):\n"
        "    global count; count -= 1\n"
        "    if count == 0: os.kill(os.getpid(), 9)\n"
        "database.connect(Path(sys.argv[1]))"
    )
    layouts = []
    for statement in range(2, 40, 3):
        path = old_lab(tmp_path / str(statement))
        done = subprocess.run([sys.executable, "-c", script, str(path), str(statement)], capture_output=True, text=True)
        with database._sqlite(path / "lab.sqlite").connect() as connection:
            layouts.append(migrations.layout(connection))
            columns = {column["name"] for column in inspect(connection).get_columns("jobs")}
        assert ("memory" in columns) == ("place" in columns) == (layouts[-1] == migrations.LAYOUT)
        assert [row.id for row in runs(Lab.open(path))] == ["old-2-bbbb", "old-2-aaaa"]
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert layouts[0] == 1
    assert layouts[-1] == migrations.LAYOUT


def test_a_newer_layout_is_refused_and_nothing_is_changed(either_lab: Lab) -> None:
    statement = (
        "PRAGMA user_version = 99" if either_lab.engine.dialect.name == "sqlite" else "UPDATE layout SET number = 99"
    )
    with database.writing(either_lab.engine) as connection:
        connection.execute(text(statement))
    with pytest.raises(LabError, match=r"was made by a newer version .*layout 99.*update the program") as refused:
        Lab.open(either_lab.path)
    assert "open-sesame" not in str(refused.value)
    with database.reading(either_lab.engine) as connection:
        assert migrations.layout(connection) == 99


def test_the_password_of_the_database_is_never_shown(tmp_path: Path, server: Server) -> None:
    settings = tmp_path / "settings.json"
    for wrong in (
        "mysql://ada:open-sesame@host/lab",
        "ada:open-sesame@host",
        "postgresql://ada:open-sesame@/lab?host=/nowhere",
        "postgresql://ada@/lab?host=/nowhere&password=open-sesame",
    ):
        settings.write_text(json.dumps({"database": wrong}))
        with pytest.raises(LabError, match="database") as refused:
            Lab.open(tmp_path)
        assert "open-sesame" not in str(refused.value)
    settings.write_text('{"database": "postgresql://ada:open-sesame@host/lab"')
    with pytest.raises(LabError, match=r"settings.json is not JSON: line 1") as refused:
        Lab.open(tmp_path)
    assert "open-sesame" not in str(refused.value)
    settings.write_text(json.dumps({"database": server.new_database()}))
    lab = Lab.open(tmp_path)
    assert "open-sesame" not in f"{lab.settings!r} {lab.engine!r} {database.name(lab.engine)}"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("postgresql://u:geh@open-sesame@h/db", "database has an @ too many: in a password it is written %40."),
        ("postgresql://u:geh@im/open-sesame@h/db", "database has an @ too many"),
        ("postgresql://u@h:12open-sesame/db", "the port in database must be a whole number"),
        ("postgresql://u:geh@im:open-sesame@h/db", "An @ in a password is written %40."),
    ],
)
def test_no_part_of_a_password_is_shown_that_was_not_written_as_an_address_needs_it(
    tmp_path: Path, address: str, sentence: str
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"database": address}))
    with pytest.raises(LabError) as refused:
        Lab.open(tmp_path)
    assert str(refused.value).startswith("settings.json: ")
    assert sentence in str(refused.value)
    assert "open-sesame" not in str(refused.value)


def test_a_lab_moves_to_postgresql_by_its_settings(lab: Lab, server: Server, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    before = dump(lab)
    (lab.path / "settings.json").write_text(json.dumps({"database": server.new_database()}))
    moved = Lab.open(lab.path)
    assert moved.engine.dialect.name == "postgresql"
    assert dump(moved) == before
    assert run(moved, run_id).owner == "ada"
    assert at_once(8, lab.path) == ["1"] * 8
    moved.engine.dispose()


def test_a_lab_may_lie_where_a_name_is_no_text(tmp_path: Path, tiny_config: RunConfig) -> None:
    lab = Lab.open(tmp_path / os.fsdecode(b"pr\xfcf"))  # as each name that is not ASCII is one with LC_ALL=C
    run_id = queue.submit(lab, tiny_config, "ada")
    assert [row.id for row in runs(lab)] == [run_id]
    assert SlurmExecutor(lab).slurm.tag


def test_postgresql_takes_the_log_of_a_process_that_printed_zeros(either_lab: Lab, tiny_config: RunConfig) -> None:
    job = queue.jobs(either_lab, queue.submit(either_lab, tiny_config, "ada"))[0]
    assert states.move(either_lab, job.id, "failed", by="supervisor", reason="It said a\0b.")
    assert run(either_lab, job.run_id).reason == "It said a\ufffdb."


def test_a_postgresql_that_is_started_again_is_waited_for(tmp_path: Path, tiny_config: RunConfig) -> None:
    with postgresql.running() as own:
        (tmp_path / "settings.json").write_text(json.dumps({"database": own.new_database()}))
        lab = Lab.open(tmp_path)
        run_id = queue.submit(lab, tiny_config, "ada")
        own.stop()
        back = threading.Timer(1, own.start)
        back.start()
        assert run(lab, run_id).owner == "ada"
        back.join()
        own.stop()
        begin = time.monotonic()
        with pytest.raises(LabError, match=r"The lab's database postgresql.* does not answer"):
            Lab.open(tmp_path)
        assert time.monotonic() - begin < 10  # who only opens it is told at once


def starting(own: Server, place: Path, epochs: int, **settings: object) -> tuple[Lab, queue.Job]:
    """A lab with its database on this server, and a run in it that is handed to a process."""
    (place / "settings.json").write_text(json.dumps({"database": own.new_database()} | settings))
    lab = Lab.open(place)
    job = queue.jobs(lab, queue.submit(lab, tiny(training__epochs=epochs), "ada"))[0]
    assert states.move(lab, job.id, "starting", by="supervisor", engine="local")
    return lab, job


def test_a_run_waits_for_a_database_that_is_gone_for_long_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    with postgresql.running() as own:
        lab, job = starting(own, tmp_path, epochs=400, checkpoint_seconds=1)
        run_id = job.run_id

        def outage() -> None:
            while not (run(lab, run_id).step or 0):
                time.sleep(0.05)
            own.stop()
            time.sleep(3)
            own.start()

        away = threading.Thread(target=outage)
        away.start()
        begin = time.monotonic()
        assert trainer.work_on(lab, job.id, Stop(), 1) == endings.COMPLETED
        away.join()
        assert lab.run(run_id).result()["seconds"] < time.monotonic() - begin - 2.5, "to wait is no training"
        assert run(lab, run_id).shown == "completed"
        assert run(lab, run_id).step == lab.run(run_id).result()["steps"]
        assert WAITS[DATABASE] in capfd.readouterr().out
        assert OVER[DATABASE] in [event.reason for event in events(lab, run_id)]


def test_a_process_that_cannot_reach_the_database_leaves_its_job_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    with postgresql.running() as own:
        (tmp_path / "settings.json").write_text(json.dumps({"database": own.new_database()}))
        lab = Lab.open(tmp_path)
        job = queue.jobs(lab, queue.submit(lab, tiny(), "ada"))[0]

        def work() -> Work:
            assert states.move(lab, job.id, "starting", by="supervisor", engine="local")
            attempt = states.claim(lab, job.id, "local:1")
            assert attempt
            return Work(lab, queue.job(lab, job.id), attempt, None)

        def loses(again: bool) -> Callable[[Work], None]:
            def task(_: Work) -> None:
                with database.reading(lab.engine) as connection:
                    own.stop()
                    try:
                        connection.execute(text("SELECT 1"))
                    finally:
                        if again:
                            own.start()

            return task

        monkeypatch.setattr(trainer, "task_of", lambda _: loses(again=True))
        assert trainer.perform(work()) == endings.LEFT
        found = run(lab, job.run_id)
        assert (found.state, found.reason) == (
            "queued",
            "The lab's database did not answer for a while. It begins again.",
        )
        monkeypatch.setattr(trainer, "task_of", lambda _: loses(again=False))
        assert trainer.perform(work()) == endings.LEFT
        own.start()
        assert run(lab, job.run_id).state == "running", "it could not be said"
        burial.bury(lab, queue.job(lab, job.id), Status(gone=True, exit_code=endings.LEFT))
        assert run(lab, job.run_id).reason.startswith("The run's process left while the lab's database did not answer.")
        assert queue.job(lab, job.id).crashes == 0


def test_who_is_told_to_leave_while_the_database_is_away_saves_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    with postgresql.running() as own:
        lab, job = starting(own, tmp_path, epochs=4000, checkpoint_seconds=3600)
        run_id = job.run_id
        stop = Stop()

        def outage() -> None:
            while not (run(lab, run_id).step or 0):
                time.sleep(0.05)
            own.stop()
            time.sleep(2)
            stop.asked = True

        away = threading.Thread(target=outage)
        away.start()
        assert trainer.work_on(lab, job.id, stop, 1) == endings.LEFT
        away.join()
        own.start()
        assert manifest.survey(lab.run(run_id).checkpoints)[0] is not None


@pytest.mark.parametrize(
    ("state", "away"),
    [
        ("57P01", True),
        ("08006", True),
        ("53300", True),
        ("25006", True),
        ("57014", False),
        ("55P03", False),
        (None, True),
    ],
)
def test_which_errors_of_postgresql_pass(state: str | None, away: bool) -> None:
    one = type("Said", (psycopg.OperationalError,), {"sqlstate": state, "__module__": "psycopg.errors"})
    assert database.unreachable(OperationalError("", None, one())) is away
    assert not database.unreachable(OperationalError("", None, sqlite3.OperationalError("database is locked")))
    assert not database.unreachable(LabError("no"))
