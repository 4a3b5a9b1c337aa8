"""The queue as people use it: submit, order, stop, delete. No process is started."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert

from aecore.config import ConfigError, RunConfig, with_values
from aecore.jobs import local, locks, queue, states, supervisor, trash
from aecore.jobs.devices import Device
from aecore.jobs.forecast import forecast
from aecore.jobs.states import TERMINAL, Fenced, beat, claim, move
from aecore.runs import Lab, LabError, database, events, owned_by, run, runs
from tests.conftest import tiny


@pytest.fixture
def lab(either_lab: Lab) -> Lab:
    """Everything here holds on SQLite and on PostgreSQL."""
    return either_lab


def job_of(lab: Lab, run_id: str) -> queue.Job:
    return queue.jobs(lab, run_id)[0]


def test_a_submitted_run_is_in_the_table_with_its_folder(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    row = run(lab, run_id)
    assert run_id.startswith("tiny-2-")
    assert (row.owner, row.dataset, row.backbone, row.bottleneck, row.code_size) == (
        "ada",
        "digits",
        "dense",
        "vector",
        2,
    )
    assert (row.state, row.shown, row.epochs, row.eta_seconds) == ("queued", "queued", 3, None)
    assert lab.run(run_id).config() == tiny_config
    assert [(e.old, e.new, e.by) for e in events(lab, run_id)] == [("", "queued", "ada")]


def test_the_id_of_a_run_tells_what_its_name_tells_and_the_code_size_once(lab: Lab, tiny_config: RunConfig) -> None:
    name = "digits-conv, code 2, learning rate 0.001"
    ids = [queue.submit(lab, with_values(tiny_config, {"name": f"{name}{end}"}), "ada")[:-5] for end in ("", "5")]
    assert ids == [f"digits-conv-code-2-learning-rate-0-001{end}" for end in ("", "5")]
    named = lambda name: queue.submit(lab, with_values(tiny_config, {"name": name}), "ada")[:-5]
    assert [named("mine"), named("mine-2"), named("mine 20"), named("\u2603")] == [
        "mine-2",
        "mine-2",
        "mine-20-2",
        "run-2",
    ]


def test_five_clicks_make_one_run(lab: Lab, tiny_config: RunConfig) -> None:
    with ThreadPoolExecutor(5) as pool:
        ids = list(pool.map(lambda _: queue.submit(lab, tiny_config, "ada", nonce="form-1"), range(5)))
    assert len(set(ids)) == 1 == len(runs(lab)) == len(list(lab.runs_folder.iterdir()))
    assert queue.submit(lab, tiny_config, "bea", nonce="form-1") != ids[0]
    assert queue.submit(lab, tiny(training__seed=1), "ada", nonce="form-1") != ids[0]
    assert queue.submit(lab, tiny_config, "ada") != ids[0]


def test_what_does_not_fit_is_refused_and_nothing_stays_behind(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="digit"):
        queue.submit(lab, tiny(data__name="digit"), "ada")
    conv = {"model.backbone": {"kind": "conv", "channels": [4], "kernel": 9, "padding": 0}}
    with pytest.raises(ConfigError, match="kernel is 9"):
        queue.submit(lab, tiny(**{path.replace(".", "__"): value for path, value in conv.items()}), "ada")
    assert runs(lab) == []
    assert list(lab.runs_folder.iterdir()) == []


def test_the_queue_is_in_order_and_says_positions(lab: Lab) -> None:
    ids = [queue.submit(lab, tiny(training__seed=i), "ada") for i in range(3)]
    assert [job.run_id for job in queue.pending(lab)] == ids
    assert [(run_id, one.position) for run_id, one in forecast(lab).items()] == [*zip(ids, (1, 2, 3), strict=True)]
    queue.stop(lab, ids[0], "ada")
    assert {run_id: one.position for run_id, one in forecast(lab).items()} == {ids[1]: 1, ids[2]: 2}


def test_stopping_one_that_waits_cancels_it_at_once(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    assert queue.stop(lab, run_id, "bea") == "cancelled"
    row = run(lab, run_id)
    assert (row.reason_code, row.reason) == ("user", "Cancelled by bea before it started.")
    assert queue.stop(lab, run_id, "bea") == "cancelled"
    assert owned_by(row, "ada")
    assert not owned_by(row, "bea")


def test_stopping_one_that_runs_is_an_intent(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    job = job_of(lab, run_id)
    move(lab, job.id, "starting", by="supervisor")
    attempt = claim(lab, job.id, "local:x:1:1")
    assert attempt == 1
    assert queue.stop(lab, run_id, "bea") == "stopping"
    assert run(lab, run_id).state == "running"
    assert beat(lab, job.id, 1) == "cancel"
    assert states.stopper(lab, job.id) == "bea"


def test_a_deleted_run_is_gone_from_every_list_and_its_folder_is_kept_in_the_trash(
    lab: Lab, tiny_config: RunConfig
) -> None:
    run_id = queue.submit(lab, tiny_config, "ada", nonce="n")
    trash.delete(lab, run_id, "ada")
    assert runs(lab) == []
    assert (lab.trash / run_id / "config.json").exists()
    for ask in (lambda: run(lab, run_id), lambda: lab.run(run_id), lambda: queue.stop(lab, run_id, "ada")):
        with pytest.raises(LabError, match=f"Run '{run_id}' was deleted on .*aecore undelete {run_id}” brings it back"):
            ask()
    assert queue.submit(lab, tiny_config, "ada", nonce="n") != run_id


def test_a_deleted_run_keeps_its_folder_until_its_process_is_gone(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    job = job_of(lab, run_id)
    move(lab, job.id, "starting", by="supervisor")
    trash.delete(lab, run_id, "ada")
    assert (lab.runs_folder / run_id).exists()
    move(lab, job.id, "cancelled", by="supervisor")
    trash.sweep(lab)
    assert not (lab.runs_folder / run_id).exists()


def test_a_run_has_one_open_job_of_a_kind(either_lab: Lab, tiny_config: RunConfig) -> None:
    lab = either_lab
    run_id = queue.submit(lab, tiny_config, "ada")
    first = queue.submit_job(lab, run_id, "analyse", "ada")
    assert queue.submit_job(lab, run_id, "analyse", "bea") == first
    move(lab, first, "cancelled", by="bea")
    assert queue.submit_job(lab, run_id, "analyse", "bea") != first
    assert [job.kind for job in queue.jobs(lab, run_id)] == ["train", "analyse", "analyse"]


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_a_terminal_state_is_never_overwritten(lab: Lab, tiny_config: RunConfig, end: str) -> None:
    job = job_of(lab, queue.submit(lab, tiny_config, "ada"))
    move(lab, job.id, "starting", by="supervisor")
    claim(lab, job.id, "local:x:1:1")
    assert move(lab, job.id, end, by="trainer", attempt=1)
    before = job_of(lab, job.run_id)
    assert not any(move(lab, job.id, state, by="supervisor", reason="no") for state in database.STATES)
    assert claim(lab, job.id, "local:x:1:1") is None
    with pytest.raises(Fenced):
        beat(lab, job.id, 1, step=5)
    assert job_of(lab, job.run_id) == before


def test_a_second_copy_of_a_trainer_is_refused(lab: Lab, tiny_config: RunConfig) -> None:
    job = job_of(lab, queue.submit(lab, tiny_config, "ada"))
    assert claim(lab, job.id, "local:x:1:1") is None  # nobody started it
    move(lab, job.id, "starting", by="supervisor")
    assert claim(lab, job.id, "local:x:1:1") == 1
    assert claim(lab, job.id, "local:x:2:2") is None
    with pytest.raises(Fenced):
        beat(lab, job.id, 0, step=5)


def test_every_change_is_written_down(lab: Lab, tiny_config: RunConfig) -> None:
    job = job_of(lab, queue.submit(lab, tiny_config, "ada"))
    move(lab, job.id, "starting", by="supervisor")
    claim(lab, job.id, "local:x:1:1")
    move(lab, job.id, "failed", by="trainer", attempt=1, reason="It broke.", reason_code="exit")
    history = [(e.old, e.new, e.by, e.reason) for e in events(lab, job.run_id)]
    assert history == [
        ("", "queued", "ada", ""),
        ("queued", "starting", "supervisor", ""),
        ("starting", "running", "trainer", ""),
        ("running", "failed", "trainer", "It broke."),
    ]


def test_many_who_take_the_same_jobs_take_each_once(lab: Lab) -> None:
    ids = [job_of(lab, queue.submit(lab, tiny(training__seed=i), "ada")).id for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda job_id: move(lab, job_id, "starting", by="supervisor"), ids * 8))
    assert sum(taken) == len(ids)


def test_a_thousand_runs_are_listed_in_one_quick_query(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    many(lab, 1000)
    begin = time.perf_counter()
    found = runs(lab)
    seconds = time.perf_counter() - begin
    assert len(found) == 1001
    assert found[-1].id == run_id
    assert len(runs(lab, limit=10)) == 10
    assert seconds < 1  # 0.01 s here; a loaded machine must not fail it


def many(lab: Lab, count: int) -> None:
    """Rows of runs that ended long ago."""
    with database.writing(lab.engine) as connection:
        for i in range(count):
            values = {"id": f"old-{i}", "name": "old", "owner": "bea", "dataset": "digits", "backbone": "dense"}
            values |= {"bottleneck": "vector", "code_size": 2, "epochs": 3, "created": 0.0, "job_id": 10 + i}
            connection.execute(insert(database.runs).values(**values))
            state = {"id": 10 + i, "run_id": f"old-{i}", "kind": "train", "owner": "bea", "state": "completed"}
            connection.execute(insert(database.jobs).values(**state, created=0.0))


def test_the_moves_are_those_of_the_table() -> None:
    assert set(states.MOVES) == set(database.STATES)
    assert {"completed", "failed", "cancelled"} == TERMINAL


@pytest.mark.parametrize("module", ["jobs.local", "jobs.devices", "jobs.states", "cli.commands", "__main__"])
def test_what_starts_runs_and_answers_at_once_imports_no_torch(module: str) -> None:
    heavy = "{'torch', 'torchvision', 'sklearn', 'pandas', 'streamlit', 'matplotlib', 'scipy', 'sqlalchemy.dialects.postgresql'}"
    script = f"import sys, aecore.{module}; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_small_runs_share_a_gpu_where_measured_memory_fits(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.path / "settings.json").write_text('{"runs_per_gpu": 2}')
    lab = Lab.open(lab.path)
    used = 1_000_000_000

    def cards() -> list[Device]:
        return [Device("Big", "cuda", used, 8_000_000_000, 0.0, uuid) for uuid in ("A", "B")]

    monkeypatch.setattr(local, "gpus", cards)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(lab.path))
    executor = local.LocalExecutor(lab)
    assert [slot.name for slot in executor.slots[:4]] == ["gpu-0", "gpu-1", "gpu-0-2", "gpu-1-2"]
    job = queue.jobs(lab, queue.submit(lab, tiny(training__device="auto"), "ada"))[0]
    held: list[int] = []
    assert executor._acquire(job, held)[0].name == "gpu-0"
    assert executor._acquire(job, held)[0].name == "gpu-1"
    assert executor.waits(job) == "it shares no GPU before a run like it was measured"
    with database.writing(lab.engine) as connection:
        connection.execute(database.jobs.update().values(memory=2_000_000_000, device="Big"))
    assert executor._acquire(job, held)[0].name == "gpu-0-2"
    used = 7_000_000_000
    assert executor.free_slots(job) == 0
    assert executor.waits(job) == "it needs about 2 GB and Big has 1 GB free"
    locks.release(*held)


def test_a_gpu_that_somebody_else_uses_is_left_alone_and_that_is_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "gpus", lambda: [Device("Big", "cuda", 6_000_000_000, 8_000_000_000, 0.9, "A")])
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(lab.path))
    run_id = queue.submit(lab, tiny(training__device="auto"), "ada")
    supervisor.dispatch(lab, local.LocalExecutor(lab), queue.pending(lab))
    assert run(lab, run_id).state == "queued"
    assert run(lab, run_id).reason == "Waits: another program has 6 GB of Big."
