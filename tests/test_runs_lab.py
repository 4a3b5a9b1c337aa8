"""A lab's folder: opening, settings, and what is said where it cannot be used."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from aecore.config import ConfigError
from aecore.config.lab import LabSettings
from aecore.runs import Lab, LabError, database


def test_opening_makes_the_lab_and_opening_again_finds_it(tmp_path: Path) -> None:
    assert Lab.open(tmp_path / "a" / "lab").path == Lab.open(tmp_path / "a" / "lab").path
    assert {"runs", "presets", "data", "trash", "lab.sqlite"} <= {p.name for p in (tmp_path / "a" / "lab").iterdir()}


def test_the_labs_own_data_folder_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELAB_DATA", f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    lab = Lab.open(tmp_path / "lab")
    assert lab.data_roots == (tmp_path / "one", tmp_path / "two", tmp_path / "lab" / "data")
    assert Lab.open(tmp_path / "lab", lab.data_root).data_roots == lab.data_roots
    assert Lab.open(tmp_path / "lab", tmp_path / "three").data_roots == (tmp_path / "three", tmp_path / "lab" / "data")


def test_the_variable_names_the_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELAB_HOME", str(tmp_path / "mine"))
    assert Lab.open().path == tmp_path / "mine"


def test_a_lab_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LabError, match=r"The lab folder .*file cannot be used: .*--lab DIR"):
        Lab.open(tmp_path / "file")
    with pytest.raises(LabError, match=r"cannot be used: Not a directory"):
        Lab.open(tmp_path / "file" / "lab")


@pytest.mark.parametrize("wrong", ["", "..", "a/b", "a" * 256, "é" * 200, "a\0b"])
def test_what_no_folder_can_be_called_is_no_run(lab: Lab, wrong: str) -> None:
    with pytest.raises(LabError):
        lab.run(wrong)


def test_a_damaged_database_is_a_sentence(tmp_path: Path) -> None:
    Lab.open(tmp_path / "lab")
    (tmp_path / "lab" / "lab.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(LabError, match=r"cannot be used: its database says: file is not a database"):
        Lab.open(tmp_path / "lab")


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab")
    with database.writing(lab.engine) as connection:
        connection.execute(text("PRAGMA user_version = 99"))
    with pytest.raises(LabError, match=r"made by a newer version .*update the program"):
        Lab.open(tmp_path / "lab")


def test_settings_are_read_and_checked(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab")
    assert lab.settings == LabSettings()
    assert lab.settings.cpu_slots >= 1
    assert lab.settings.side_slots == min(2, lab.settings.cpu_slots), "two analyses at once, where there are two cores"
    settings = lab.path / "settings.json"
    settings.write_text(json.dumps({"cpu_slots": 3}))
    assert Lab.open(lab.path).settings.cpu_slots == 3
    settings.write_text(json.dumps({"cpu_slot": 3}))
    with pytest.raises(
        (LabError, ConfigError), match=r"settings.json: cpu_slot is not a known field: did you mean cpu_slots"
    ):
        Lab.open(lab.path)


@pytest.mark.parametrize("run_id", ["", "..", "nope", "../runs", "a/b"])
def test_an_unknown_run_is_a_sentence(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(LabError, match=r"There is no run .* in .*lab"):
        Lab.open(tmp_path / "lab").run(run_id)


def test_the_database_is_durable_and_shared(tmp_path: Path) -> None:
    with database.reading(Lab.open(tmp_path / "lab").engine) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
