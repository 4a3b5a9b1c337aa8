"""A backup is taken while runs train, and restored into a new folder it is the same lab."""

import io
import json
import os
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aecore
from aecore import manifest
from aecore.config import RunConfig
from aecore.jobs import queue, trash
from aecore.jobs.supervisor import ensure_supervisor
from aecore.runs import Lab, LabError, backup, run, runs
from tests.conftest import TrainedRun, dump, tiny
from tests.postgresql import Server


@pytest.fixture
def full_lab(lab: Lab, trained_run: TrainedRun) -> Lab:
    """A lab with a trained run, one that waits, one that was deleted, settings and a preset."""
    shutil.copytree(trained_run.folder.path, lab.runs_folder / trained_run.id)
    for path in lab.path.glob("lab.sqlite*"):
        path.unlink()
    (lab.path / "settings.json").write_text(json.dumps({"warm": 0}))
    (lab.presets_folder / "mine.json").write_text("{}")
    found = Lab.open(lab.path)
    queue.submit(found, tiny(training__seed=1), "bea")
    trash.delete(found, queue.submit(found, tiny(training__seed=2), "ada"), "ada")
    return found


def test_a_restored_lab_is_the_same_lab(full_lab: Lab, trained_run: TrainedRun, tmp_path: Path) -> None:
    kept = backup.backup(full_lab, tmp_path / "lab.tar")
    assert (kept.runs, kept.bytes) == (3, (tmp_path / "lab.tar").stat().st_size)
    assert (tmp_path / "lab.tar").stat().st_mode & 0o777 == 0o600
    assert backup.restore(tmp_path / "lab.tar", tmp_path / "new").runs == 3
    back = Lab.open(tmp_path / "new")
    assert dump(back) == dump(full_lab)
    assert back.settings == full_lab.settings
    assert (back.presets_folder / "mine.json").read_text() == "{}"
    assert [run.id for run in trash.deleted(back)] == [path.name for path in back.trash.iterdir()]
    images = np.zeros((2, 1, 8, 8), np.uint8)
    there, here = (aecore.load(each.run(trained_run.id).path).encode(images) for each in (full_lab, back))
    assert np.array_equal(there, here)
    names = {str(path.relative_to(full_lab.path)) for path in full_lab.runs_folder.rglob("*") if path.suffix != ".lock"}
    assert {str(path.relative_to(back.path)) for path in back.runs_folder.rglob("*")} == names


def test_a_backup_replaces_an_older_one_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    target = tmp_path / "lab.tar"
    assert not backup.backup(lab, target).replaced
    target.write_bytes(target.read_bytes()[:3000])  # it was cut off, which the new one mends
    assert backup.backup(lab, target).replaced
    backup.restore(target, tmp_path / "new")
    (tmp_path / "thesis.tex").write_text("years of work")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(tmp_path / "thesis.tex")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "thesis.tex")
    known = {path: path.lstat() for path in tmp_path.iterdir()}
    for name in ("thesis.tex", "other.tar", "empty", "pipe", "link", "", "new"):
        with pytest.raises(LabError, match=r"is there already, and is no backup of a lab"):
            backup.backup(lab, tmp_path / name if name else Path())
    assert {path: path.lstat() for path in tmp_path.iterdir()}.keys() == known.keys()
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_backup_while_a_run_trains_restores_a_run_that_can_be_loaded(lab: Lab, tmp_path: Path) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"warm": 0, "checkpoint_steps": 10, "checkpoint_share": 1}))
    run_id = queue.submit(lab, tiny(training__epochs=100_000), "ada")
    ensure_supervisor(lab)
    end = time.monotonic() + 60
    while (queue.jobs(lab, run_id)[0].checkpoint_step or 0) < 50 and time.monotonic() < end:
        time.sleep(0.05)
    for i in range(8):
        rows, step = len(lab.run(run_id).metrics()[0]), queue.jobs(lab, run_id)[0].checkpoint_step or 0
        backup.backup(lab, tmp_path / "lab.tar")
        backup.restore(tmp_path / "lab.tar", tmp_path / str(i))
        back = Lab.open(tmp_path / str(i))
        assert run(back, run_id).state == "running"
        assert len(back.run(run_id).metrics()[0]) >= rows
        newest, damaged = manifest.survey(back.run(run_id).checkpoints)
        assert damaged == []
        assert newest is not None
        assert manifest.step_of(newest) >= step
        assert aecore.load(back.run(run_id).path).checkpoint == newest
        assert not [path for path in back.path.rglob("*") if path.name.endswith((".lock", ".room", ".tmp"))]


