"""Looking after a lab: settings that change while it runs, maintenance, people, room on the disk, and what is written down of it."""

import errno
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import pytest

from aecore.config import Config, ConfigError
from aecore.config.fields import FieldAt, walk
from aecore.config.lab import LabSettings
from aecore.jobs import care, cleanup, doctor, holes, local, locks, queue, states, supervisor, trash
from aecore.jobs import settings as changing
from aecore.jobs.forecast import DRAINED, forecast
from aecore.jobs.settings import change
from aecore.runs import Lab, LabError, database, diary, run, runs
from aecore.runs.rights import Forbidden, Person, Role, Verb
from aecore.runs.text import moment
from tests.conftest import TrainedRun, tiny
from tests.test_cli import Cli, cli  # noqa: F401
from tests.test_quota import starts
from tests.test_rights import CELLS, PEOPLE


def test_a_setting_is_changed_in_the_file_and_taken_over_by_everything_that_runs(lab: Lab) -> None:
    other = Lab.open(lab.path)  # another process's
    said = change(lab, {"per_person.waiting": 20, "cpu_slots": 3}, "ada")
    assert sorted(said) == [f"cpu_slots from {LabDefaults.cpu_slots} to 3", "per_person.waiting from nothing to 20"]
    assert json.loads((lab.path / "settings.json").read_text()) == {"per_person": {"waiting": 20}, "cpu_slots": 3}
    assert lab.settings.per_person.waiting == 20
    end = time.monotonic() + 60
    while other.settings.per_person.waiting != 20:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert change(lab, {"cpu_slots": 3}, "ada") == []
    assert [(act.by, act.text) for act in diary.read(lab)] == [("ada", f"settings: {'; '.join(said)}")]


class LabDefaults:
    """What holds where nothing is said."""

    cpu_slots = LabSettings().cpu_slots


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"cpu_slots": 0}, "cpu_slots is 0, but must be at least 1."),
        ({"cpu_slot": 1}, "cpu_slot is not a known field: did you mean cpu_slots?"),
        (
            {"access.admins": None},
            "access.admins is None, but must be a list: several with commas between them, or [].",
        ),
        ({"per_person.waiting": "many"}, "per_person.waiting is 'many', but must be a whole number"),
        ({"retries.x": 1}, "retries is {'x': 1}, but must be a whole number."),
        ({"cpu_slots": 2, "retries": 0}, "retries is 0, but must be at least 1."),
        ({"keep_deleted_days": math.inf}, "keep_deleted_days is inf, but must be at most 36500"),
        ({"keep_deleted_days": 1e308}, "keep_deleted_days is 1e+308, but must be at most 36500"),
        ({"stop_grace_seconds": math.nan}, "stop_grace_seconds is nan, but must be"),
        ({"cpu_slots": True}, "cpu_slots is True, but must be a whole number."),
        ({"per_person": {"waiting": True}}, "per_person.waiting is True, but must be a whole number."),
        ({"per_person.hours": "[" * 100_000}, "must be a number."),
        ({"drain": "now"}, "drain is 'now', but must be 'off', 'finish' or 'save'."),
        ({"banner": "x" * 301}, "at most 300 letters long"),
        ({"database": "postgresql://elsewhere"}, "database is changed in"),
        ({"slurm.partition": "x"}, "slurm.partition is changed in"),
        ({"access.way": "proxy"}, "access.way is changed in"),
        ({"access.others": "nobody"}, "all would be locked out"),
    ],
)
def test_what_is_not_allowed_changes_nothing(lab: Lab, values: dict[str, Any], sentence: str) -> None:
    change(lab, {"retries": 7}, "ada")
    before = (lab.path / "settings.json").read_bytes()
    with pytest.raises(ConfigError) as refused:
        change(lab, values, "bea")
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 500
    assert (lab.path / "settings.json").read_bytes() == before
    assert lab.settings.retries == 7


def numbers(settings: Config) -> Iterator[tuple[str, FieldAt]]:
    for field in walk(settings):
        if set(get_args(field.info.annotation) or [field.info.annotation]) & {int, float}:
            yield field.path, field


