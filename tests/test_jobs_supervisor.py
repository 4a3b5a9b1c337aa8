"""The supervisor and the trainers it starts, as real processes."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from aecore import load, manifest
from aecore.config import RunConfig
from aecore.jobs import launch, locks, process, queue, steer, supervisor, trash
from aecore.jobs.endings import FOLDER_LOST
from aecore.jobs.local import lock_path
from aecore.jobs.supervisor import ensure_supervisor, running, stop_supervisor
from aecore.jobs.wake import wake
from aecore.runs import Lab, LabError, RunRow, events, run
from tests.conftest import tiny
from ui.words import what_is_kept

PATIENCE = 300
"""Seconds: importing torch takes two on a quiet machine, and a test machine is not quiet."""


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def until_state(lab: Lab, run_id: str, *states: str) -> RunRow:
    until(lambda: run(lab, run_id).state in (*states, "failed"), f"{run_id} to be {states}")
    row = run(lab, run_id)
    assert row.state in states, row.reason
    return row


def long(**values: object) -> RunConfig:
    """A run that does not end by itself."""
    return tiny(training__epochs=100_000, **values)


def pid_of(lab: Lab, run_id: str) -> int:
    until(lambda: queue.jobs(lab, run_id)[0].engine_ref, "a process")
    return int((queue.jobs(lab, run_id)[0].engine_ref or "").split(":")[2])


@pytest.fixture
def cold_lab(lab: Lab) -> Lab:
    """A lab of two CPU slots whose supervisor keeps no process ready: nothing is imported that a test does not use."""
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2, "warm": 0}))
    return lab


def test_a_submitted_run_is_trained_and_analysed(cold_lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(cold_lab, tiny_config, "ada")
    ensure_supervisor(cold_lab)
    row = until_state(cold_lab, run_id, "completed")
    folder = cold_lab.run(run_id)
    result, model = folder.result(), folder.model()
    assert result is not None
    assert model is not None
    assert row.step == row.total_steps == result["steps"] == 66
    assert (row.epoch, row.progress, row.device) == (3, 1.0, "CPU, 1 thread")
    assert result["mse"] == pytest.approx(folder.metrics()[0][-1][4], rel=0.05)
    assert model["code_size"] == 2
    assert folder.sample_steps()[0] == 0
    assert folder.sample_steps()[-1] == 66
    until(lambda: queue.jobs(cold_lab, run_id)[-1].state == "completed", "the analysis")
    assert folder.analysis_metrics() is not None
    states = [e.new for e in events(cold_lab, run_id) if e.kind == "train"]
    assert states == ["queued", "starting", "running", "completed"]


def test_stopping_saves_first_and_the_slot_goes_to_the_next(cold_lab: Lab) -> None:
    (cold_lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1, "warm": 0}))
    first = queue.submit(cold_lab, long(), "ada")
    second = queue.submit(cold_lab, tiny(), "bea")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, first).step > 0, "the first steps")
    assert [job.run_id for job in queue.pending(cold_lab)] == [second]
    queue.stop(cold_lab, first, "bea")
    row = until_state(cold_lab, first, "cancelled")
    assert row.reason == f"Stopped by bea at step {row.step:,}; the model was saved."
    assert load(cold_lab.run(first)).checkpoint.name == f"{row.step:08d}-1"
    assert (cold_lab.run(first).result() or {})["steps"] == row.step
    until_state(cold_lab, second, "running", "completed")


def settings(lab: Lab, **values: object) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2, "warm": 0} | values))


def content(lab: Lab, run_id: str) -> dict[str, str]:
    """Digests of what must not depend on interruptions: the metrics and the last checkpoint's tensors."""
    folder = lab.run(run_id)
    newest = manifest.newest(folder.checkpoints)
    assert newest is not None
    files = [folder.path / "metrics.csv", *sorted(newest.glob("*.safetensors"))]
    return {path.name: manifest.digest_of(path) for path in files}


def test_a_killed_run_goes_on_from_its_last_checkpoint_and_ends_as_if_nothing_had_happened(cold_lab: Lab) -> None:
    settings(cold_lab, checkpoint_steps=20, checkpoint_share=1, retries=1000)
    config = tiny(training__epochs=300, training__augmentation="shift")
    whole, killed = queue.submit(cold_lab, config, "ada"), queue.submit(cold_lab, config, "ada")
    ensure_supervisor(cold_lab)
    for _ in range(2):
        before = queue.jobs(cold_lab, killed)[0]
        until(lambda before=before: run(cold_lab, killed).step > before.step + 100, "steps")
        os.kill(pid_of(cold_lab, killed), signal.SIGKILL)
        until(lambda before=before: queue.jobs(cold_lab, killed)[0].attempt > before.attempt, "the next attempt")
    for run_id in (whole, killed):
        until_state(cold_lab, run_id, "completed")
    assert content(cold_lab, killed) == content(cold_lab, whole)
    said = [event.reason for event in events(cold_lab, killed)]
    assert sum("was killed with SIGKILL" in text and "It goes on from step" in text for text in said) == 2
    assert sum(text.startswith("Goes on from step") for text in said) == 2


