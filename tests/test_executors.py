"""What every engine must do, on real ones: this machine's, and a Slurm of two nodes. Real supervisor, real trainers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from aecore import manifest
from aecore.config import ConfigError, RunConfig
from aecore.config.lab import LabSettings
from aecore.jobs import queue, states, steer
from aecore.jobs.dispatch import start
from aecore.jobs.executor import Status
from aecore.jobs.forecast import forecast
from aecore.jobs.queue import Job
from aecore.jobs.slurm import SlurmExecutor
from aecore.jobs.squeue import Entry
from aecore.jobs.supervisor import Supervisor, ensure_supervisor, running
from aecore.runs import Lab, LabError, RunRow, events, run
from aecore.runs.tables import WAITS
from tests import postgresql
from tests.conftest import close, tiny
from tests.slurm import Cluster, started_cluster  # noqa: F401

PATIENCE = 300
"""Seconds: importing torch takes two on a quiet machine, and a test machine is not quiet."""


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def until_state(lab: Lab, run_id: str, *wanted: str) -> RunRow:
    until(lambda: run(lab, run_id).state in (*wanted, "failed"), f"{run_id} to be {wanted}")
    row = run(lab, run_id)
    assert row.state in wanted, row.reason
    return row


def long(**values: object) -> RunConfig:
    """A run that does not end by itself."""
    return tiny(training__epochs=100_000, **values)


def job_of(lab: Lab, run_id: str) -> Job:
    return queue.jobs(lab, run_id)[0]


def until_trains(lab: Lab, run_id: str, beyond: int = 0) -> None:
    until(lambda: run(lab, run_id).state == "running" and run(lab, run_id).step > beyond, f"{run_id} to train")


def content(lab: Lab, run_id: str) -> dict[str, str]:
    """Digests of what must not depend on interruptions: the metrics and the last checkpoint's tensors."""
    folder = lab.run(run_id)
    newest = manifest.newest(folder.checkpoints)
    assert newest is not None
    return {
        path.name: manifest.digest_of(path) for path in (folder.path / "metrics.csv", *newest.glob("*.safetensors"))
    }


class Local:
    """This machine as an engine."""

    name = "local"

    def lab(self, lab: Lab, places: int = 1, **values: object) -> Lab:
        """The lab with this engine, and places for so many runs at once."""
        settings = {"cpu_slots": places, "warm": 0, **values}
        (lab.path / "settings.json").write_text(json.dumps(settings))
        return Lab.open(lab.path)

    def pid(self, lab: Lab, run_id: str) -> int:
        """The process that trains."""
        return int((job_of(lab, run_id).engine_ref or "").split(":")[2])

    def take_away(self, lab: Lab, run_id: str) -> None:
        """What happens when the engine wants the run's place."""
        os.kill(self.pid(lab, run_id), signal.SIGTERM)


class Slurm:
    """A real Slurm as an engine."""

    name = "slurm"

    def __init__(self, cluster: Cluster):
        self.cluster = cluster

    def lab(self, lab: Lab, places: int = 1, slurm: dict[str, object] | None = None, **values: object) -> Lab:
        asked = {"partition": "one" if places == 1 else "lab", "cpus": 1, "gpus": 0, "memory": "", "poll_seconds": 0.3}
        asked |= {"options": ["--exclusive"], "timeout_seconds": 2} | (slurm or {})
        (lab.path / "settings.json").write_text(json.dumps({"executor": "slurm", "slurm": asked, **values}))
        return Lab.open(lab.path)

    def pid(self, lab: Lab, run_id: str) -> int:
        wanted = str(lab.runs_folder / run_id)
        found = [p for p in psutil.process_iter(["cmdline"]) if wanted in (p.info["cmdline"] or [])]
        assert len(found) == 1, f"{len(found)} processes train {run_id}"
        return int(found[0].pid)

    def take_away(self, lab: Lab, run_id: str) -> None:
        self.cluster.call("sbatch", "-p", "urgent", "-N", "2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")


