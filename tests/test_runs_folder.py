"""A run's folder: what is written is read back, and never half of it."""

import errno
import io
from collections import OrderedDict
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from aecore.config import ConfigError, RunConfig
from aecore.runs import Inputs, RunFolder, SampleFile, columns, files


@pytest.fixture
def folder(tmp_path: Path, tiny_config: RunConfig) -> RunFolder:
    made = RunFolder(tmp_path / "run-1")
    made.create(tiny_config)
    return made


def test_a_new_folder_holds_its_config_and_nothing_else(folder: RunFolder, tiny_config: RunConfig) -> None:
    assert folder.id == "run-1"
    assert folder.config() == tiny_config
    assert (folder.model(), folder.facts(), folder.result(), folder.inputs(), folder.sample(0)) == (None,) * 5
    assert (folder.metrics(), folder.timing(), folder.sample_steps()) == (([], 0), ([], 0), [])
    assert (folder.log(), folder.analysis("test"), folder.analysis_metrics()) == ("", None, None)


def test_a_missing_config_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="configuration of run gone cannot be read"):
        RunFolder(tmp_path / "gone").config()


def test_metrics_are_read_on_from_where_one_was(folder: RunFolder) -> None:
    folder.append_metrics([(0, 0, "val", "loss", 0.25)])
    first, after = folder.metrics()
    folder.append_metrics([(1, 1, "train", "loss", 0.125), (1, 1, "train", "kl", float("inf"))])
    second, end = folder.metrics(after)
    assert first == [(0, 0, "val", "loss", 0.25)]
    assert second == [(1, 1, "train", "loss", 0.125), (1, 1, "train", "kl", float("inf"))]
    assert end == (folder.path / "metrics.csv").stat().st_size
    assert folder.metrics(end) == ([], end)


def test_a_line_that_is_being_written_waits_for_the_next_call(folder: RunFolder) -> None:
    folder.append_metrics([(0, 0, "val", "loss", 0.5)])
    with (folder.path / "metrics.csv").open("a") as file:
        file.write("1,1,train,lo")
    rows, after = folder.metrics()
    with (folder.path / "metrics.csv").open("a") as file:
        file.write("ss,0.25\n")
    assert len(rows) == 1
    assert folder.metrics(after)[0] == [(1, 1, "train", "loss", 0.25)]


def test_nine_digits_say_a_32_bit_float_exactly(folder: RunFolder) -> None:
    values = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    folder.append_metrics((i, 1, "train", "loss", float(value)) for i, value in enumerate(values))
    assert [np.float32(row[4]) for row in folder.metrics()[0]] == values.tolist()


def test_samples_and_inputs_come_back(folder: RunFolder) -> None:
    x = np.arange(2 * 16, dtype=np.uint8).reshape(2, 1, 4, 4)
    inputs = Inputs(x, np.array([3, 4]), np.array([7, 8]), np.array([3, 4, 5]), np.array([7, 8, 9]), "val")
    folder.write_inputs(inputs)
    folder.write_sample(SampleFile(x, np.ones((3, 2), np.float32), np.ones(5, np.float32), 0, 0, 0.0), 12, 2, 1.5)
    back, sample = folder.inputs(), folder.sample(12)
    assert back is not None
    assert sample is not None
    assert (back.split, back.images.dtype, sample.step, sample.epoch, sample.seconds) == ("val", np.uint8, 12, 2, 1.5)
    assert np.array_equal(back.images, x)
    assert back.seen is None, "as in the folders of older runs"
    folder.write_inputs(inputs._replace(seen=x + 1))
    again = folder.inputs()
    assert again is not None
    assert again.seen is not None
    assert np.array_equal(again.seen, x + 1)
    assert np.array_equal(sample.x_hat, x)
    assert folder.sample_steps() == [12]


def test_an_analysis_replaces_the_old_one_as_a_whole(folder: RunFolder) -> None:
    folder.write_analysis({"val": {"codes": np.zeros((1, 2))}, "test": {"codes": np.zeros((1, 2))}}, {"n": 1})
    folder.write_analysis({"test": {"codes": np.ones((1, 2))}}, {"n": 2})
    assert folder.analysis("val") is None
    test = folder.analysis("test")
    assert test is not None
    assert test["codes"].tolist() == [[1, 1]]
    assert folder.analysis_metrics() == {"n": 2}
    assert [path.name for path in folder.path.iterdir() if "analysis" in path.name] == ["analysis"]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside(folder: RunFolder) -> None:
    def fill(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    folder.write_result({"loss": 1})
    before = sorted(folder.path.iterdir())
    with pytest.raises(OSError, match="No space left"):
        files.write(folder.path / "result.json", fill)
    assert folder.result() == {"loss": 1}
    assert sorted(folder.path.iterdir()) == before


def test_the_log_gives_its_last_lines(folder: RunFolder) -> None:
    folder.log_path.write_text("".join(f"line {i}\n" for i in range(5000)))
    assert folder.log(2) == "line 4998\nline 4999"


def test_rows_whose_file_cannot_be_closed_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    end = folder.append_metrics([(1, 1, "train", "loss", 0.5)])

    class Full(io.FileIO):
        def close(self) -> None:
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, *_, **__: Full(self, "ab"))
    with pytest.raises(OSError, match="No space"):
        folder.append_metrics([(2, 1, "train", "loss", 0.5)])
    monkeypatch.undo()
    assert (tmp_path / "metrics.csv").stat().st_size == end


def test_columns_hold_the_rows_of_the_file_however_it_grows(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "PIECE", 64)
    growing = columns.Growing()
    rows = [
        (step, 1 + step // 7, *name, step / 3) for step in range(40) for name in (("train", "loss"), ("val", "mse"))
    ]
    handed = []
    for begin in range(0, 80, 20):
        end = folder.append_metrics(rows[begin : begin + 20])
        handed.append(growing.read_on(folder, end))
    with (folder.path / "metrics.csv").open("a") as file:
        file.write("41,7,train,lo")  # which is being written
    whole = growing.read_on(folder, end + 13)
    assert [len(each.rows()) for each in handed] == [20, 40, 60, 80]
    assert handed[0].rows() == folder.metrics()[0][:20]
    assert (whole.rows(), whole.end) == (folder.metrics()[0], end)
    assert whole.at(np.array([3])).rows() == folder.metrics()[0][3:4]


def test_a_damaged_row_whose_number_is_too_large_is_told_as_one_that_is_none(folder: RunFolder) -> None:
    for row in ("1,3000000000,train,loss,0.5\n", f"{2**70},1,train,loss,0.5\n"):
        (folder.path / "metrics.csv").write_text(f"step,epoch,split,name,value\n{row}")
        with pytest.raises(ValueError, match=r"metrics\.csv is no step and no epoch"):
            columns.Growing().read_on(folder, (folder.path / "metrics.csv").stat().st_size)


def test_of_many_long_curves_the_last_ones_are_kept(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    end = folder.append_metrics([(step, 1, "train", "loss", 0.5) for step in range(10)])
    monkeypatch.setattr(columns, "_kept", kept := OrderedDict())
    for attempt in range(20):
        assert len(columns.read_on(folder, attempt, 7, end).step) == 10
    assert [attempt for _, attempt, _ in kept] == list(range(20 - columns.RUNS, 20))
    monkeypatch.setattr(columns, "ROWS", 25)
    columns.read_on(folder, 19, 7, end)
    assert [attempt for _, attempt, _ in kept] == [18, 19]
    assert len(columns.read_on(folder, 0, 0, 0).step) == 0, "no file"
    assert len(kept) == 2
