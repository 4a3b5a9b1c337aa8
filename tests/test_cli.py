"""The command line, as a person and as a script use it."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from aecore.__main__ import main
from aecore.config import ConfigError, RunConfig, writes
from aecore.jobs import queue, settings, supervisor
from aecore.jobs.foreground import train_here
from aecore.jobs.supervisor import running
from aecore.runs import Lab, database, run, runs
from tests.conftest import TrainedRun, TwoRuns, tiny
from ui import serve

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a verb in a lab; gives (exit code, stdout, stderr)."""

    def call(lab: Lab | Path, *arguments: str) -> tuple[int, str, str]:
        place = lab.path if isinstance(lab, Lab) else lab
        try:
            code = main([*arguments, "--lab", str(place)])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("presets", ("demo", "scatter-2", "stacked-9")),
        ("datasets", ("digits", "glyphs", "1x8x8")),
        ("models", ("dense", "conv", "gaussian", "elbo")),
        ("tasks", ("identity", "denoise")),
        ("runs", ("No runs yet",)),
    ],
)
def test_what_there_is_is_listed_for_people_and_for_machines(
    lab: Lab, cli: Cli, verb: str, words: tuple[str, ...]
) -> None:
    code, out, err = cli(lab, verb)
    assert (code, err) == (0, "")
    assert all(word in out for word in words)
    code, out, _ = cli(lab, verb, "--json")
    assert (code, type(json.loads(out))) == (0, list if verb in ("datasets", "runs") else dict)


def test_training_in_the_foreground_shows_a_bar_and_its_figures(lab: Lab, cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(writes(tiny()))
    code, out, err = cli(lab, "train", "--config", str(config), "--set", "training.epochs=2")
    row = runs(lab)[0]
    assert code == 0
    assert row.id in err
    assert "44/44" in err
    assert out.startswith("Completed 44 steps in ")
    assert "psnr" in out
    assert (row.state, row.epochs) == ("completed", 2)
    assert lab.run(row.id).analysis_metrics() is not None
    assert running(lab) is None


def test_a_preset_trains_on_another_data_set(lab: Lab, cli: Cli) -> None:
    steps = "training.max_steps=3"
    code, out, _ = cli(
        lab, "train", "--preset", "demo", "--dataset", "digits", "--set", steps, "--user", "ada", "--json"
    )
    result = json.loads(out)
    assert (code, result["state"], result["steps"]) == (0, "completed", 3)
    assert result["run"].startswith("demo-2-")
    assert run(lab, result["run"]).owner == "ada"


def test_submitting_imports_no_torch_and_starts_the_supervisor(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"warm": 0}))
    script = (
        "import sys; from aecore.__main__ import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'torchvision', 'sklearn', 'pandas', 'streamlit'} & set(sys.modules); sys.exit(code or len(heavy))"
    )
    arguments = ["submit", "--preset", "demo", "--dataset", "digits", "--lab", str(lab.path)]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == runs(lab)[0].id
    assert lab.run(done.stdout.strip()).config().data.name == "digits"
    while running(lab) is None:
        time.sleep(0.05)


def test_a_run_whose_folder_is_gone_can_be_looked_at_and_deleted(lab: Lab, cli: Cli) -> None:
    run_id, other = (queue.submit(lab, tiny(), "ada") for _ in range(2))
    shutil.rmtree(lab.runs_folder / run_id)
    code, out, _ = cli(lab, "show", run_id)
    assert (code, f"Its folder {lab.runs_folder / run_id} is not there, or cannot be read." in out) == (0, True)
    code, _, err = cli(lab, "log", run_id)
    assert (code, err.startswith(f"The folder of run '{run_id}' is not in {lab.runs_folder}")) == (3, True)
    assert cli(lab, "delete", run_id, "--user", "ada")[0] == 0
    assert [row.id for row in runs(lab)] == [other]


def test_a_run_can_be_looked_at(trained_run: TrainedRun, cli: Cli) -> None:
    lab, run_id = trained_run.lab, trained_run.id
    code, out, _ = cli(lab, "runs")
    assert code == 0
    assert run_id in out
    assert "100%" in out
    code, out, _ = cli(lab, "show", run_id)
    assert code == 0
    assert "queued by ada and started" in out
    assert "completed 66 steps in " in out
    shown = json.loads(cli(lab, "show", run_id, "--json")[1])
    assert shown["run"]["state"] == "completed"
    assert shown["config"]["data"]["name"] == "digits"
    assert shown["analysis"]["test"]["n"] == 297
    assert cli(lab, "log", run_id)[0] == 0


