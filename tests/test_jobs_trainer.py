"""What a run writes, and how it ends when something is wrong. In this process, as `train` does it."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aecore import data, load, manifest, training
from aecore.config import ConfigError
from aecore.data import DataError
from aecore.jobs import endings, queue, recorder, train, trainer
from aecore.jobs.foreground import train_here
from aecore.jobs.states import move
from aecore.jobs.work import Shown, Stop, Work
from aecore.runs import Lab, RunFolder, events, run
from tests.conftest import TrainedRun, tiny


def test_a_run_folder_tells_the_whole_story(trained_run: TrainedRun) -> None:
    folder = trained_run.folder
    rows, _ = folder.metrics()
    facts, inputs, result, model = folder.facts(), folder.inputs(), folder.result(), folder.model()
    assert facts is not None
    assert inputs is not None
    assert result is not None
    assert model is not None
    assert facts.shape == inputs.images.shape[1:] == (1, 8, 8)
    assert rows[0][:3] == (0, 0, "val")
    assert [row[0] for row in rows if row[2:4] == ("train", "loss")] == list(range(1, 67))
    assert [(row[0], row[1]) for row in rows if row[2:4] == ("val", "mse")] == [(0, 0), (22, 1), (44, 2), (66, 3)]
    assert rows[-1][4] < rows[0][4]  # it learns
    timing, _ = folder.timing()
    assert len(timing) >= 1
    assert all(row.device_load is None or 0 <= row.device_load <= 1 for row in timing)
    assert set(result) >= {"loss", "mse", "psnr", "ssim", "parameters", "code_size", "seconds", "steps", "reason"}
    assert np.prod(model["layers"][-1]["shape"]) == 64
    assert (model["device"], model["parameters"]) == ("cpu", result["parameters"])
    assert not list(folder.path.glob(".*"))


def test_the_samples_begin_untrained_and_end_trained(trained_run: TrainedRun) -> None:
    folder = trained_run.folder
    steps = folder.sample_steps()
    first, last = folder.sample(steps[0]), folder.sample(steps[-1])
    inputs, result = folder.inputs(), folder.result()
    assert first is not None
    assert last is not None
    assert inputs is not None
    assert result is not None
    assert (steps[0], steps[-1]) == (0, 66)
    assert last.x_hat.shape == inputs.images.shape
    assert last.codes.shape == (len(inputs.point_labels), 2)
    assert last.errors.mean() < first.errors.mean()
    assert last.errors.mean() == pytest.approx(result["mse"], rel=0.02)


def test_the_analysis_is_of_every_split_and_held_against_simple_methods(trained_run: TrainedRun) -> None:
    folder, trained = trained_run.folder, load(trained_run.folder)
    figures, inputs = folder.analysis_metrics(), folder.inputs()
    assert figures is not None
    assert inputs is not None
    for split, count in (("train", 1350), ("val", 150), ("test", 297)):
        arrays = folder.analysis(split)
        assert arrays is not None
        assert arrays["codes"].shape == (count, 2)
        assert arrays["indices"].tolist() == list(range(count))
        assert arrays["labels"].shape == arrays["errors"].shape == (count,)
    val = folder.analysis("val")
    assert val is not None
    assert np.allclose(trained.encode(inputs.images), val["codes"][inputs.indices], atol=1e-5)
    assert figures["test"]["n"] == 297
    assert figures["baselines"]["pca"]["components"] == 2
    assert figures["baselines"]["pca"]["mse"] < figures["baselines"]["mean_image"]["mse"]


def test_of_a_subset_the_training_images_are_those_that_were_trained_on(lab: Lab) -> None:
    run_id = train_here(lab, tiny(training__epochs=1, training__subset=101, training__classes=("1", "2")), "ada")
    folder = lab.run(run_id)
    whole = data.load(folder.config().data, "train", lab.data_roots)
    arrays = {split: folder.analysis(split) or {} for split in ("train", "val", "test")}
    assert arrays["train"]["indices"].tolist() == data.chosen(whole, folder.config().training).tolist()
    assert [len(arrays[split]["codes"]) for split in arrays] == [101, 22, 58]
    assert set(arrays["test"]["labels"]) == set(arrays["train"]["labels"]) == {1, 2}


def test_samples_are_thinned_to_fifty_and_the_ends_stay(trained_run: TrainedRun) -> None:
    kept = recorder.Recorder.__new__(recorder.Recorder)
    kept.folder, kept.kept, kept.early = RunFolder(trained_run.folder.path / "nowhere"), [], {0, 1, 2}
    for step in range(1000):
        kept.kept.append(step)
        kept._thin()
    assert len(kept.kept) == recorder.SAMPLES
    assert kept.kept[:3] == [0, 1, 2]
    assert kept.kept[-1] == 999
    gaps = np.diff(kept.kept[3:])
    assert gaps.max() <= 4 * gaps.min() + 2


def test_the_same_seed_gives_the_same_metrics_byte_for_byte(trained_run: TrainedRun, lab: Lab) -> None:
    first = (trained_run.folder.path / "metrics.csv").read_bytes()
    again, other = (train_here(lab, config, "ada") for config in (tiny(), tiny(training__seed=1)))
    assert (lab.run(again).path / "metrics.csv").read_bytes() == first
    assert (lab.run(other).path / "metrics.csv").read_bytes() != first


def test_a_diverged_run_says_so(lab: Lab) -> None:
    run_id = train_here(
        lab, tiny(training__optimiser="sgd", training__learning_rate=10, training__weight_decay=10), "ada"
    )
    row = run(lab, run_id)
    assert (row.state, row.reason_code) == ("failed", "diverged")
    assert "at step" in row.reason
    rows, _ = lab.run(run_id).metrics()
    assert [step for step, _, split, name, _ in rows if (split, name) == ("train", "loss")] == list(
        range(1, row.step + 1)
    ), "every step before it is in the curve"


def test_what_ends_a_run_is_in_its_last_checkpoint_though_every_step_is_saved(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = recorder.Recorder.checkpoint

    def for_nothing(self: recorder.Recorder) -> None:
        checkpoint(self)
        self.save_cost = 0.0

    monkeypatch.setattr(recorder.Recorder, "checkpoint", for_nothing)
    (lab.path / "settings.json").write_text(json.dumps({"checkpoint_steps": 1}))
    lab.reread()
    newest = manifest.newest(lab.run(train_here(lab, tiny(), "ada")).checkpoints)
    assert newest is not None
    state = json.loads((newest / "state.json").read_text())
    assert (state["step"], state["watched"], state["epoch"], state["position"]) == (66, 66, 3, 0)


def test_a_data_set_that_is_not_there_is_a_failed_run_with_a_sentence(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise train.data.DataError("digits could not be had: put the files there by hand.")

    monkeypatch.setattr(train.data, "ensure", refuse)
    row = run(lab, train_here(lab, tiny(), "ada"))
    assert (row.state, row.reason_code, row.reason) == (
        "failed",
        "config",
        "digits could not be had: put the files there by hand.",
    )


def test_an_unknown_fault_ends_with_the_last_lines_of_the_log(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_(*_: object) -> None:
        raise RuntimeError("the bolt is loose")

    monkeypatch.setattr(training, "prepare", break_)
    row = run(lab, train_here(lab, tiny(), "ada"))
    assert (row.state, row.reason_code) == ("failed", "exit")
    first, *lines = row.reason.splitlines()
    assert first == "The program failed with RuntimeError: the bolt is loose"
    assert lines[-1] == "RuntimeError: the bolt is loose"
    assert "Traceback" in lab.run(row.id).log()


def test_a_full_disk_makes_the_run_wait_until_there_is_room(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, told = training.commit, []

    def full(*arguments: object) -> Path:
        seen = run(lab, run_ids[0])
        told.append((seen.state, seen.reason_code, seen.reason))
        if len(told) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return commit(*arguments)  # type: ignore[arg-type]

    run_ids: list[str] = []
    monkeypatch.setattr(training, "commit", full)
    train_here(lab, tiny(), "ada", began=run_ids.append)
    words = "The disk is full: the run waits, and goes on as soon as there is room."
    assert told[1] == ("running", "disk_full", words)
    assert (run(lab, run_ids[0]).state, run(lab, run_ids[0]).reason_code) == ("completed", "")
    assert [e.reason for e in events(lab, run_ids[0]) if "room" in e.reason] == [
        words,
        "There is room again: the run goes on.",
    ]


def test_a_disk_that_fills_up_and_is_cleared_loses_nothing(tmp_path: Path, lab: Lab) -> None:
    """For real: a lab on a file system of 6 MB."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root; a full disk is injected by the test before this one")
    try:
        _fill_and_clear(small, lab)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def _fill_and_clear(small: Path, other: Lab) -> None:
    config = tiny(training__epochs=300)
    (small / "lab").mkdir()
    (small / "lab" / "settings.json").write_text(json.dumps({"checkpoint_steps": 50, "checkpoint_share": 1}))
    lab = Lab.open(small / "lab")

    def fill(shown: Shown) -> None:
        if filled:
            return
        filled.append(shown.step)
        with contextlib.suppress(OSError), (small / "rest").open("wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))
        with pytest.raises(ValueError, match="disk is full"):
            queue.submit(lab, config, "ada")
        threading.Timer(3, (small / "rest").unlink).start()

    filled: list[int] = []
    run_id = train_here(lab, config, "ada", show=fill)
    row = run(lab, run_id)
    assert (row.state, row.step) == ("completed", row.total_steps), row.reason
    whole = train_here(other, config, "ada")
    metrics = [(place.run(name).path / "metrics.csv").read_bytes() for place, name in ((lab, run_id), (other, whole))]
    assert metrics[0] == metrics[1]


def test_a_run_that_somebody_else_ended_writes_nothing_more(lab: Lab) -> None:
    def end(shown: Shown) -> None:
        job = queue.jobs(lab, run_ids[0])[0]
        move(lab, job.id, "failed", by="supervisor", reason="Given up.")

    run_ids: list[str] = []
    train_here(lab, tiny(), "ada", began=run_ids.append, show=end)
    row = run(lab, run_ids[0])
    assert (row.state, row.reason) == ("failed", "Given up.")
    assert lab.run(run_ids[0]).result() is None
    assert [job.kind for job in queue.jobs(lab, run_ids[0])] == ["train"]


def test_stopping_a_run_in_the_foreground_saves_it(lab: Lab) -> None:
    def stop(shown: Shown) -> None:
        queue.stop(lab, run_ids[0], "bea")

    run_ids: list[str] = []
    config = tiny(training__epochs=100_000, training__watch_every=10_000)
    train_here(lab, config, "ada", began=run_ids.append, show=stop)
    row = run(lab, run_ids[0])
    assert row.state == "cancelled"
    assert row.reason == f"Stopped by bea at step {row.step:,}; the model was saved."
    assert lab.run(run_ids[0]).analysis("test") is not None
    result = lab.run(run_ids[0]).result() or {}
    assert row.loss == result["loss"] == pytest.approx(result["mse"], rel=1e-2), "of this step, not of the last look"


def test_the_last_two_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    for name, best in (("1-1", True), ("2-1", True), ("3-1", False), ("10-1", False), ("100-2", False)):
        (tmp_path / name).mkdir()
        content = {"files": {}, "step": int(name.split("-")[0]), "best": best}
        (tmp_path / name / manifest.MANIFEST).write_text(manifest.sealed(content))
    manifest.prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10-1", "100-2", "2-1"]
    assert manifest.best(tmp_path) == tmp_path / "2-1"
    assert manifest.newest(tmp_path) == tmp_path / "100-2"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError({"a": "One.", "b": "Two."}), "config", "One. Two."),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full", "then start the run again."),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full", "The disk is full"),
        (MemoryError(), "oom", "The machine's memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "oom", "training.batch_size"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "x.npy"),
            "exit",
            "x.npy could not be read or written: No such file.",
        ),
        (KeyError("a"), "exit", "The program failed with KeyError"),
    ],
)
def test_every_fault_has_its_sentence(error: Exception, code: str, words: str) -> None:
    ending = endings.explain(error)
    assert ending.reason_code == code
    assert words in ending.reason
    assert ending.exit_code != 0