def test_a_killed_run_goes_on_before_the_runs_that_wait_behind_it(cold_lab: Lab) -> None:
    settings(cold_lab, cpu_slots=1)
    first, second = queue.submit(cold_lab, long(), "ada"), queue.submit(cold_lab, tiny(), "bea")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, first).step > 0, "the first steps")
    os.kill(pid_of(cold_lab, first), signal.SIGKILL)
    until(lambda: queue.jobs(cold_lab, first)[0].attempt == 2, "the second attempt")
    assert (run(cold_lab, second).state, run(cold_lab, second).started) == ("queued", None)


def test_a_run_that_dies_again_and_again_at_the_same_place_has_failed(cold_lab: Lab) -> None:
    settings(cold_lab, retries=2)
    run_id = queue.submit(cold_lab, long(), "ada")
    ensure_supervisor(cold_lab)
    for attempt in (1, 2):
        until(lambda attempt=attempt: queue.jobs(cold_lab, run_id)[0].attempt == attempt, "an attempt")
        os.kill(pid_of(cold_lab, run_id), signal.SIGKILL)
    until(lambda: run(cold_lab, run_id).state == "failed", "the end", 20)
    row = run(cold_lab, run_id)
    assert row.reason_code == "signal"
    assert "killed with SIGKILL" in row.reason
    assert "It was tried 2 times from the same checkpoint." in row.reason


def test_pausing_frees_the_slot_and_resuming_goes_on_exactly(cold_lab: Lab) -> None:
    settings(cold_lab)
    config = tiny(training__epochs=1000)
    run_id, other = queue.submit(cold_lab, config, "ada"), queue.submit(cold_lab, config, "bea")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, run_id).step > 0, "the first steps")
    assert steer.pause(cold_lab, run_id, "bea") in ("pausing", "paused")
    row = until_state(cold_lab, run_id, "paused")
    assert row.reason == f"Paused by bea at step {row.step:,}; the model was saved."
    until_state(cold_lab, other, "completed")
    assert steer.resume(cold_lab, run_id, "ada") == "queued"
    until_state(cold_lab, run_id, "completed")
    assert content(cold_lab, run_id) == content(cold_lab, other)


def test_a_run_that_is_told_to_leave_from_outside_saves_and_comes_back(cold_lab: Lab) -> None:
    settings(cold_lab)
    run_id = queue.submit(cold_lab, long(), "ada")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, run_id).step > 0, "the first steps")
    os.kill(pid_of(cold_lab, run_id), signal.SIGTERM)
    until(lambda: queue.jobs(cold_lab, run_id)[0].attempt == 2, "the second attempt")
    job = queue.jobs(cold_lab, run_id)[0]
    assert (job.crashes, job.state) == (0, "running")
    assert any(
        event.reason.startswith("The run's process was told to leave from outside. It goes on from step")
        for event in events(cold_lab, run_id)
    )


def test_a_completed_run_is_extended_from_its_optimisers_state(cold_lab: Lab) -> None:
    settings(cold_lab)
    first, whole = (queue.submit(cold_lab, tiny(training__epochs=epochs), "ada") for epochs in (3, 5))
    ensure_supervisor(cold_lab)
    for run_id in (first, whole):
        until_state(cold_lab, run_id, "completed")
    longer = steer.extend(cold_lab, first, "bea", 2)
    ensure_supervisor(cold_lab)
    row = until_state(cold_lab, longer, "completed")
    assert (row.parent, row.owner, row.epochs, row.step) == (first, "bea", 5, run(cold_lab, whole).step)
    assert content(cold_lab, longer) == content(cold_lab, whole)  # the schedule is constant
    with pytest.raises(LabError, match="at least 1"):
        steer.extend(cold_lab, first, "bea", 0)