def test_where_every_checkpoint_that_was_seen_is_gone_the_newer_ones_are_taken(
    full_lab: Lab, trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plain, moved = full_lab.run(trained_run.id).checkpoints, backup._add_checkpoint, []

    def add(tar: tarfile.TarFile, path: Path, name: str) -> bool:
        if not moved:
            for old in list(folder.iterdir()):
                moved.append(old.rename(folder / f"9{old.name}"))
        return plain(tar, path, name)

    monkeypatch.setattr(backup, "_add_checkpoint", add)
    backup.backup(full_lab, tmp_path / "lab.tar")
    backup.restore(tmp_path / "lab.tar", tmp_path / "new")
    kept = Lab.open(tmp_path / "new").run(trained_run.id).checkpoints
    assert sorted(path.name for path in kept.iterdir()) == sorted(path.name for path in moved)


def test_a_file_that_grows_or_is_cut_while_it_is_read_breaks_nothing(
    full_lab: Lab, trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = full_lab.runs_folder / trained_run.id
    whole = (folder / "metrics.csv").read_bytes()
    plain = backup._Exactly.read

    def read(self: Any, size: int) -> bytes:
        if self.file.name.endswith("metrics.csv"):
            with (folder / "metrics.csv").open("ab") as file:
                file.write(b"more")
        if self.file.name.endswith("log.txt"):
            (folder / "log.txt").write_bytes(b"")
        return plain(self, size)

    (folder / "log.txt").write_text("a line\n" * 10)
    monkeypatch.setattr(backup._Exactly, "read", read)
    backup.backup(full_lab, tmp_path / "lab.tar")
    backup.restore(tmp_path / "lab.tar", tmp_path / "new")
    back = tmp_path / "new" / "runs" / trained_run.id
    assert (back / "metrics.csv").read_bytes() == whole
    assert (back / "log.txt").stat().st_size == 70


def test_a_backup_holds_no_address_of_a_database(
    lab: Lab, server: Server, tiny_config: RunConfig, tmp_path: Path
) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"database": server.new_database(), "cpu_slots": 3}))
    there = Lab.open(lab.path)
    run_id = queue.submit(there, tiny_config, "ada")
    backup.backup(there, tmp_path / "lab.tar")
    assert b"open-sesame" not in (tmp_path / "lab.tar").read_bytes()
    backup.restore(tmp_path / "lab.tar", tmp_path / "new")
    back = Lab.open(tmp_path / "new")
    assert back.settings.cpu_slots == 3
    assert back.engine.dialect.name == "sqlite"
    assert dump(back) == dump(there)
    assert run(back, run_id).owner == "ada"
    there.engine.dispose()


def test_a_folder_that_is_in_use_is_refused(full_lab: Lab, tmp_path: Path) -> None:
    backup.backup(full_lab, tmp_path / "lab.tar")
    with pytest.raises(LabError, match=r"The folder .* is not empty: a backup is restored into a new one"):
        backup.restore(tmp_path / "lab.tar", full_lab.path)
    assert len(runs(full_lab)) == 2


def test_a_backup_that_cannot_be_written_leaves_the_older_one(full_lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"nowhere/lab.tar could not be written: No such file or directory"):
        backup.backup(full_lab, tmp_path / "nowhere" / "lab.tar")
    (tmp_path / "lab.tar").mkdir()
    with pytest.raises(LabError, match=r"lab.tar is there already, and is no backup"):
        backup.backup(full_lab, tmp_path / "lab.tar")
    assert [path.name for path in tmp_path.iterdir() if path.name != "lab"] == ["lab.tar"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_backup_that_was_cut_off_is_refused_and_leaves_nothing(full_lab: Lab, tmp_path: Path, share: float) -> None:
    backup.backup(full_lab, tmp_path / "lab.tar")
    whole = (tmp_path / "lab.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(LabError, match=r"cut.tar is no"):
        backup.restore(tmp_path / "cut.tar", tmp_path / "made" / "new")
    assert not (tmp_path / "made").exists()
    (tmp_path / "new").mkdir()
    with pytest.raises(LabError, match=r"cut.tar is no"):
        backup.restore(tmp_path / "cut.tar", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_backup_that_was_cut_off_between_two_files_is_refused_too(full_lab: Lab, tmp_path: Path) -> None:
    backup.backup(full_lab, tmp_path / "lab.tar")
    with tarfile.open(tmp_path / "lab.tar") as tar:
        places = [member.offset for member in tar][1:]
    for place in places[:: len(places) // 4] + places[-1:]:
        (tmp_path / "cut.tar").write_bytes((tmp_path / "lab.tar").read_bytes()[:place])
        with pytest.raises(LabError, match="it was cut off"):
            backup.restore(tmp_path / "cut.tar", tmp_path / "new")


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 2 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("/tmp/evil"),
        member("runs/../../evil"),
        member("../evil"),
        member("evil"),
        member("lab.sqlite"),
        member("runs/link", tarfile.SYMTYPE, "/etc"),
        member("runs/hard", tarfile.LNKTYPE, "settings.json"),
        member("runs/pipe", tarfile.FIFOTYPE),
        member("runs/device", tarfile.CHRTYPE),
    ],
    ids=lambda bad: bad.name,
)
def test_what_no_lab_has_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    label = b'{"layout": 2, "runs": 0}'
    first = member("backup.json")
    first.size = len(label)
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(first, io.BytesIO(label))
        tar.addfile(bad, io.BytesIO(b"{}"))
    with pytest.raises(LabError, match="which no lab has"):
        backup.restore(tmp_path / "evil.tar", tmp_path / "deep" / "new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["evil.tar"]


@pytest.mark.parametrize(
    ("label", "sentence"),
    [(b"", "is not a backup"), (b"[]", "is not a backup"), (b'{"layout": 99, "runs": 1}', "newer version")],
)
def test_another_tar_file_is_no_backup(tmp_path: Path, label: bytes, sentence: str) -> None:
    first = member("backup.json")
    first.size = len(label)
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.addfile(first, io.BytesIO(label))
    with pytest.raises(LabError, match=sentence):
        backup.restore(tmp_path / "other.tar", tmp_path / "new")
    with pytest.raises(LabError, match="No such file"):
        backup.restore(tmp_path / "nothing.tar", tmp_path / "new")