def test_evaluating_gives_the_test_splits_metrics(two_runs: TwoRuns, cli: Cli) -> None:
    code, out, _ = cli(two_runs.lab, "evaluate", two_runs.ids[1])
    assert code == 0
    assert "297 images" in out
    assert "PCA, 4 components" in out
    assert "given are" not in out, "the model has the same images"
    found = json.loads(cli(two_runs.lab, "evaluate", two_runs.ids[1], "--json")[1])
    assert found["test"] == (two_runs.folders[1].analysis_metrics() or {})["test"]


def test_evaluating_tells_the_gain_of_a_task_and_the_classes_that_were_left_out(denoiser: TrainedRun, cli: Cli) -> None:
    code, out, _ = cli(denoiser.lab, "evaluate", denoiser.id)
    assert code == 0
    assert "What the encoder saw has a PSNR of" in out
    assert "PCA: given are the images that the models should make, not what the models see." in out
    assert "Left out of training: 0, 7. Of all 297 test images, the error tells these with an AUROC of 0." in out
    found = json.loads(cli(denoiser.lab, "evaluate", denoiser.id, "--json")[1])
    kept = denoiser.folder.analysis_metrics() or {}
    assert (found["test"], found["anomalies"]) == (kept["test"], kept["anomalies"])
    assert kept["test"]["gain"] > 0
    assert 0.5 < kept["anomalies"]["auroc"] <= 1
    assert kept["test"]["n"] + round(kept["anomalies"]["share"] * 297) == 297
    assert "gain" in (denoiser.folder.result() or {})


def test_somebody_elses_run_is_not_touched_without_asking(
    lab: Lab, tiny_config: RunConfig, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue.submit(lab, tiny_config, "bea")
    for answer, code in (("n\n", 1), ("", 1), ("y\n", 0)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        got, _, err = cli(lab, "stop", run_id, "--user", "ada")
        assert got == code
        assert f"Stop bea's run {run_id}? [y/N]" in err
        assert run(lab, run_id).state == ("cancelled" if code == 0 else "queued")
    assert cli(lab, "delete", run_id, "--user", "ada", "--yes")[:2] == (
        0,
        f"{run_id}: deleted; `python -m aecore undelete {run_id}` brings it back for 7 days\n",
    )
    own = queue.submit(lab, tiny_config, "ada")
    assert cli(lab, "stop", own, "--user", "ada") == (0, f"{own}: cancelled\n", "")


def test_who_may_not_is_refused_and_not_asked(lab: Lab, tiny_config: RunConfig, cli: Cli) -> None:
    run_id = queue.submit(lab, tiny_config, "bea")
    (lab.path / "settings.json").write_text('{"access": {"admins": ["cyd"]}}')
    for verb in ("stop", "pause", "resume", "delete", "archive", "unarchive", "hide", "earlier"):
        code, _, err = cli(Lab.open(lab.path), verb, run_id, "--user", "ada")
        assert code == 3
        assert "[y/N]" not in err
        assert "Only bea, whose run it is, and the lab's admins may" in err


@pytest.fixture
def nobody_starts(monkeypatch: pytest.MonkeyPatch) -> list[Lab]:
    """No supervisor is started: gives the labs that asked for one."""
    asked: list[Lab] = []
    monkeypatch.setattr(supervisor, "ensure_supervisor", asked.append)
    return asked


def test_a_run_is_paused_and_resumed(lab: Lab, cli: Cli, nobody_starts: list[Lab]) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    assert cli(lab, "pause", run_id, "--user", "ada") == (0, f"{run_id}: paused\n", "")
    code, out, err = cli(lab, "pause", run_id, "--user", "ada", "--json")
    assert (code, json.loads(out), err) == (0, {"run": run_id, "state": "paused"}, "")
    assert not nobody_starts
    assert cli(lab, "resume", run_id, "--user", "ada") == (0, f"{run_id}: queued\n", "")
    assert [one.path for one in nobody_starts] == [lab.path]
    sentence = f"{run_id} is queued: only a run that is paused, stopped or failed can be resumed.\n"
    assert cli(lab, "resume", run_id, "--user", "ada") == (3, "", sentence)


def test_a_completed_run_is_trained_longer_as_a_new_one(lab: Lab, cli: Cli, nobody_starts: list[Lab]) -> None:
    first = train_here(lab, tiny(training__epochs=1), "ada")
    code, out, _ = cli(lab, "extend", first, "--epochs", "2", "--user", "bea")
    row = run(lab, out.strip())
    assert (code, row.parent, row.owner, row.epochs, row.state) == (0, first, "bea", 3, "queued")
    assert f"goes on from {first}" in cli(lab, "show", row.id)[1]
    assert len(nobody_starts) == 1
    for arguments, sentence in (
        ((first, "--epochs", "0"), "0 more epochs: at least 1 is needed.\n"),
        ((row.id, "--epochs", "1"), f"{row.id} is queued: only a completed run can be extended; resume others.\n"),
    ):
        assert cli(lab, "extend", *arguments) == (3, "", sentence)
    assert cli(lab, "pause", first, "--user", "ada") == (
        3,
        "",
        f"{first} is completed: only a run that waits or trains can be paused.\n",
    )


def test_waiting_runs_change_places_and_say_when_they_start(lab: Lab, cli: Cli) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))
    first, second = (queue.submit(lab, tiny(training__seed=seed), "ada") for seed in range(2))
    assert cli(lab, "earlier", second, "--user", "ada") == (0, f"{second}: 1st in the queue, starts in a moment\n", "")
    assert [job.run_id for job in queue.pending(lab)] == [second, first]
    code, out, _ = cli(lab, "earlier", second, "--user", "ada")
    assert (code, "is the first of ada's waiting runs already" in out) == (0, True)
    moved = json.loads(cli(lab, "later", second, "--user", "ada", "--json")[1])
    assert (moved["moved"], moved["forecast"]["position"]) == (True, 2)
    assert json.loads(cli(lab, "later", second, "--user", "ada", "--json")[1])["moved"] is False
    found = {row["id"]: row["forecast"] for row in json.loads(cli(lab, "runs", "--json")[1])}
    assert found[first]["why"] == "No run like it was measured yet."
    assert (found[first]["ends"], found[second]["starts"]) == (None, None)
    lines = cli(lab, "runs")[1].splitlines()
    assert lines[0].split()[-3:] == ["place", "starts", "ends"]
    assert [line.split()[7] for line in lines[1:]] == ["2nd", "1st"]


