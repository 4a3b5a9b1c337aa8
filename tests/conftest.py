"""What many tests need: a lab of their own, a tiny configuration, and runs that are already trained."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aecore.config import RunConfig, parse, with_values
from aecore.jobs import queue
from aecore.jobs.foreground import train_here
from aecore.jobs.supervisor import running, stop_supervisor
from aecore.runs import Lab, LabError, RunFolder, database
from tests import postgresql

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if not any(Path("/dev").glob("nvidia*")) and not Path("/dev/dxg").exists():
    os.environ["TRITON_INTERPRET"] = (
        "1"  # without a GPU; before anything imports Triton, whose own functions it is about, too
    )


class TrainedRun(NamedTuple):
    """A finished and analysed run on `digits`. `lab` is shared by the whole session: only read it."""

    lab: Lab
    id: str
    folder: RunFolder


class TwoRuns(NamedTuple):
    """Two finished runs on `digits`, code sizes 2 and 4, in one lab of the session."""

    lab: Lab
    ids: tuple[str, str]
    folders: tuple[RunFolder, RunFolder]


def tiny(**values: object) -> RunConfig:
    """A model that learns `digits` in about a second; `values` are paths with '__' for '.'."""
    config = parse(
        {
            "name": "tiny",
            "data": {"name": "digits"},
            "model": {
                "backbone": {"kind": "dense", "widths": [32]},
                "bottleneck": {"kind": "vector", "latent_dim": 2},
                "objective": {"kind": "reconstruction", "loss": "mse"},
            },
            "training": {"epochs": 3, "batch_size": 64, "learning_rate": 0.005, "device": "cpu"},
        }
    )
    return with_values(config, {path.replace("__", "."): value for path, value in values.items()})


def close(lab: Lab) -> None:
    """Leave no process behind: stop what runs, wait for it, then stop the supervisor."""
    for run_id in {job.run_id for job in (*queue.pending(lab), *queue.live(lab))}:
        with suppress(LabError):  # it was deleted, and so asked to stop already
            queue.stop(lab, run_id, "test")
    end = time.monotonic() + 30
    while queue.live(lab) and running(lab) and time.monotonic() < end:
        time.sleep(0.05)
    stop_supervisor(lab)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An empty lab of this test's own."""
    made = Lab.open(tmp_path / "lab")
    yield made
    close(made)


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    """A PostgreSQL; the test is skipped where there is none."""
    with postgresql.running() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def either_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """An empty lab of this test's own, on SQLite and then on PostgreSQL."""
    path = tmp_path / "lab"
    if request.param == "postgresql":
        path.mkdir()
        url = request.getfixturevalue("server").new_database()
        (path / "settings.json").write_text(json.dumps({"database": url}))
    made = Lab.open(path)
    yield made
    close(made)
    made.engine.dispose()


def dump(lab: Lab) -> dict[str, list[dict[str, Any]]]:
    """Every row of the database."""
    with database.reading(lab.engine) as connection:
        return {
            table.name: [
                dict(row) for row in connection.execute(table.select().order_by(*table.primary_key)).mappings()
            ]
            for table in (database.runs, database.jobs, database.events)
        }


@pytest.fixture
def tiny_config() -> RunConfig:
    """A second of training on `digits`, code size 2."""
    return tiny()


@pytest.fixture(scope="session")
def session_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab of the trained runs. Do not change it: copy its folder where a test must."""
    made = Lab.open(tmp_path_factory.mktemp("session") / "lab")
    yield made
    close(made)


@pytest.fixture(scope="session")
def trained_run(session_lab: Lab) -> TrainedRun:
    """A run that was trained and analysed: code size 2."""
    run_id = train_here(session_lab, tiny(), "ada")
    return TrainedRun(session_lab, run_id, session_lab.run(run_id))


@pytest.fixture
def copy(trained_run: TrainedRun, tmp_path: Path) -> Iterator[TrainedRun]:
    """The trained run in a lab of the test's own, to change it or take things away."""
    shutil.copytree(trained_run.lab.path, tmp_path / "lab", ignore=shutil.ignore_patterns("locks", "*.lock"))
    own = Lab.open(tmp_path / "lab")
    yield TrainedRun(own, trained_run.id, own.run(trained_run.id))
    close(own)


@pytest.fixture(scope="session")
def denoiser(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A run that denoises and did not learn the digits 0 and 7, in a lab of its own."""
    here = Lab.open(tmp_path_factory.mktemp("denoiser") / "lab")
    config = tiny(
        name="denoiser",
        task__kind="denoise",
        training__classes=("1", "2", "3", "4", "5", "6", "8", "9"),
        training__epochs=20,
        model__bottleneck__latent_dim=16,
    )
    run_id = train_here(here, config, "cyd")
    return TrainedRun(here, run_id, here.run(run_id))


@pytest.fixture(scope="session")
def two_runs(session_lab: Lab, trained_run: TrainedRun) -> TwoRuns:
    """Two runs that differ in their code size."""
    other = train_here(session_lab, tiny(model__bottleneck__latent_dim=4), "bea")
    ids = (trained_run.id, other)
    return TwoRuns(session_lab, ids, (session_lab.run(ids[0]), session_lab.run(other)))