@pytest.fixture(params=["local", "slurm"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Local | Slurm:
    """The engine under test."""
    return Local() if request.param == "local" else request.getfixturevalue("slurm")


@pytest.fixture
def slurm(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, cluster.environment[name])
    yield Slurm(cluster)
    cluster.call("scancel", "--user=root")


@pytest.fixture
def lab(tmp_path: Path, engine: Local | Slurm) -> Iterator[Lab]:
    """An empty lab, closed while its engine still answers."""
    made = Lab.open(tmp_path / "lab")
    yield made
    close(made)


def test_several_processes_train_one_run_and_are_paused_and_resumed(engine: Local | Slurm, lab: Lab) -> None:
    lab = engine.lab(lab, places=2)
    shared = {"training__epochs": 40, "training__engine": "eager"}  # several processes always are, and rounding differs
    one, two = (queue.submit(lab, tiny(**shared, training__processes=count), "ada") for count in (1, 2))
    ensure_supervisor(lab)
    until_trains(lab, two)
    steer.pause(lab, two, "ada")
    until_state(lab, two, "paused")
    steer.resume(lab, two, "ada")
    for run_id in (one, two):
        until_state(lab, run_id, "completed")
    rows, others = (lab.run(run_id).metrics()[0] for run_id in (one, two))
    assert [row[:4] for row in others] == [row[:4] for row in rows]
    of_one, of_two = ([row[4] for row in found] for found in (rows, others))
    assert of_two[:600] == pytest.approx(of_one[:600], rel=1e-4)
    assert of_two == pytest.approx(of_one, rel=2e-2)  # rounding grows with the steps, on some processors to 0.6 %


def test_runs_start_in_order_wait_in_words_are_cancelled_and_stopped(engine: Local | Slurm, lab: Lab) -> None:
    lab = engine.lab(lab)
    first, second, third = (queue.submit(lab, config, "ada") for config in (long(), long(), tiny()))
    ensure_supervisor(lab)
    until_trains(lab, first)
    if engine.name == "slurm":
        until(lambda: job_of(lab, second).reason.startswith("Waits: in Slurm as number 1: "), "Slurm's words")
        until(lambda: job_of(lab, third).reason.startswith("Waits: in Slurm as number 2: "), "Slurm's words")
    assert run(lab, second).state in ("queued", "starting")
    queue.stop(lab, second, "ada")
    assert until_state(lab, second, "cancelled").started is None
    queue.stop(lab, first, "bea")
    row = until_state(lab, first, "cancelled")
    assert row.reason == f"Stopped by bea at step {row.step:,}; the model was saved."
    assert manifest.newest(lab.run(first).checkpoints) == lab.run(first).checkpoints / f"{row.step:08d}-1"
    row = until_state(lab, third, "completed")
    assert row.started is not None
    until(lambda: queue.jobs(lab, third)[-1].kind == "analyse", "the side job")
    until(lambda: queue.jobs(lab, third)[-1].state == "completed", "the analysis")
    assert [e.new for e in events(lab, third) if e.kind == "train"] == ["queued", "starting", "running", "completed"]


def test_the_next_slot_goes_to_who_has_used_least_and_a_full_quota_is_said(engine: Local | Slurm, lab: Lab) -> None:
    lab = engine.lab(lab, slurm={"waiting": 2}, per_person={"waiting": 2})
    first = queue.submit(lab, long(), "ada")
    ensure_supervisor(lab)
    until_trains(lab, first)
    second, third = (queue.submit(lab, long(), "ada") for _ in range(2))
    if engine.name == "slurm":
        until(
            lambda: all(job_of(lab, one).reason.startswith(WAITS) for one in (second, third)), "both to wait in Slurm"
        )
    with pytest.raises(LabError, match="ada has 2 runs waiting, and a person may have 2 here"):
        queue.submit(lab, long(), "ada")
    other = queue.submit(lab, long(), "bea")
    assert [*forecast(lab)] == [other, second, third]
    if engine.name == "slurm":
        order = (other, second, third)
        until(lambda: [job_of(lab, one).state for one in order] == ["starting"] * 2 + ["queued"], "one to come back")
    queue.stop(lab, first, "ada")
    until_trains(lab, other)
    assert [*forecast(lab)] == [second, third]


def test_a_run_that_was_killed_paused_and_displaced_ends_like_one_that_was_not(engine: Local | Slurm, lab: Lab) -> None:
    lab = engine.lab(lab, 2, checkpoint_steps=20, checkpoint_share=1, retries=1000)
    config = tiny(training__epochs=400)
    hurt = queue.submit(lab, config, "ada")
    ensure_supervisor(lab)
    until_trains(lab, hurt, 50)
    os.kill(engine.pid(lab, hurt), signal.SIGKILL)
    until(lambda: job_of(lab, hurt).attempt == 2, "the second attempt")
    until_trains(lab, hurt, 100)
    steer.pause(lab, hurt, "bea")
    step = until_state(lab, hurt, "paused").step
    assert steer.resume(lab, hurt, "ada") == "queued"
    until_trains(lab, hurt, step)
    crashes, attempt = job_of(lab, hurt).crashes, job_of(lab, hurt).attempt
    engine.take_away(lab, hurt)
    until(lambda: job_of(lab, hurt).attempt == attempt + 1, "the attempt after it was displaced")
    assert job_of(lab, hurt).crashes == crashes
    said = [event.reason for event in events(lab, hurt)]
    assert sum("was killed with SIGKILL" in text and "It goes on from step" in text for text in said) == 1
    assert sum(text.startswith("The run's process was told to leave from outside. It goes on") for text in said) == 1
    whole = queue.submit(lab, config, "ada")
    for run_id in (hurt, whole):
        until_state(lab, run_id, "completed")
    assert content(lab, hurt) == content(lab, whole)


def test_a_new_supervisor_adopts_what_runs_and_what_waits(engine: Local | Slurm, lab: Lab) -> None:
    lab = engine.lab(lab)
    kept, waits = queue.submit(lab, long(), "ada"), queue.submit(lab, tiny(), "bea")
    ensure_supervisor(lab)
    until_trains(lab, kept)
    os.kill(running(lab) or 0, signal.SIGKILL)
    until(lambda: running(lab) is None, "the supervisor's end")
    step, process = run(lab, kept).step, engine.pid(lab, kept)
    until_trains(lab, kept, step)
    ensure_supervisor(lab)
    until(lambda: running(lab), "the next supervisor")
    queue.stop(lab, kept, "ada")
    until_state(lab, kept, "cancelled")
    assert job_of(lab, kept).attempt == 1
    until(lambda: not psutil.pid_exists(process), "its process's end")
    until_state(lab, waits, "completed")
    assert job_of(lab, waits).attempt == 1


def test_a_second_copy_is_refused_and_the_end_is_never_overwritten(engine: Local | Slurm, lab: Lab) -> None:
    lab = engine.lab(lab)
    run_id = queue.submit(lab, tiny(training__epochs=400), "ada")
    ensure_supervisor(lab)
    until_trains(lab, run_id)
    copy = [sys.executable, "-m", "aecore.jobs.trainer", str(lab.runs_folder / run_id)]
    copy += ["--job", str(job_of(lab, run_id).id)]
    environment = os.environ | {"AELAB_REF": job_of(lab, run_id).engine_ref or ""}
    assert subprocess.run(copy, env=environment, timeout=PATIENCE).returncode == 4  # the first one is at work
    before = until_state(lab, run_id, "completed")
    assert subprocess.run(copy, env=environment, timeout=PATIENCE).returncode == 4  # it has finished
    assert job_of(lab, run_id).attempt == 1
    assert (run(lab, run_id).state, run(lab, run_id).reason) == ("completed", before.reason)
    assert not any(states.move(lab, before.job_id, state, by="supervisor") for state in ("queued", "failed"))


@pytest.mark.parametrize("engine", ["local"], indirect=True)
def test_an_engine_out_of_reach_changes_nothing(engine: Local, lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    job_id = run(lab, run_id).job_id
    states.move(lab, job_id, "starting", by="supervisor", engine="mute")
    states.claim(lab, job_id, "mute:1")
    queue.stop(lab, run_id, "ada")
    waiting, before = queue.submit(lab, tiny(), "ada"), job_of(lab, run_id)
    Supervisor(lab, Mute()).tick()
    assert job_of(lab, run_id) == before
    assert job_of(lab, waiting).state == "queued"


class Mute:
    """An engine that does not answer, and must not be asked for more."""

    name, holds_queue = "mute", True

    def poll(self, jobs: Sequence[Job]) -> dict[int, Status] | None:
        return None

    def free_slots(self, job: Job) -> int:
        return 0

    def most_slots(self, job: Job) -> int:
        return 1

    def waits(self, job: Job) -> str:
        return "it does not answer"

    def submit(self, job: Job) -> str:
        raise AssertionError

    def stop(self, job: Job, hard: bool = False) -> None:
        raise AssertionError

    def position(self, jobs: Sequence[Job]) -> dict[int, str]:
        raise AssertionError

    def displaced(self, line: Sequence[Job]) -> list[Job]:
        raise AssertionError

    def take_back(self, jobs: Sequence[Job]) -> None:
        raise AssertionError

    def tend(self, live: object) -> None:
        pass

    def close(self) -> None:
        pass


only_slurm = pytest.mark.parametrize("engine", ["slurm"], indirect=True)


@only_slurm
def test_slurms_silence_changes_nothing_and_its_time_limit_saves(engine: Slurm, lab: Lab) -> None:
    lab = engine.lab(lab, slurm={"time_limit": "60", "save_seconds": 60})
    trains = queue.submit(lab, long(), "ada")
    ensure_supervisor(lab)
    until_trains(lab, trains)
    controller = engine.cluster.daemon("slurmctld")
    controller.suspend()
    try:
        waits, step = queue.submit(lab, tiny(), "ada"), run(lab, trains).step
        until(lambda: job_of(lab, waits).reason == "Waits: Slurm does not answer.", "the reason")
        until_trains(lab, trains, step)
        assert job_of(lab, waits).state == "queued"
        assert job_of(lab, trains).attempt == 1
    finally:
        controller.resume()
    until(lambda: job_of(lab, waits).engine_ref, "Slurm to have it")
    number = (job_of(lab, trains).engine_ref or "").split(":")[1]
    engine.cluster.call("scontrol", "update", f"JobId={number}", "TimeLimit=1")
    until(lambda: any("told to leave from outside" in e.reason for e in events(lab, trains)), "the time limit")
    until(lambda: job_of(lab, trains).engine_ref, "Slurm to have it again")
    assert job_of(lab, trains).crashes == 0
    assert job_of(lab, trains).checkpoint_step


@only_slurm
def test_runs_that_wait_in_slurm_start_in_the_labs_order_whoever_changes_it(engine: Slurm, lab: Lab) -> None:
    lab = engine.lab(lab, slurm={"waiting": 2})
    first, *rest = (queue.submit(lab, long(), "ada") for _ in range(5))
    second, third, fourth, fifth = rest
    ensure_supervisor(lab)
    until_trains(lab, first)
    until(lambda: [job_of(lab, one).state for one in rest] == ["starting"] * 2 + ["queued"] * 2, "two to wait in Slurm")
    until(lambda: job_of(lab, third).reason.startswith("Waits: in Slurm as number 2"), "Slurm's words")
    row = run(lab, second)
    assert (row.state, row.shown) == ("starting", "queued")
    assert [(run_id, one.position) for run_id, one in forecast(lab).items()] == [*zip(rest, (1, 2, 3, 4), strict=True)]
    for _ in range(3):  # before one that the lab has, and two that Slurm has
        until(lambda: moved(lab, fifth), "a moment in which it is not just handed over")
    assert not steer.earlier(lab, fifth, "ada")
    assert steer.later(lab, second, "ada")
    order = [fifth, third, second, fourth]
    until(lambda: [job_of(lab, one).state for one in order] == ["starting"] * 2 + ["queued"] * 2, "the new order")
    until(lambda: all(job_of(lab, one).engine_ref for one in order[:2]), "their numbers in Slurm")
    numbers = [int((job_of(lab, one).engine_ref or "").split(":")[1]) for one in order[:2]]
    assert numbers == sorted(numbers)
    queue.stop(lab, first, "ada")
    until_trains(lab, fifth)
    until(lambda: [job_of(lab, one).state for one in order[1:]] == ["starting"] * 2 + ["queued"], "the next in line")
    told = [(event.old, event.new) for event in events(lab, second) if event.kind == "train"]
    assert told.count(("starting", "queued")) == 1  # taken back once, and for good


def moved(lab: Lab, run_id: str) -> bool:
    try:
        return steer.earlier(lab, run_id, "ada")
    except LabError:
        return False


@only_slurm
def test_runs_on_two_nodes_write_into_one_postgresql(engine: Slurm, lab: Lab, server: postgresql.Server) -> None:
    lab = engine.lab(lab, places=2, database=server.new_database())
    try:
        one, two = (queue.submit(lab, tiny(training__epochs=1000), "ada") for _ in range(2))
        ensure_supervisor(lab)
        for run_id in (one, two):
            until_trains(lab, run_id)
        os.kill(engine.pid(lab, two), signal.SIGKILL)
        for run_id in (one, two):
            until_state(lab, run_id, "completed")
            assert job_of(lab, run_id).engine == "slurm"
            until(lambda run_id=run_id: queue.jobs(lab, run_id)[-1].state == "completed", "the analysis")
        assert job_of(lab, two).attempt == 2
        assert content(lab, one) == content(lab, two)
        assert lab.engine.dialect.name == "postgresql"
    finally:
        close(lab)
        lab.engine.dispose()


@only_slurm
def test_what_was_handed_over_is_found_by_its_name_and_what_slurm_refuses_has_failed(engine: Slurm, lab: Lab) -> None:
    lab = engine.lab(lab, slurm={"options": ["--hold", "--comment=a b"]})
    run_id = queue.submit(lab, tiny(), "ada")
    job = job_of(lab, run_id)
    ref = SlurmExecutor(lab).submit(job)
    assert SlurmExecutor(lab).submit(job) == ref  # one that died before it noted the reference, and the next
    states.move(lab, job.id, "starting", by="supervisor", engine="slurm")
    supervisor = Supervisor(lab, SlurmExecutor(lab))
    supervisor.tick()
    assert job_of(lab, run_id).engine_ref == ref
    assert job_of(lab, run_id).reason == "Waits: in Slurm as number 1: it is held."
    engine.cluster.call("scancel", ref.split(":")[1])
    until(lambda: (supervisor.tick(), run(lab, run_id).state)[1] == "cancelled", "the supervisor to see it")
    assert run(lab, run_id).reason == "It was cancelled in Slurm, outside the lab."
    refused = engine.lab(lab, slurm={"partition": "nowhere"})
    steer.resume(lab, run_id, "ada")
    assert start(refused, SlurmExecutor(refused), job_of(lab, run_id))
    assert run(lab, run_id).state == "failed"
    assert "invalid partition specified: nowhere" in run(lab, run_id).reason


@pytest.mark.parametrize("engine", ["local"], indirect=True)
def test_a_process_that_slurm_lost_sight_of_lives_while_its_heart_beats(
    engine: Local, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.jobs.slurm.PULSE", 0.1)
    job_id = job_of(lab, queue.submit(lab, tiny(), "ada")).id
    states.move(lab, job_id, "starting", by="supervisor", engine="slurm", engine_ref="slurm:7")
    attempt = states.claim(lab, job_id, "slurm:7")
    executor = SlurmExecutor(lab)
    monkeypatch.setattr(
        executor.slurm, "look", lambda ids, age: {i: Entry("7", "FAILED", "NonZeroExitCode", 4) for i in ids}
    )
    for _ in range(3):
        states.beat(lab, job_id, attempt or 0)
        assert executor.poll([queue.job(lab, job_id)]) == {job_id: Status(gone=False)}
        time.sleep(0.2)
    assert executor.poll([queue.job(lab, job_id)]) == {job_id: Status(gone=True, exit_code=4)}


@pytest.mark.parametrize("engine", ["local"], indirect=True)
def test_a_copy_that_slurm_started_again_fences_off_the_first_and_knows_that_it_may_live(
    engine: Local, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = job_of(lab, queue.submit(lab, tiny(), "ada")).id
    states.move(lab, job_id, "starting", by="supervisor", engine="slurm", engine_ref="slurm:7")
    assert not states.beating(lab, job_id)
    first = states.claim(lab, job_id, "slurm:7")
    assert states.beating(lab, job_id)
    assert states.claim(lab, job_id, "slurm:8") is None
    assert states.claim(lab, job_id, "slurm:7") == 2
    with pytest.raises(states.Fenced):
        states.beat(lab, job_id, first or 0)
    monkeypatch.setattr(states, "YOUNG", 0.0)
    assert not states.beating(lab, job_id)


@pytest.mark.parametrize(
    "wrong",
    [{"partition": "a\n#SBATCH --x"}, {"memory": "1G; rm"}, {"time_limit": "soon"}, {"gpu_type": "a b"}]
    + [{"options": [text]} for text in ("account=x", "--account=x\n--y", "--wrap=x", "--job-n=x", "-J x")]
    + [{"prologue": ["module load\ncuda"]}, {"python": "py\nthon"}],
)
def test_settings_that_would_reach_beyond_their_line_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ConfigError, ValueError), match=r"slurm|partition|memory|time_limit|gpu_type"):
        LabSettings.model_validate({"executor": "slurm", "slurm": wrong})