@pytest.mark.parametrize("verb", ["pause", "resume", "earlier", "later"])
def test_nobody_steers_somebody_elses_run_without_asking(
    lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch, nobody_starts: list[Lab], verb: str
) -> None:
    ids = [queue.submit(lab, tiny(training__seed=seed), "bea") for seed in range(3)]
    if verb == "resume":
        queue.stop(lab, ids[1], "bea")
    for answer, expected in (("n\n", 1), ("", 1), ("y\n", 0)):
        before = (run(lab, ids[1]).state, [job.run_id for job in queue.pending(lab)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        code, _, err = cli(lab, verb, ids[1], "--user", "ada")
        assert code == expected
        assert f"bea's run {ids[1]}? [y/N]" in err
        after = (run(lab, ids[1]).state, [job.run_id for job in queue.pending(lab)])
        assert (before == after) == bool(code)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--preset", "dmo"], "There is no preset 'dmo': did you mean demo?"),
        (["submit", "--preset", "demo", "--dataset", "digit"], "digit"),
        (
            ["submit", "--preset", "demo", "--set", "training.epoch=3"],
            "training.epoch is not a known field: did you mean epochs?",
        ),
        (
            ["submit", "--preset", "demo", "--set", "model.bottleneck.latent_dim=0"],
            "model.bottleneck.latent_dim is 0, but must be at least 1.",
        ),
        (["submit", "--preset", "demo", "--set", "model.backbone.kernel=31"], "model.backbone.kernel is 31"),
        (["submit", "--preset", "demo", "--set", "training.epochs"], "is not an assignment"),
        (
            ["submit", "--config", "/nowhere.json"],
            "The configuration /nowhere.json cannot be read: No such file or directory.",
        ),
        (["submit"], "One of the arguments --preset --config is required."),
        (["show", "demo-2-none"], "There is no run 'demo-2-none'"),
        (["stop", "demo-2-none"], "There is no run 'demo-2-none'"),
        (["pause", "demo-2-none"], "There is no run 'demo-2-none'"),
        (["resume", "demo-2-none"], "There is no run 'demo-2-none'"),
        (["extend", "demo-2-none", "--epochs", "3"], "There is no run 'demo-2-none'"),
        (["extend", "demo-2-none"], "The following arguments are required: --epochs."),
        (["extend", "demo-2-none", "--epochs", "many"], "invalid int value: 'many'"),
        (["earlier", "demo-2-none"], "There is no run 'demo-2-none'"),
        (["later", "demo-2-none"], "There is no run 'demo-2-none'"),
        (["fly"], "invalid choice: 'fly'"),
        (["submit", "--preset", "demo", "--dataset", ""], "There is no data set ''"),
        (["submit", "--config", ""], "cannot be read"),
        (["submit", "--preset", "demo", "--set", f"training.epochs={'9' * 5000}"], "a whole number of fewer digits."),
        (["submit", "--preset", "demo", "--set", f"training.epochs={'[' * 100_000}"], "must be a whole number."),
        (["settings", "--set", "keep_deleted_days=1e400"], "keep_deleted_days is inf, but must be at most 36500"),
        (["settings", "--set", f"per_person.hours={'9' * 5000}"], "must be at most 100000"),
        (["settings", "--set", f"per_person.hours={'[' * 100_000}"], "must be a number."),
        (
            ["sweep", "--preset", "demo", "--over", "code_size=2,4", "--over", "code_size=8"],
            "--over code_size is there twice",
        ),
        (["runs", "--user", "a" * 61], "but 1 to 60 printable characters are needed"),
        (["runs", "--user", "\udcff"], "'?' is not UTF-8"),
        (["show", "a\udcff"], "'a?' is not UTF-8"),
        (["settings", "--set", "banner=\udcff"], "'banner=?' is not UTF-8"),
        (["runs", "--data-root", "/tmp/\udcff"], "'/tmp/?' is not UTF-8"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_stays_behind(
    lab: Lab, cli: Cli, arguments: list[str], sentence: str
) -> None:
    code, out, err = cli(lab, *arguments)
    assert code != 0
    assert out == ""
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert runs(lab) == []
    assert list(lab.runs_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe", "it is not UTF-8."),
        (b'{"schema_version": [1]}', "schema_version is [1], but must be a whole number."),
        (b"[" * 100_000, "its brackets are thousands deep."),
        (b"{", "This is not JSON"),
        (b'{"a": %s}' % (b"1" * 10_000), "a number in it has thousands of digits."),
    ],
)
def test_a_file_that_is_no_configuration_is_one_sentence(
    lab: Lab, cli: Cli, tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "odd.json").write_bytes(content)
    code, out, err = cli(lab, "submit", "--config", str(tmp_path / "odd.json"))
    assert (code != 0, out, len(err.strip().splitlines())) == (True, "", 1)
    assert sentence in err


@pytest.mark.parametrize("file", ["result.json", "analysis/metrics.json", "config.json"])
def test_a_damaged_file_of_a_run_is_named_in_one_sentence(copy: TrainedRun, cli: Cli, file: str) -> None:
    (copy.folder.path / file).write_text("{ damaged")
    code, _, err = cli(copy.lab, "show", copy.id)
    assert (code != 0, len(err.strip().splitlines())) == (True, 1)
    assert f"{file} of run {copy.id}" in err


def test_evaluating_says_of_which_step_an_older_analysis_is(copy: TrainedRun, cli: Cli) -> None:
    assert "is not analysed yet" not in cli(copy.lab, "evaluate", copy.id)[1]
    path = copy.folder.path / "analysis" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"checkpoint": "00000022-1"}))
    said = cli(copy.lab, "evaluate", copy.id)[1]
    assert "Of the model after step 22; that after step 66 is not analysed yet." in said