@pytest.mark.parametrize("bottleneck", ["vector", "gaussian"])
def test_two_processes_train_as_one_with_the_whole_batch(cold_lab: Lab, bottleneck: str) -> None:
    settings(cold_lab)
    values = {"training__batch_size": 50, "training__augmentation": "shift", "training__epochs": 2}
    if bottleneck == "gaussian":
        values |= {"model__bottleneck__kind": "gaussian", "model__objective__kind": "elbo"}
    one = queue.submit(cold_lab, tiny(**values), "ada")
    two = queue.submit(cold_lab, tiny(**values, training__processes=2), "ada")
    ensure_supervisor(cold_lab)
    for run_id in (one, two):
        until_state(cold_lab, run_id, "completed")
    rows, others = (cold_lab.run(run_id).metrics()[0] for run_id in (one, two))
    assert [row[:4] for row in rows] == [row[:4] for row in others]
    assert [row[4] for row in others] == pytest.approx([row[4] for row in rows], rel=1e-5)


def test_several_processes_are_stopped_killed_and_resumed_like_one(cold_lab: Lab) -> None:
    settings(cold_lab, checkpoint_steps=20, checkpoint_share=1)
    config = tiny(training__epochs=60, training__processes=2)
    whole = queue.submit(cold_lab, config, "ada")
    ensure_supervisor(cold_lab)
    until_state(cold_lab, whole, "completed")
    run_id = queue.submit(cold_lab, config, "ada")
    until(lambda: (queue.jobs(cold_lab, run_id)[0].checkpoint_step or 0) > 0, "a checkpoint")
    os.kill(pid_of(cold_lab, run_id), signal.SIGKILL)  # torchrun: its processes must not train on unseen
    until(lambda: queue.jobs(cold_lab, run_id)[0].attempt == 2, "the next attempt")
    steer.pause(cold_lab, run_id, "ada")
    until_state(cold_lab, run_id, "paused")
    steer.resume(cold_lab, run_id, "ada")
    until_state(cold_lab, run_id, "completed")
    assert content(cold_lab, run_id) == content(cold_lab, whole)


def test_more_processes_than_places_are_refused(cold_lab: Lab) -> None:
    settings(cold_lab)
    run_id = queue.submit(cold_lab, tiny(training__processes=3), "ada")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, run_id).state == "failed", "the refusal")
    assert "training.processes is 3, but this lab has 2 places" in run(cold_lab, run_id).reason


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(cold_lab: Lab) -> None:
    settings(cold_lab, checkpoint_steps=50, checkpoint_share=1)
    config = tiny(training__epochs=200)
    run_id, whole = queue.submit(cold_lab, config, "ada"), queue.submit(cold_lab, config, "ada")
    ensure_supervisor(cold_lab)
    until(lambda: (queue.jobs(cold_lab, run_id)[0].checkpoint_step or 0) > 100, "checkpoints")
    steer.pause(cold_lab, run_id, "ada")
    row = until_state(cold_lab, run_id, "paused")
    folder = cold_lab.run(run_id).checkpoints
    newest = manifest.newest(folder)
    assert newest is not None
    (newest / "optimiser.safetensors").write_bytes(b"")
    steer.resume(cold_lab, run_id, "ada")
    until_state(cold_lab, run_id, "completed")
    until_state(cold_lab, whole, "completed")
    assert (folder / f"damaged-{newest.name}").is_dir()
    said = [event.reason for event in events(cold_lab, run_id)]
    assert any(text.startswith(f"The checkpoint of step {row.step:,} is damaged and was set aside") for text in said)
    assert content(cold_lab, run_id) == content(cold_lab, whole)


def test_a_run_whose_checkpoints_are_all_damaged_never_starts_over_silently(cold_lab: Lab) -> None:
    settings(cold_lab)
    run_id = queue.submit(cold_lab, long(), "ada")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, run_id).step > 0, "the first steps")
    steer.pause(cold_lab, run_id, "ada")
    until_state(cold_lab, run_id, "paused")
    for path in cold_lab.run(run_id).checkpoints.glob("[0-9]*/*.safetensors"):
        path.unlink()
    steer.resume(cold_lab, run_id, "ada")
    until(lambda: run(cold_lab, run_id).state == "failed", "the end")
    assert run(cold_lab, run_id).reason.startswith("No checkpoint of this run can be used any more")