def test_every_number_of_the_settings_has_an_end_which_what_is_computed_with_it_can_bear() -> None:
    found = dict(numbers(LabSettings()))
    assert {"keep_deleted_days", "slurm.poll_seconds", "per_person.hours"} <= set(found)
    assert [path for path, field in found.items() if not any(hasattr(one, "le") for one in field.info.metadata)] == []
    assert moment(time.time() + 86400 * LabSettings(keep_deleted_days=36_500).keep_deleted_days) > "2100"


def test_nobody_locks_themselves_out(lab: Lab) -> None:
    ada = lab.seen_by("ada")
    with pytest.raises(ConfigError) as refused:
        change(ada, {"access.admins": ["bea"]}, "ada")
    assert str(refused.value) == "ada could not change the lab's settings any more then: another admin has to do that."
    change(ada, {"access.admins": ["ada", "bea"]}, "ada")
    change(lab.seen_by("bea"), {"access.admins": ["bea"]}, "bea")
    lab.reread()
    with pytest.raises(Forbidden, match="Only the lab's admins may change the lab's settings"):
        change(lab.seen_by("ada"), {"retries": 9}, "ada")


def test_many_who_change_settings_at_once_lose_nothing_and_nobody_reads_half_a_file(lab: Lab) -> None:
    names = ["retries", "cpu_slots", "side_slots", "warm", "runs_per_gpu", "checkpoint_steps"]
    path = lab.path / "settings.json"
    change(lab, {"idle_minutes": 5}, "ada")
    path.chmod(0o640)
    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(change, Lab.open(lab.path), {name: 9}, name) for name in names]
        while not all(one.done() for one in done):
            json.loads(path.read_text())
        assert all(one.result() for one in done)
    assert json.loads(path.read_text()) == {"idle_minutes": 5} | dict.fromkeys(names, 9)
    assert path.stat().st_mode & 0o777 == 0o640
    assert {act.by for act in diary.read(lab)} == {"ada", *names}