def test_evaluating_says_which_checkpoint_was_not_looked_at(copy: TrainedRun, cli: Cli) -> None:
    shutil.rmtree(copy.folder.path / "analysis")
    newest = max(copy.folder.checkpoints.iterdir(), key=lambda path: int(path.name.partition("-")[0]))
    shutil.copytree(newest, copy.folder.checkpoints / "00000001-1")
    (newest / "decoder.safetensors").write_bytes(b"half")
    code, out, _ = cli(copy.lab, "evaluate", copy.id)
    assert code == 0
    assert "Not looked at: " in out


def test_a_limit_below_one_is_refused(trained_run: TrainedRun, cli: Cli) -> None:
    code, out, err = cli(trained_run.lab, "runs", "--limit", "0")
    assert (code != 0, out, err.strip()) == (True, "", "--limit is 0, but must be at least 1.")


def test_a_log_of_less_than_a_line_is_refused(trained_run: TrainedRun, cli: Cli) -> None:
    code, out, err = cli(trained_run.lab, "log", trained_run.id, "--lines", "-5")
    assert (code != 0, out, err.strip()) == (True, "", "--lines is -5, but must be at least 1.")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(30, "Read-only file system", "/lab/x"), "/lab/x could not be read or written: Read-only file system."),
        (OSError("gone"), "The system refused that: gone."),
        (OSError(28, "No space left on device"),
         "The disk is full: nothing more could be written. Make room on the lab's disk, then try again."),
        (OperationalError("", {}, Exception("attempt to write\na readonly database")),
         "The lab's database says: attempt to write a readonly database."),
        (DatabaseError("", {}, Exception("malformed")), "The lab's database says: malformed."),
    ],
)  # fmt: skip
def test_what_the_machine_refuses_is_one_sentence(
    lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    monkeypatch.setattr(supervisor, "supervise", Mock(side_effect=error))
    code, _, err = cli(lab, "supervise")
    assert (code, err.splitlines()[1:]) == (3, [sentence])


@pytest.mark.parametrize("error", [TypeError("x"), IntegrityError("", {}, Exception("x")), AssertionError()])
def test_what_is_wrong_with_the_program_is_not_hidden(
    lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(supervisor, "supervise", Mock(side_effect=error))
    with pytest.raises(type(error)):
        cli(lab, "supervise")


def test_a_lab_that_cannot_be_used_is_one_sentence(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = cli(tmp_path / "file", "runs")
    assert code == 3
    assert err.startswith(f"The lab folder {tmp_path / 'file'} cannot be used")


def test_a_lab_that_cannot_be_opened_for_want_of_room_says_so(
    lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "connect", Mock(side_effect=OperationalError("", {}, Exception("disk I/O error"))))
    assert "its database says: disk I/O error. Choose a folder" in cli(lab, "runs")[2]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert cli(lab, "runs")[2].startswith("The disk is full: nothing more could be written.")


def test_a_verb_that_only_reads_makes_no_lab(tmp_path: Path, cli: Cli) -> None:
    none = tmp_path / "no" / "lab"
    said = f"There is no lab in {none}: “python -m aecore submit” or “train” makes one there.\n"
    for verb in (["runs"], ["show", "x"], ["people"], ["settings"], ["cleanup", "--yes"], ["backup", "x.tar"]):
        assert cli(none, *verb) == (3, "", said)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "else").mkdir()
    assert "There is no lab in" in cli(tmp_path / "else", "runs")[2], "an empty folder is none either"
    assert list((tmp_path / "else").iterdir()) == []
    assert cli(none, "settings", "--set", "cpu_slots=1")[0] == 0
    assert cli(none, "runs")[0] == 0


def test_settings_that_are_not_utf_8_are_a_sentence_that_names_the_file(
    lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lab.path / "settings.json"
    path.write_bytes(b'{"banner": "Pr\xfcfung"}')
    said = f"{path} is not UTF-8."
    assert cli(lab, "runs") == (3, "", f"{said}\n")
    assert said in cli(lab, "doctor")[1]
    with pytest.raises(ConfigError, match="is not UTF-8"):
        settings.change(lab, {"retries": 7}, "ada")
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    assert serve.way_in() == ("password", "")  # each page says it


def test_a_run_that_fails_is_an_exit_code_and_a_sentence(lab: Lab, cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "bad.json"
    config.write_text(writes(tiny(training__optimiser="sgd", training__learning_rate=10, training__weight_decay=10)))
    code, out, err = cli(lab, "train", "--config", str(config))
    assert (code, out) == (1, "")
    assert "The loss is" in err
    assert "Traceback" not in err


def test_ctrl_c_saves_the_run_and_marks_it_as_cancelled(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "long.json"
    config.write_text(writes(tiny(training__epochs=100_000)))
    command = [
        sys.executable,
        "-m",
        "aecore",
        "train",
        "--config",
        str(config),
        "--lab",
        str(lab.path),
        "--user",
        "ada",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "steps/s" not in process.stderr.readline():
            if runs(lab) and runs(lab)[0].step > 0:
                break
        process.send_signal(2)
        process.communicate()
    row = runs(lab)[0]
    assert process.returncode == 130
    assert (row.state, row.reason) == ("cancelled", f"Stopped by ada at step {row.step:,}; the model was saved.")
    assert (lab.run(row.id).result() or {})["steps"] == row.step


def test_the_doctor_says_what_is_fine(lab: Lab, cli: Cli, tmp_path: Path) -> None:
    _, out, _ = cli(lab, "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)}
    assert {"python", "torch", "disk", "database", "supervisor", "data sets here"} <= set(checks)
    assert checks["database"]["fine"]
    assert re.fullmatch(r"ok, 0 runs, SQLite 3\.\d+\.\d+", checks["database"]["text"])
    assert "GB free" in checks["disk"]["text"]
    assert checks["supervisor"]["text"] == "not running; it starts with the next run"
    assert "digits" in checks["data sets here"]["text"]
    (tmp_path / "file").write_text("")
    code, out, _ = cli(tmp_path / "file", "doctor")
    assert code == 1
    assert "PROBLEM" in out


def test_the_doctor_says_that_a_named_data_folder_is_not_there(
    lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_DATA", f"{lab.path}:/nope")
    code, out, _ = cli(lab, "doctor")
    assert (code, out.count("data folder ")) == (1, 1)
    assert "The folder /nope (--data-root or AELAB_DATA) is not there." in out


def test_the_doctor_says_in_words_that_the_sqlite_in_use_is_old(
    lab: Lab, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, old in (((3, 40, 1), True), ((3, 44, 6), False), ((3, 50, 6), True), ((3, 51, 3), False)):
        monkeypatch.setattr(database.sqlite, "sqlite_version_info", version)
        assert ("is older than 3.51.3" in cli(lab, "doctor")[1]) == old


def test_the_supervisor_in_the_foreground_is_the_only_one(lab: Lab, cli: Cli) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"warm": 0, "idle_minutes": 0.02}))
    lock = lab.path / "locks" / "supervisor.lock"
    assert cli(lab, "supervise")[0] == 0
    assert lock.exists()
    import fcntl

    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"{os.getpid()} 0")
        file.flush()
        code, _, err = cli(lab, "supervise")
        file.truncate(0)
    assert code == 1
    assert f"has a supervisor already: process {os.getpid()}." in err


def test_a_reader_that_has_seen_enough_is_no_error(trained_run: TrainedRun) -> None:
    shell = f"{sys.executable} -m aecore presets --json --lab {trained_run.lab.path} | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


def test_a_deleted_run_is_listed_and_brought_back(lab: Lab, tiny_config: RunConfig, cli: Cli) -> None:
    assert cli(lab, "deleted")[1] == "No deleted run is kept.\n"
    run_id = queue.submit(lab, tiny_config, "ada")
    cli(lab, "delete", run_id, "--user", "ada")
    assert run_id in cli(lab, "deleted")[1]
    [kept] = json.loads(cli(lab, "deleted", "--json")[1])
    assert (kept["id"], kept["owner"]) == (run_id, "ada")
    code, _, err = cli(lab, "show", run_id)
    assert code == 3
    assert f"“python -m aecore undelete {run_id}” brings it back until" in err
    assert cli(lab, "undelete", run_id) == (0, f"{run_id}: cancelled\n", "")
    assert cli(lab, "undelete", run_id)[0] == 3


def test_usage_is_shown_for_runs_and_people(lab: Lab, tiny_config: RunConfig, cli: Cli) -> None:
    ids = [queue.submit(lab, tiny_config, who) for who in ("ada", "bea")]
    code, out, _ = cli(lab, "usage")
    assert code == 0
    assert all(word in out for word in (*ids, "ada", "bea", "are free on the lab's disk"))
    found = json.loads(cli(lab, "usage", "--json")[1])
    assert sum(found["owners"].values()) == sum(one["bytes"] for one in found["runs"]) > 0


def test_a_lab_is_backed_up_and_restored(lab: Lab, tiny_config: RunConfig, cli: Cli, tmp_path: Path) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    file = str(tmp_path / "lab.tar")
    code, out, _ = cli(lab, "backup", file)
    assert (code, out.startswith(f"{file}: 1 run, ")) == (0, True)
    assert cli(tmp_path / "new", "restore", file) == (0, f"{tmp_path / 'new'}: a lab with 1 run.\n", "")
    assert run(Lab.open(tmp_path / "new"), run_id).owner == "ada"
    code, out, err = cli(tmp_path / "new", "restore", file)
    assert (code, out) == (3, "")
    assert "is not empty" in err
    assert main(["restore", file]) == 2