def test_trainers_outlive_their_supervisor_and_the_next_one_adopts_them(cold_lab: Lab) -> None:
    kept, killed = queue.submit(cold_lab, long(), "ada"), queue.submit(cold_lab, long(training__seed=1), "ada")
    ensure_supervisor(cold_lab)
    for run_id in (kept, killed):
        until(lambda run_id=run_id: run(cold_lab, run_id).step > 0, "both runs")
    os.kill(running(cold_lab) or 0, signal.SIGKILL)
    until(lambda: running(cold_lab) is None, "the supervisor's end")
    os.kill(pid_of(cold_lab, killed), signal.SIGKILL)
    step = run(cold_lab, kept).step
    until(lambda: run(cold_lab, kept).step > step, "steps without a supervisor")
    assert run(cold_lab, killed).state == "running"  # nobody has seen it die
    ensure_supervisor(cold_lab)
    until(lambda: queue.jobs(cold_lab, killed)[0].attempt == 2, "the dead one's second attempt")
    assert run(cold_lab, kept).state == "running"
    queue.stop(cold_lab, kept, "ada")
    until_state(cold_lab, kept, "cancelled")


def test_a_trainer_that_does_not_leave_is_ended_after_the_grace(cold_lab: Lab) -> None:
    (cold_lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1, "warm": 0, "stop_grace_seconds": 0.5}))
    run_id = queue.submit(cold_lab, long(), "ada")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, run_id).step > 0, "the first steps")
    os.kill(pid_of(cold_lab, run_id), signal.SIGSTOP)
    assert queue.stop(cold_lab, run_id, "bea") == "stopping"
    row = until_state(cold_lab, run_id, "cancelled")
    assert row.reason.startswith("Stopped; its process ended before it saved again: ")


def test_the_submitter_can_be_killed(cold_lab: Lab) -> None:
    script = (
        "import time; from aecore.runs import Lab; from aecore.jobs import queue, supervisor; "
        "from tests.conftest import tiny; "
        f"lab = Lab.open({str(cold_lab.path)!r}); run = queue.submit(lab, tiny(training__epochs=10**5), 'ada'); "
        "supervisor.ensure_supervisor(lab); print(run, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as dashboard:
        assert dashboard.stdout is not None
        run_id = dashboard.stdout.readline().strip()
        until(lambda: run(cold_lab, run_id).state == "running", "the run")
        os.killpg(dashboard.pid, signal.SIGKILL)
    step = run(cold_lab, run_id).step
    until(lambda: run(cold_lab, run_id).step > step, "steps without a dashboard")


def test_ten_supervisors_at_once_leave_one(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"warm": 0}))
    command = [sys.executable, "-m", "aecore.jobs.supervisor", str(lab.path)]
    started = [subprocess.Popen(command) for _ in range(10)]
    until(lambda: sum(process.poll() is None for process in started) <= 1, "nine to leave")
    time.sleep(0.3)
    left = [process.pid for process in started if process.poll() is None]
    assert left == [running(lab)]
    assert ensure_supervisor(lab) is False
    stop_supervisor(lab)
    assert running(lab) is None
    for ended in started:
        ended.wait(5)


def test_a_newer_program_replaces_the_supervisor_and_an_older_one_does_not(
    cold_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue.submit(cold_lab, long(), "ada")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, run_id).step > 0, "the first steps")
    first, now = running(cold_lab), supervisor.newness()
    monkeypatch.setattr(supervisor, "newness", lambda: now - 100)
    assert ensure_supervisor(cold_lab) is False
    monkeypatch.setattr(supervisor, "newness", lambda: now + 100)
    assert ensure_supervisor(cold_lab) is True
    until(lambda: running(cold_lab) not in (None, first), "the new one")
    job = queue.jobs(cold_lab, run_id)[0]
    assert (job.state, job.attempt) == ("running", 1)


