"""The findings of a run that goes on: its curve is read on from where it was read, and anew where it was cut."""

from dataclasses import replace
from pathlib import Path

import pytest

from aecore.runs import RunFolder, RunRow, runs
from aecore.runs.folder import MetricRow
from aecore.runs.health import health
from tests.conftest import TrainedRun
from tests.test_health import FALLING, falls, rows
from ui import healing, shared


@pytest.fixture
def going(copy: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> RunRow:
    monkeypatch.setenv("AELAB_HOME", str(copy.lab.path))
    for sample in copy.folder.sample_steps():
        copy.folder.sample_path(sample).unlink()
    return replace(runs(copy.lab, [copy.id])[0], state="running")


def written(folder: RunFolder, content: list[MetricRow]) -> None:
    """Another file at the place of metrics.csv, as a run leaves it that goes on from a checkpoint."""
    new = RunFolder(folder.path / "new")
    new.path.mkdir(exist_ok=True)
    new.append_metrics(content)
    Path(new.path / "metrics.csv").replace(folder.path / "metrics.csv")


def test_a_growing_curve_is_read_on_and_says_the_same(
    going: RunRow, copy: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, asked = rows(falls(30), FALLING[:4]), []
    later = rows([0.7, 1e8, *falls(48), *[0.3] * 50], FALLING)
    metrics = RunFolder.metrics

    def counted(folder: RunFolder, after: int = 0) -> tuple[list[MetricRow], int]:
        asked.append(after)
        return metrics(folder, after)

    monkeypatch.setattr(RunFolder, "metrics", counted)
    written(copy.folder, begun)
    config = copy.folder.config()
    assert list(healing.run_health(going)) == health(begun, config, ended=False)
    copy.folder.append_metrics(later)
    shared.forget()
    found = list(healing.run_health(going))
    assert found == health(begun + later, config, ended=False)
    assert found[0].rule == "learning rate too high"
    assert asked[0] == 0 < asked[1], "the second time from where the first ended"


def test_a_curve_that_was_cut_is_read_anew(going: RunRow, copy: TrainedRun) -> None:
    wild, tame = rows([0.7, 1e8, *falls(48)]), rows(falls(30))
    for content in (wild, tame):
        written(copy.folder, content)
        shared.forget()
        assert list(healing.run_health(going)) == health(content, copy.folder.config(), ended=False)