def test_every_death_has_its_sentence() -> None:
    assert endings.died(-9, False).reason_code == "signal"
    assert "SIGSEGV" in endings.died(-11, False).reason
    assert "exit code 1" in endings.died(1, False).reason
    assert endings.died(None, True).reason_code == "host_lost"


def test_a_lack_of_memory_names_the_peak_and_a_batch_that_fits(tmp_path: Path) -> None:
    needs = {"batch_size": 512, "of_one": 1_000_000_000, "of_batch": 6_110_000_000}  # 10 MB an image
    ending = endings.out_of_memory(True, 3_200_000_000, 4_000_000_000, needs)
    assert ending.reason == (
        "The machine's memory ran out after 3.2 GB. A batch of 256 would fit (training.batch_size=256 instead of 512)."
    )
    assert "A batch of 81 would fit" in endings.out_of_memory(False, None, 2_000_000_000, needs).reason
    assert "1 GB for a single image" in endings.out_of_memory(True, None, 500_000_000, needs).reason
    assert endings.died(-9, False, oom=True).reason_code == "oom"
    assert endings.died(-11, False, oom=True).reason_code == "signal"


def test_a_run_that_wants_more_memory_than_it_may_have_says_so(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(model__backbone__widths=[65536, 65536]), "ada", engine="local")
    move(lab, queue.jobs(lab, run_id)[0].id, "starting", by="supervisor")
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2); "
    limit += "sys.argv = ['trainer', sys.argv[1]]; runpy.run_module('aecore.jobs.trainer', run_name='__main__')"
    assert subprocess.run([sys.executable, "-c", limit, str(lab.runs_folder / run_id)]).returncode == 1
    row = run(lab, run_id)
    assert (row.state, row.reason_code) == ("failed", "oom"), row.reason
    assert row.reason.startswith("The machine's memory ran out")