def test_a_program_is_older_whose_layout_is_however_late_its_files_came(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, now = supervisor._lock(lab), supervisor.newness()
    lock.write_text(f"17 {time.time() + 1e6:.0f}", encoding="ascii")
    assert supervisor._written(lab) == (17, pytest.approx(time.time() + 1e6, abs=60))
    assert supervisor._written(lab).newness < now, "from before the layout was written"
    lock.write_text("17", encoding="ascii")
    assert supervisor._written(lab) == (17, 0)
    lock.write_text("", encoding="ascii")
    assert supervisor._written(lab) == (None, math.inf), "it has just begun"
    monkeypatch.setattr(supervisor.migrations, "LAYOUT", supervisor.migrations.LAYOUT + 1)
    assert supervisor.newness.__wrapped__() > now


def test_a_run_whose_folder_is_removed_fails_in_words_and_the_others_go_on(cold_lab: Lab) -> None:
    settings(cold_lab)
    gone, other = queue.submit(cold_lab, long(), "ada"), queue.submit(cold_lab, long(), "ada")
    ensure_supervisor(cold_lab)
    for run_id in (gone, other):
        until(lambda run_id=run_id: run(cold_lab, run_id).step > 0, "the first steps")
    (cold_lab.runs_folder / gone).rename(cold_lab.path.parent / "elsewhere")  # whole: its trainer is writing into it
    until(lambda: run(cold_lab, gone).state == "failed", "the end")
    row = run(cold_lab, gone)
    assert (row.reason_code, row.reason) == ("folder_lost", FOLDER_LOST.reason)
    assert what_is_kept(row).startswith("This line of the table.")
    step = run(cold_lab, other).step
    until(lambda: run(cold_lab, other).step > step, "further steps of the other")


def test_a_supervisor_that_was_started_early_is_waited_for_and_not_started_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab"
    path.mkdir()
    (path / "settings.json").write_text(json.dumps({"warm": 0}))
    monkeypatch.setenv("AELAB_HOME", str(path))
    launch.early(tmp_path)
    lab = Lab.open(path)
    assert ensure_supervisor(lab) is False
    until(lambda: running(lab), "the supervisor")
    assert [process.pid for process in launch.started(path)] == [running(lab)]
    launch.early(tmp_path)
    assert len(launch.started(path)) == 1
    stop_supervisor(lab)
    assert launch.started(path) == []
    (tmp_path / "file").touch()
    monkeypatch.setenv("AELAB_HOME", str(tmp_path / "file"))
    launch.early(tmp_path)  # a lab that cannot be is said by who opens it


def test_an_idle_supervisor_leaves_by_itself(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"warm": 0, "idle_minutes": 0.02}))
    assert ensure_supervisor(lab) is True
    until(lambda: running(lab), "the supervisor")
    until(lambda: not running(lab), "its end")


def test_waiting_children_take_a_run_each_and_leave_with_the_supervisor(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2, "warm": 1}))
    ensure_supervisor(lab)
    until(lambda: running(lab), "the supervisor")
    parent = psutil.Process(running(lab))
    until(lambda: parent.children(), "a waiting child")
    child = parent.children()[0]
    run_id = queue.submit(lab, tiny(), "ada")
    assert pid_of(lab, run_id) == child.pid
    until_state(lab, run_id, "completed")
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the used child's end")
    left = parent.children(recursive=True)
    stop_supervisor(lab)
    _, alive = psutil.wait_procs(left, timeout=PATIENCE)
    assert alive == []


def test_a_deleted_run_is_stopped_and_its_folder_follows(cold_lab: Lab) -> None:
    run_id = queue.submit(cold_lab, long(), "ada")
    ensure_supervisor(cold_lab)
    until(lambda: run(cold_lab, run_id).step > 0, "the first steps")
    trash.delete(cold_lab, run_id, "ada")
    until(lambda: (cold_lab.trash / run_id / "config.json").exists(), "the folder in the trash")
    assert not (cold_lab.runs_folder / run_id).exists()


def test_a_lock_lives_as_long_as_the_process_that_inherited_it(tmp_path: Path) -> None:
    descriptor = locks.acquire(tmp_path / "lock")
    assert descriptor is not None
    assert locks.acquire(tmp_path / "lock") is None
    child = subprocess.Popen(["sleep", "600"], pass_fds=[descriptor])
    locks.release(descriptor)
    assert locks.held(tmp_path / "lock")
    child.kill()
    child.wait()
    assert not locks.held(tmp_path / "lock")
    assert not locks.held(tmp_path / "never")


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_by_a_day_changes_nothing(cold_lab: Lab, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    settings(cold_lab)
    first = queue.submit(cold_lab, tiny(), "ada")
    before, now = process.reference("local", os.getpid()), time.time
    monkeypatch.setattr(time, "time", lambda: now() + days * 86400)
    monkeypatch.setattr("psutil.boot_time", lambda: 0.0)
    assert process.reference("local", os.getpid()) == before
    second = queue.submit(cold_lab, tiny(), "ada")
    assert [job.run_id for job in queue.pending(cold_lab)] == [first, second]
    ensure_supervisor(cold_lab)  # its clock is a day off ours, and so are its trainers'
    for run_id in (first, second):
        row = until_state(cold_lab, run_id, "completed")
        assert row.eta_seconds is None
    assert queue.jobs(cold_lab, first)[0].crashes == 0


def test_waking_nobody_does_nothing(lab: Lab) -> None:
    wake(lab)
    assert lock_path(lab, queue.jobs(lab, queue.submit(lab, tiny(), "ada"))[0]).name == "train.lock"