def test_a_settings_file_that_was_broken_by_hand_holds_what_it_said_before_and_is_red(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(lab, {"retries": 7}, "ada")
    (lab.path / "settings.json").write_text('{"retries": ')
    lab.reread()
    assert lab.settings.retries == 7
    with pytest.raises(ConfigError, match="is not JSON: line 1"):
        change(lab, {"retries": 8}, "ada")
    [found] = [check for check in doctor.of_lab(lab) if check.name == "settings"]
    assert found.fine is False
    assert "is not JSON" in found.text
    (lab.path / "settings.json").write_text("{}")
    monkeypatch.setattr(changing, "TURN", 0.05)
    held = locks.acquire(lab.path / "locks" / "settings.lock")
    assert held is not None
    with pytest.raises(LabError, match="somebody else is changing them"):
        change(lab, {"retries": 8}, "ada")
    locks.release(held)


class Engine(local.LocalExecutor):
    """This machine, but that nothing is started or ended on it."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.started: list[str] = []
        self.stopped: list[tuple[str, bool]] = []

    def submit(self, job: queue.Job) -> str:
        self.started.append(job.run_id)
        return f"local:x:{job.id}:1"

    def stop(self, job: queue.Job, hard: bool = False) -> None:
        self.stopped.append((job.run_id, hard))

    def poll(self, jobs: Any) -> dict[int, Any]:
        return {job.id: local.Status(gone=False) for job in jobs}


@pytest.fixture
def here(lab: Lab) -> supervisor.Supervisor:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2, "side_slots": 1, "warm": 0}))
    lab.reread()
    return supervisor.Supervisor(lab, Engine(lab))


def test_a_lab_that_is_drained_finishes_what_it_began_and_goes_on_afterwards(here: supervisor.Supervisor) -> None:
    lab, engine = here.lab, here.executor
    assert isinstance(engine, Engine)
    running = starts(lab, queue.submit(lab, tiny(), "ada")).run_id
    change(lab, {"drain": "finish"}, "ada")
    waiting = queue.submit(lab, tiny(), "bea")
    side = queue.submit_job(lab, running, "analyse", "ada")
    here.tick()
    assert engine.started == [running]  # its analysis
    assert queue.job(lab, side).state == "starting"
    assert engine.stopped == []
    assert run(lab, waiting).reason == "Waits: the lab is being made ready for maintenance."
    assert forecast(lab)[waiting][:4] == (1, None, None, DRAINED)
    change(lab, {"drain": "off"}, "ada")
    here.tick()
    assert engine.started[1:] == [waiting]


def test_saving_for_maintenance_asks_what_trains_to_leave_once_and_it_comes_back(here: supervisor.Supervisor) -> None:
    lab, engine = here.lab, here.executor
    assert isinstance(engine, Engine)
    job = starts(lab, queue.submit(lab, tiny(), "ada"))
    change(lab, {"drain": "save"}, "ada")
    for _ in range(3):
        here.tick()
    assert engine.stopped == [(job.run_id, False)]
    assert queue.job(lab, job.id).want == "run"
    states.move(lab, job.id, "queued", by="trainer", reason="It was told to leave. It goes on from step 5.")
    here.tick()
    assert engine.started == []
    change(lab, {"drain": "off"}, "ada")
    here.tick()
    assert engine.started == [job.run_id]


def test_more_slots_are_used_without_a_new_supervisor(here: supervisor.Supervisor) -> None:
    lab, engine = here.lab, here.executor
    change(lab, {"cpu_slots": 5}, "ada")
    here.tick()
    assert isinstance(engine, Engine)
    assert sum(slot.pool == "cpu" for slot in engine.slots) == 5


def test_who_is_on_which_slot_is_known_until_they_leave(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2, "side_slots": 1, "warm": 0}))
    lab.reread()
    job = starts(lab, queue.submit(lab, tiny(training__processes=2), "ada"))
    slots = local.LocalExecutor(lab).slots
    local.note_slots(lab, job.id, slots[:2])
    states.beat(lab, job.id, 1, step=11, total_steps=44)
    by = {place.name: place.by and (place.by.owner, place.by.step, place.by.total_steps) for place in care.places(lab)}
    assert by == {"cpu-0": ("ada", 11, 44), "cpu-1": ("ada", 11, 44), "side-0": None}
    states.move(lab, job.id, "queued", by="trainer")
    assert [place.by for place in care.places(lab)] == [None] * 3


def test_people_are_listed_with_what_they_have_and_used(lab: Lab) -> None:
    starts(lab, queue.submit(lab, tiny(), "ada"))
    for owner in ("ada", "bea", "bea"):
        queue.submit(lab, tiny(), owner)
    trash.delete(lab, queue.submit(lab, tiny(), "cyd"), "cyd")
    found = [(one.name, one.runs, one.running, one.waiting, round(one.used)) for one in care.people(lab)]
    assert found == [("ada", 2, 1, 1, 600), ("bea", 2, 0, 2, 0)]


def test_what_could_be_freed_is_said_first_and_is_what_is_freed(trained_run: TrainedRun, tmp_path: Path) -> None:
    path, kept = tmp_path / "lab", trained_run.id
    shutil.copytree(trained_run.folder.path, path / "runs" / kept, ignore=shutil.ignore_patterns("*.lock"))
    lab = Lab.open(path)
    checkpoints = lab.runs_folder / kept / "checkpoints"
    newest = max(checkpoints.iterdir())
    shutil.copytree(newest, checkpoints / f"{1:08d}-1")
    assert [part.run_id for part in cleanup.parts(lab)] == [kept]
    gone = queue.submit(lab, tiny(), "bea")
    (lab.runs_folder / gone / "large").write_bytes(bytes(2_000_000))
    os.link(lab.runs_folder / gone / "large", tmp_path / "linked")  # somebody else has it too: it frees nothing
    (lab.runs_folder / gone / "larger").write_bytes(bytes(3_000_000))
    trash.delete(lab, gone, "bea")
    spare, deleted = sorted(cleanup.parts(lab), key=lambda part: part.kind, reverse=True)
    assert (spare.kind, spare.run_id, deleted.kind, deleted.run_id, deleted.owner) == (
        "spare",
        kept,
        "deleted",
        gone,
        "bea",
    )
    assert 3_000_000 <= deleted.bytes < 3_200_000
    assert [part.kind for part in cleanup.parts(lab, ["deleted"])] == ["deleted"]
    trash.undelete(lab, gone, "bea")  # meanwhile
    assert cleanup.clean(lab, [spare, deleted], "ada") == spare.bytes
    assert [one.name for one in checkpoints.iterdir()] == [newest.name]
    assert run(lab, gone).owner == "bea"
    trash.delete(lab, gone, "bea")
    assert cleanup.clean(lab, [deleted], "ada") == cleanup.Part(*deleted).bytes
    assert (trash.deleted(lab), list(lab.trash.iterdir()), cleanup.parts(lab)) == ([], [], [])
    assert [act.text.partition(":")[0] for act in diary.read(lab)] == ["cleaned up deleted", "cleaned up spare"]
    assert [row.id for row in runs(lab)] == [kept]


def test_where_nothing_can_be_removed_it_is_said_why(
    copy: TrainedRun,
    cli: Cli,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newest = max(copy.folder.checkpoints.iterdir())
    shutil.copytree(newest, copy.folder.checkpoints / f"{1:08d}-1")
    monkeypatch.setattr(Path, "rename", refused)
    [part] = [part for part in cleanup.parts(copy.lab) if part.run_id == copy.id]
    with pytest.raises(LabError, match=r"Nothing could be removed: Read-only file system\."):
        cleanup.clean(copy.lab, [part], "ada")
    gone = queue.submit(copy.lab, tiny(), "bea")
    monkeypatch.undo()
    trash.delete(copy.lab, gone, "bea")
    monkeypatch.setattr(Path, "rename", refused)
    said = (1, "", "Nothing could be removed: Read-only file system.\n")
    for kind in cleanup.KINDS:
        assert cli(copy.lab, "cleanup", "--kind", kind, "--yes") == said
    assert diary.read(copy.lab) == []


def test_what_could_not_be_removed_is_said_beside_what_was(copy: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = max(copy.folder.checkpoints.iterdir())
    shutil.copytree(newest, copy.folder.checkpoints / f"{1:08d}-1")
    gone = queue.submit(copy.lab, tiny(), "bea")
    (copy.lab.runs_folder / gone / "filler").write_bytes(bytes(2_000_000))
    trash.delete(copy.lab, gone, "bea")
    mine = [part for part in cleanup.parts(copy.lab) if part.run_id in (copy.id, gone)]
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, to: refused() if "checkpoints" in path.parts else rename(path, to))
    with pytest.raises(
        LabError, match=r"1 of 2 parts could not be removed: Read-only file system\. 2(\.\d)? MB are free again\."
    ):
        cleanup.clean(copy.lab, mine, "ada")
    assert gone not in [run.id for run in trash.deleted(copy.lab)]
    assert len(diary.read(copy.lab)) == 1


def refused(*_: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_an_older_checkpoint_stays_where_the_newest_is_damaged_or_the_run_is_at_work(lab: Lab) -> None:
    job = starts(lab, queue.submit(lab, tiny(), "ada"))
    folder = lab.runs_folder / job.run_id / "checkpoints"
    for step in (5, 10):
        (folder / f"{step:08d}-1").mkdir(parents=True)
        (folder / f"{step:08d}-1" / "weights").write_bytes(bytes(100_000))
    assert cleanup.parts(lab) == []  # it trains
    states.move(lab, job.id, "cancelled", by="trainer")
    [part] = cleanup.parts(lab)
    assert cleanup.clean(lab, [part], "ada") == 0  # neither can be read
    assert len(list(folder.iterdir())) == 2
    assert diary.read(lab) == []


def test_the_diary_is_read_from_its_end_and_lines_of_others_are_left_out(lab: Lab) -> None:
    assert diary.read(lab) == []
    for number in range(300):
        diary.write(lab, "ada", f"<b>{number}</b>\n\u2028")
    with (lab.path / "diary.jsonl").open("ab") as file:
        file.write(b'\xff\n{"at": 1}\n[]\n{"at": "x", "by": 1, "text": 2}\n{"at": 3')
    found = diary.read(lab, 100)
    assert found[0].text == "<b>299</b>\n\u2028"
    assert len(found) == 95
    assert (lab.path / "diary.jsonl").stat().st_mode & 0o777 == 0o600


def test_versions_with_known_holes_are_red(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [check for check in doctor.without_torch(lab) if check.fine is False] == []
    assert holes.holes() == []  # of what requirements.txt pins
    old = {"torch": "2.9.1+cpu", "pillow": "12.3.0", "starlette": "1.0.9", "python-multipart": "0.0.22", "onnx": "1.20"}
    monkeypatch.setattr(holes, "version", old.__getitem__)
    assert [hole.package for hole, _ in holes.holes()] == ["torch", "starlette", "onnx"]
    red = {check.name: check.text for check in doctor.without_torch(lab) if check.fine is False}
    assert red["starlette"].startswith("1.0.9 has a known hole: ")
    assert red["starlette"].endswith("Use 1.1.0 or newer.")


def test_the_doctor_says_whether_slurm_is_there_and_answers(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> list[tuple[bool | None, str]]:
        return [(check.fine, check.text) for check in doctor.of_lab(lab) if check.name == "Slurm"]

    assert said() == []
    (lab.path / "settings.json").write_text('{"executor": "slurm"}')
    lab.reread()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert said() == [(False, "sbatch, squeue, scancel, scontrol: not on the PATH, so that no run can start")]
    for name in ("sbatch", "squeue", "scancel", "scontrol"):
        (tmp_path / name).write_text("#!/bin/sh\n[ $0 = ${0%sbatch} ] || echo slurm 99.1\n")
        (tmp_path / name).chmod(0o755)
    assert said() == [(True, "slurm 99.1")]
    (tmp_path / "squeue").write_text("#!/bin/sh\necho Unable to contact slurm controller >&2; exit 1\n")
    assert said() == [(False, "does not answer: runs wait until it does")]


def test_a_clock_that_was_set_back_is_red(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.submit(lab, tiny(), "ada")

    def clock() -> doctor.Check:
        return next(check for check in doctor.of_lab(lab) if check.name == "clock")

    assert clock().fine
    with database.writing(lab.engine) as connection:
        connection.execute(database.events.update().values(at=time.time() + 7200))
    assert clock().fine is False
    assert "the newest event was written 2.0 h in the future" in clock().text


def test_the_command_line_has_the_same_verbs(lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(supervisor, "ensure_supervisor", lambda lab: False)
    code, out, _ = cli(
        lab, "settings", "--set", "per_person.waiting=1", "--set", "banner=Friday = reboot", "--user", "ada"
    )
    assert (code, sorted(out.splitlines())) == (
        0,
        ["banner from nothing to Friday = reboot", "per_person.waiting from nothing to 1"],
    )
    assert cli(lab, "settings", "--set", "cpu_slots=0") == (3, "", "cpu_slots is 0, but must be at least 1.\n")
    assert cli(lab, "settings", "--set", "cpu_slots")[0] == 3
    assert cli(lab, "banner") == (0, "Friday = reboot\n", "")
    assert cli(lab, "banner", "--text", "") == (0, "There is no banner.\n", "")
    assert "database" not in json.loads(cli(lab, "settings", "--json")[1])["settings"]
    queue.submit(lab, tiny(), "ada")
    assert "per_person.waiting" in cli(lab, "submit", "--preset", "demo", "--user", "ada")[2]
    assert "1 wait." in cli(lab, "drain", "finish")[1]
    assert cli(lab, "drain")[1] == cli(lab, "drain", "finish")[1]
    assert cli(lab, "drain", "off")[1].startswith("Runs start as usual.")
    assert cli(lab, "drain")[1].startswith("Runs start as usual.")
    people = json.loads(cli(lab, "people", "--json")[1])
    assert [(one["name"], one["waiting"]) for one in people] == [("ada", 1)]
    run_id = queue.submit(lab, tiny(), "bea")
    (lab.runs_folder / run_id / "large").write_bytes(bytes(2_000_000))
    trash.delete(lab, run_id, "bea")
    assert "--yes does it" in cli(lab, "cleanup")[1]
    assert trash.deleted(lab)
    assert "MB are free again." in cli(lab, "cleanup", "--kind", "deleted", "--yes")[1]
    assert cli(lab, "cleanup") == cli(lab, "cleanup", "--yes") == (0, "Nothing to free.\n", "")
    assert [act.text.split()[0] for act in diary.read(lab)] == [
        "cleaned",
        "settings:",
        "settings:",
        "settings:",
        "settings:",
    ]


@pytest.mark.parametrize(
    ("given", "admins"),
    [
        ("root", ["root"]),
        ("root, ada", ["root", "ada"]),
        ("[root,ada]", ["root", "ada"]),
        ('["root, the first", "12"]', ["root, the first", "12"]),
        ("12", ["12"]),
        ("[]", []),
    ],
)
def test_names_are_typed_as_the_refusal_says(lab: Lab, cli: Cli, given: str, admins: list[str]) -> None:  # noqa: F811
    code, _, err = cli(lab, "settings", "--set", f"access.admins={given}", "--user", [*admins, "root"][0])
    assert (code, err) == (0, "")
    lab.reread()
    assert list(lab.settings.access.admins) == admins


def test_a_group_of_settings_is_typed_as_json(lab: Lab, cli: Cli) -> None:  # noqa: F811
    assert cli(lab, "settings", "--set", 'per_person={"waiting": 2, "hours": 3}')[0] == 0
    assert cli(lab, "settings", "--set", "banner=12")[0] == 0
    assert cli(lab, "settings", "--set", "per_person.hours=")[0] == 0
    wanted = {"per_person": {"waiting": 2, "hours": None}, "banner": "12"}
    assert json.loads((lab.path / "settings.json").read_text()) == wanted


ABOUT_THE_LAB: dict[Verb, Callable[[Lab, str], Any]] = {
    Verb.SERVER: lambda lab, by: (care.at_work(lab), care.places(lab)),
    Verb.SETTINGS: lambda lab, by: change(lab, {"retries": 9}, by),
    Verb.DRAIN: lambda lab, by: change(lab, {"drain": "finish"}, by),
    Verb.ANNOUNCE: lambda lab, by: change(lab, {"banner": "Hello"}, by),
    Verb.CLEAN_UP: lambda lab, by: cleanup.clean(lab, cleanup.parts(lab), by),
}


@pytest.mark.parametrize("column", PEOPLE)
@pytest.mark.parametrize("verb", ABOUT_THE_LAB)
def test_only_whom_the_table_names_looks_after_the_lab(lab: Lab, verb: Verb, column: str) -> None:
    before, person = lab.settings, PEOPLE[column]
    allowed = CELLS[verb, column] == "yes"
    if allowed:
        ABOUT_THE_LAB[verb](lab.seen_by(person), person.name)
    else:
        with pytest.raises(Forbidden):
            ABOUT_THE_LAB[verb](lab.seen_by(person), person.name)
    lab.reread()
    assert (lab.settings != before) == (allowed and verb in (Verb.SETTINGS, Verb.DRAIN, Verb.ANNOUNCE))
    if not allowed and verb is Verb.SERVER:
        for look in (care.people, care.happened, care.acts):
            with pytest.raises(Forbidden):
                look(lab.seen_by(person))


def test_a_private_run_has_no_name_for_others_here_and_in_what_is_foretold(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))
    lab.reread()
    secret = starts(lab, queue.submit(lab, tiny(name="secret"), "ada", private=True)).run_id
    waits = queue.submit(lab, tiny(), "bea")
    hidden = queue.submit(lab, tiny(name="secret too"), "cyd", private=True)
    bea = lab.seen_by(Person("bea", Role.PEER))
    assert [(job.name, job.run_id, job.owner) for job in care.at_work(bea)] == [("a private run", "", "ada")]
    assert [*forecast(bea)] == [waits]
    assert forecast(bea)[waits].why == "It starts after a private run, of which nobody knows yet how long it takes."
    assert secret in forecast(lab)[waits].why
    assert {one.run_id for one in care.happened(bea)} == {waits}
    trash.delete(lab, hidden, "cyd")
    (lab.trash / hidden / "large").write_bytes(bytes(1_000_000))
    assert cleanup.parts(bea) == []
    assert [part.run_id for part in cleanup.parts(lab)] == [hidden]