def test_a_trainer_by_hand_does_the_open_job(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(training__epochs=1), "ada", engine="local")
    move(lab, queue.jobs(lab, run_id)[0].id, "starting", by="supervisor")
    command = [sys.executable, "-m", "aecore.jobs.trainer", str(lab.runs_folder / run_id)]
    assert subprocess.run(command).returncode == 0
    assert run(lab, run_id).state == "completed"
    again = subprocess.run([*command[:-1], str(lab.runs_folder / "nope-2-aaaa")], capture_output=True, text=True)
    assert again.returncode == 3
    assert again.stderr.startswith("There is no run")


def test_what_is_not_finite_is_null_in_json(trained_run: TrainedRun, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_result({"psnr": float("inf"), "deep": [{"x": float("nan")}]})
    assert json.loads((tmp_path / "result.json").read_text()) == {"psnr": None, "deep": [{"x": None}]}


def test_work_knows_its_folder(trained_run: TrainedRun) -> None:
    job = queue.jobs(trained_run.lab, trained_run.id)[0]
    assert Work(trained_run.lab, job, 1, None).folder.path == trained_run.folder.path


@pytest.mark.parametrize(
    ("drain", "why"),
    [
        ("off", "The run's process was told to leave from outside."),
        ("save", "The lab was made ready for maintenance."),
    ],
)
def test_who_is_told_to_leave_while_it_imports_leaves_at_once_and_says_why(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, drain: str, why: str
) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    stop, job_id = Stop(), queue.jobs(lab, run_id)[0].id
    move(lab, job_id, "starting", by="supervisor")
    monkeypatch.setattr(trainer, "task_of", lambda kind: stop._set())
    (lab.path / "settings.json").write_text(json.dumps({"drain": drain}))
    assert trainer.work_on(lab, job_id, stop, 1) == endings.LEFT
    row = run(lab, run_id)
    assert (row.state, row.reason) == ("queued", f"{why} It begins again.")


def test_what_cannot_be_read_for_a_moment_is_neither_damaged_nor_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2, 3, 4):
        (tmp_path / f"{step}-1").mkdir()
        content = {"files": {}, "step": step, "best": step == 1}
        (tmp_path / f"{step}-1" / manifest.MANIFEST).write_text(manifest.sealed(content))
    fails, read = ["1-1"], manifest.read

    def stammer(path: Path) -> dict[str, Any]:
        if path.name in fails:
            fails.remove(path.name)
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr(manifest, "read", stammer)
    manifest.prune(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    fails.append("4-1")
    assert manifest.survey(tmp_path) == (tmp_path / "4-1", [])
    manifest.prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-1", "3-1", "4-1"]


def test_a_rotation_that_is_killed_leaves_no_half_of_a_checkpoint_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2, 3):
        (tmp_path / f"{step}-1").mkdir()
        (tmp_path / f"{step}-1" / manifest.MANIFEST).write_text(manifest.sealed({"files": {}, "step": step}))
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: (path / manifest.MANIFEST).unlink())
    manifest.prune(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("[0-9]*")) == ["2-1", "3-1"]
    assert all(manifest.damage(path) is None for path in tmp_path.glob("[0-9]*"))
    monkeypatch.undo()
    manifest.tidy(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_does_not_go_on_with_other_images_than_it_began_with(copy: TrainedRun) -> None:
    path, config = manifest.newest(copy.folder.checkpoints), copy.folder.config()
    assert path is not None
    facts = training.kept_facts(path)
    assert train.begin(path, config, facts, 1).step == 66
    for changed, now in (
        (
            facts._replace(class_names=facts.class_names[::-1]),
            "1,350 training images of 1x8x8 in 10 classes, or its classes",
        ),
        (facts._replace(n_train=9), "9 training images of 1x8x8 in 10 classes"),
        (facts._replace(shape=(1, 4, 4), class_names=("a",)), "1,350 training images of 1x4x4 in 1 class"),
    ):
        with pytest.raises(
            DataError, match=f"there were 1,350 training images of 1x8x8 in 10 classes, and there are {now}"
        ):
            train.begin(path, config, changed, 1)
