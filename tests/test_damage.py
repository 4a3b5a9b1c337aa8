"""What a damaged file, a lost card or a process that has just died does: a sentence, and the rest goes on."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from aecore import manifest
from aecore.config import ConfigError, presets
from aecore.jobs import devices, doctor, launch, local, locks, measures, queue, settings, slurm, supervisor, trash
from aecore.jobs.work import Stop, Stopped, Work
from aecore.models import unset
from aecore.runs import Lab, LabError, diary, files, run, runs, values
from aecore.runs.values import all_values
from aecore.training import Diverged, checkpoints
from tests.conftest import TrainedRun, tiny
from ui import healing, serve, shared, stored
from ui import lab as shown_lab
from ui.comparison import Compared

NO_TEXT = b'{"name": "\xff"}'


def test_threads_that_write_one_file_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    path, problems = tmp_path / "one.json", []

    def write(number: int) -> None:
        try:
            for _ in range(100):
                files.write_json(path, {"from": number})
                assert files.read_json(path)["from"] in (0, 1)
        except (OSError, ValueError, AssertionError) as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [left.name for left in tmp_path.iterdir()] == ["one.json"]


def test_a_config_of_no_text_is_a_sentence_for_one_run_and_comes_back_with_its_file(
    copy: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, config = run(copy.lab, copy.id), copy.folder.path / "config.json"
    monkeypatch.setattr(values, "LOOK", 0.05)
    config.rename(aside := config.with_suffix(".aside"))
    config.write_bytes(NO_TEXT)
    with pytest.raises(ConfigError, match=f"The configuration of run {copy.id} cannot be read: it is no text"):
        copy.folder.config()
    assert "training.batch_size" not in all_values(copy.lab, [row])[0]
    aside.replace(config)
    end = time.monotonic() + 30
    while "training.batch_size" not in all_values(copy.lab, [row])[0]:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_preset_of_ones_own_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(NO_TEXT)
    assert "mine" not in presets(tmp_path)


@pytest.mark.parametrize("name", ["result.json", "analysis/metrics.json"])
@pytest.mark.parametrize("damage", [b"[1, 2]", b"3", b"[" * 100_000, b"\xff", None])
def test_figures_that_are_no_object_are_damaged_and_left_out_of_pages(
    copy: TrainedRun, name: str, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(copy.lab.path))
    shared.forget()
    path, row = copy.folder.path / name, run(copy.lab, copy.id)
    path.unlink()
    if damage is None:
        path.mkdir()
    else:
        path.write_bytes(damage)
    with pytest.raises(LabError, match=rf"{name} of run {copy.id} is damaged: it is no"):
        files.told(copy.folder.path, name)
    one = Compared(row, copy.folder, copy.folder.config(), copy.folder.facts(), "one", "#000000")  # type: ignore[arg-type]
    assert stored.told(one, name) == {}
    assert all_values(copy.lab, [row])[0]["code"] == 2
    for page, query in (("compare", "runs"), ("runs", "run")):
        at = AppTest.from_file("../ui/main.py", default_timeout=120)
        at.run().switch_page(f"../pages/{page}.py")
        at.query_params[query] = copy.id
        assert not at.run().exception
        assert not any("not foreseen" in error.value for error in at.error)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and then nothing", b"no zip at all"])
def test_pictures_that_are_damaged_are_left_out_of_pages(
    copy: TrainedRun, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(copy.lab.path))
    shared.forget()
    row, step = run(copy.lab, copy.id), copy.folder.sample_steps()[-1]
    one = Compared(row, copy.folder, copy.folder.config(), copy.folder.facts(), "one", "#000000")  # type: ignore[arg-type]
    assert stored.sample(one, None) is not None
    assert stored.inputs(one) is not None
    for path in (copy.folder.sample_path(step), copy.folder.path / "samples/inputs.npz", analysed(copy)):
        path.write_bytes(damage)
    assert (stored.sample(one, None), stored.inputs(one), stored.shown(one, "shown-test")) == (None, None, None)
    healing.run_health(row)
    with pytest.raises(LabError, match=rf"analysis/shown-test.npz of run {copy.id} is damaged"):
        copy.folder.analysis("shown-test")


def analysed(here: TrainedRun) -> Path:
    return here.folder.path / "analysis" / "shown-test.npz"


def test_a_damaged_checkpoint_that_was_set_aside_is_not_the_newest(
    copy: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(copy.lab.path))
    newest = manifest.newest(copy.folder.checkpoints)
    assert newest is not None
    assert shown_lab.latest_stamp(copy.id) == newest.name
    begin = newest.name.partition("-")[0]
    for attempt in (9, 10):
        shutil.copytree(newest, newest.with_name(f"{begin}-{attempt}"))
    assert shown_lab.latest_stamp(copy.id) == f"{begin}-10"
    manifest.set_aside(manifest.Damaged(newest.with_name(f"{begin}-10"), "it is broken."))
    assert shown_lab.latest_stamp(copy.id) == f"{begin}-9"


def test_what_a_killed_analysis_left_is_no_hindrance(copy: TrainedRun) -> None:
    for name in (".old-analysis", ".4711-analysis"):
        shutil.copytree(copy.folder.path / "analysis", copy.folder.path / name)
        os.utime(copy.folder.path / name, (0, 0))
    shutil.copytree(copy.folder.path / "analysis", copy.folder.path / ".9999999-analysis")  # at work just now
    copy.folder.write_analysis({"test": {"codes": np.ones((1, 2))}}, {"n": 2})
    assert copy.folder.analysis_metrics() == {"n": 2}
    assert [path.name for path in copy.folder.path.glob(".*-analysis")] == [".9999999-analysis"]


def test_half_a_folder_that_was_forgotten_goes_at_the_next_look(lab: Lab) -> None:
    (left := lab.trash / ".purged-gone").mkdir(parents=True)
    trash.sweep(lab)
    assert not left.exists()


def test_the_doctor_says_what_to_do_with_a_damaged_database(copy: TrainedRun) -> None:
    known = [row.id for row in runs(copy.lab)]
    copy.lab.engine.dispose()
    for path in copy.lab.path.glob("lab.sqlite-*"):
        path.unlink()
    with (copy.lab.path / "lab.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\x55" * 40_000)
    found = [check for check in doctor.of_lab(copy.lab) if check.name == "database"]
    assert [check.fine for check in found] == [False]
    assert found[0].text.endswith("stop the lab and put the file aside, and they come back from there.")
    copy.lab.engine.dispose()
    (copy.lab.path / "lab.sqlite").unlink()
    assert [row.id for row in runs(Lab.open(copy.lab.path))] == known


def test_the_doctor_says_that_a_lab_can_only_be_read_and_goes_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "touch", Mock(side_effect=OSError(30, "Read-only file system")))
    found = {check.name: check for check in doctor.of_lab(lab)}
    said = f"{lab.path} cannot be written: Read-only file system. Nothing can be queued or changed."
    assert (found["writing"].fine, found["writing"].text) == (False, said)
    assert list(found)[-1] == "supervisor"


def test_the_diary_does_not_undo_what_it_tells_of(lab: Lab) -> None:
    (lab.path / diary.NAME).mkdir()
    assert settings.change(lab, {"cpu_slots": 3}, "ada") != []
    assert lab.settings.cpu_slots == 3


def test_a_lab_that_cannot_be_opened_is_a_sentence_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(tmp_path))
    (tmp_path / "settings.json").write_text(
        '{"database": "postgresql://nobody@127.0.0.1:1/x", "access": {"way": "proxy"}}'
    )
    way, said = serve.way_in()
    assert way == "proxy"
    assert "database" in said


class Lost(Exception):
    pass


def cards(**asked: Any) -> SimpleNamespace:
    """NVML with two cards, of which the first does not answer."""

    def handle(index: int) -> int:
        if index == 0:
            raise Lost
        return index

    memory = SimpleNamespace(used=1, total=2)
    answers = {"nvmlDeviceGetCount": lambda: 2, "nvmlDeviceGetHandleByIndex": handle, "NVMLError": Lost}
    answers |= {"nvmlDeviceGetMemoryInfo": lambda _: memory, "nvmlDeviceGetName": lambda _: "Big"}
    answers |= {"nvmlDeviceGetUUID": lambda at: f"uuid-{at}", "nvmlDeviceGetUtilizationRates": lambda _: handle(0)}
    return SimpleNamespace(**answers | asked)


def test_a_card_that_does_not_answer_is_not_there_and_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_nvml", cards)
    assert [(card.uuid, card.load) for card in devices.gpus()] == [("uuid-1", None)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [card.uuid for card in devices.gpus()] == ["uuid-1"], "numbers stay those of the driver"
    monkeypatch.setattr(devices, "_nvml", lambda: cards(nvmlDeviceGetCount=lambda: 1))
    assert devices.gpus() == []


def test_a_wish_that_is_damaged_is_dropped_and_the_supervisor_goes_on(lab: Lab) -> None:
    wish = measures.wish_path(lab, "broken")
    wish.parent.mkdir(parents=True)
    wish.write_text("{")
    looking = supervisor.Supervisor(lab, local.LocalExecutor(lab))
    looking._tick()
    assert not wish.exists()
    looking.executor.close()


def test_a_fault_of_a_look_is_survived(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = supervisor.Supervisor(lab, local.LocalExecutor(lab))
    monkeypatch.setattr(queue, "at_hand", lambda _: 1 / 0)
    assert looking._tick()
    assert not looking.told_to_leave
    looking.executor.close()


def test_a_supervisor_that_does_not_leave_is_not_waited_for_for_ever(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    monkeypatch.setattr(launch, "started", lambda _: [child])
    supervisor.stop_supervisor(lab, 0.2)
    assert child.poll() is None
    child.kill()
    child.wait()


def test_a_waiting_process_that_died_just_now_is_replaced_by_a_new_one(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(training__epochs=1), "ada")
    job = queue.jobs(lab, run_id)[0]
    executor = local.LocalExecutor(lab)
    dead = local.Child(lab.path / "supervisor.log", 1, 0, "", lab.path)
    os.kill(dead.process.pid, signal.SIGSTOP)
    executor.nursery.children = [dead]
    executor.nursery._forget_dead = lambda: None  # type: ignore[method-assign]  # it dies after the look
    os.kill(dead.process.pid, signal.SIGKILL)
    dead.process.wait()
    place = locks.acquire(executor.slots[0].lock)
    assert place is not None
    locks.release(place)
    assert supervisor.states.move(lab, job.id, "starting", by="supervisor", engine="local")
    executor.submit(job)
    end = time.monotonic() + 60
    while run(lab, run_id).state != "completed":
        assert time.monotonic() < end, run(lab, run_id).reason
        time.sleep(0.1)
    executor.close()


def test_weights_that_are_not_finite_are_told_as_what_they_are(copy: TrainedRun) -> None:
    config, facts = copy.folder.config(), copy.folder.facts()
    assert facts
    model = unset(config.model, facts)
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(Diverged, match="The sum of the weights is nan after step 7: training was stopped"):
        checkpoints._check(SimpleNamespace(model=model, step=7))  # type: ignore[arg-type]


def test_a_job_that_waits_for_room_on_the_disk_hears_that_it_shall_stop(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    job = queue.jobs(lab, run_id)[0]
    supervisor.states.move(lab, job.id, "starting", by="supervisor", engine="foreground")
    attempt = supervisor.states.claim(lab, job.id, "foreground:1")
    assert attempt
    queue.stop(lab, run_id, "ada")

    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Stopped):
        Work(lab, job, attempt, None, Stop()).patiently(full, 3)
    assert runs(lab)[0].id == run_id


def test_secrets_of_the_lab_are_not_handed_to_slurm(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("PASSWORD", "ADMIN_PASSWORD", "MAIL_PASSWORD", "PROXY_SECRET", "CLIENT_SECRET")
    for name in secrets:
        monkeypatch.setenv(f"AELAB_{name}", "open sesame")
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    job = queue.jobs(lab, queue.submit(lab, tiny(), "ada"))[0]
    handed = slurm._environment(job)
    assert "open sesame" not in handed.values()
    assert handed["AELAB_HOME"] == str(lab.path)
