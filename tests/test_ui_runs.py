"""The runs page: the table, one run, and what may be done with it by whom."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from aecore.jobs import queue, steer, trash
from aecore.jobs.foreground import train_here
from aecore.runs import Lab, database, index
from tests.conftest import TrainedRun, TwoRuns, tiny
from ui import disk, latent_selection, run_actions, words
from ui.words import plain, span

Open = Callable[..., AppTest]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Open:
    """The runs page of a lab, as somebody of this name sees it."""

    def at(lab: Lab, who: str = "ada", **query: str) -> AppTest:
        monkeypatch.setenv("AELAB_HOME", str(lab.path))
        monkeypatch.setattr("getpass.getuser", lambda: who)
        test = AppTest.from_file("../ui/main.py", default_timeout=120)
        test.user = {}  # no login: who it is comes from the machine
        test.run().switch_page("../pages/runs.py")
        test.query_params.update(query)
        test.run()
        assert not test.exception
        return test

    return at


def shown(test: AppTest) -> str:
    return "\n".join(element.value for element in [*test.markdown, *test.header, *test.error, *test.code])


def test_an_empty_lab_says_what_to_do_next(page: Open, lab: Lab) -> None:
    test = page(lab)
    assert "Nothing was trained here yet." in shown(test)
    assert [link.label for link in test.get("page_link")] == ["Set up the first run"]


def test_the_table_has_a_row_for_each_run_the_newest_first(page: Open, two_runs: TwoRuns) -> None:
    table = page(two_runs.lab).dataframe[0].value
    rows = index.runs(two_runs.lab)  # other tests of the session may have added some
    assert [row.created for row in rows] == sorted((row.created for row in rows), reverse=True)
    assert table["code"].tolist() == [row.code_size for row in rows]
    assert table["owner"].tolist() == [row.owner for row in rows]
    ours = table[table["owner"] == "bea"]
    assert ours["progress"].tolist() == [100]
    assert [list(state) for state in ours["state"]] == [["completed"]]


def test_a_run_has_one_time_and_one_speed_wherever_they_stand(trained_run: TrainedRun) -> None:
    result = trained_run.folder.result() or {}
    assert result["reason"] == f"Completed 66 steps in {span(result['seconds'])}."
    assert index.run(trained_run.lab, trained_run.id).images_per_second == result["images_per_second"]


def test_figures_without_a_psnr_are_left_out_and_not_in_the_way() -> None:
    assert words.figures({"mse": 0.0, "psnr": None, "ssim": 1.0, "n": 3.0}) == ""


def test_a_run_from_a_link_shows_what_it_is_what_it_did_and_its_log(page: Open, trained_run: TrainedRun) -> None:
    test = page(trained_run.lab, run=trained_run.id)
    assert "tiny&ensp;:green-badge[:material/check_circle: completed]" in shown(test)
    assert "Completed 66 steps in " in shown(test)
    assert "ada · digits · dense with a vector code of 2" in shown(test)
    assert [tab.label for tab in test.tabs] == ["History", "Configuration", "Log", "Files"]
    config = test.dataframe[1].value
    assert dict(zip(config["field"], config["value"], strict=True))["model.backbone.widths"] == "32"
    assert "queued by ada and started" in shown(test)


def test_how_good_the_codes_are_is_a_column_and_a_filter(page: Open, two_runs: TwoRuns) -> None:
    found = [(folder.analysis_metrics() or {})["code"]["knn_accuracy"] for folder in two_runs.folders]
    between = sum(found) / 2
    test = page(two_runs.lab, cols="id,quality.knn_accuracy", filter=f"quality.knn_accuracy>{between}")
    told = test.dataframe[0].value.set_index("id")["quality.knn_accuracy"]
    best = two_runs.ids[found.index(max(found))]
    assert told[best] == max(found)
    assert two_runs.ids[found.index(min(found))] not in told.index


def test_a_selection_of_the_map_stands_in_the_runs_page(page: Open, trained_run: TrainedRun) -> None:
    page(trained_run.lab)
    name = latent_selection.keep(trained_run.id, "test", np.array([5, 9]))
    test = page(trained_run.lab, run=trained_run.id, selection=name)
    assert "Selection: 2 test images" in [element.value for element in test.subheader]
    assert "times that of all 297 test images" in shown(test)
    test.button(key="run-selection-clear").click().run()
    assert not test.exception
    assert "Selection: 2 test images" not in [element.value for element in test.subheader]


def test_a_run_that_is_not_there_is_a_sentence(page: Open, trained_run: TrainedRun) -> None:
    said = page(trained_run.lab, run="nobody").error[0].value
    assert said.startswith("There is no run 'nobody'")
    assert "`" not in said


def test_ones_own_run_is_stopped_and_deleted_without_a_question(page: Open, lab: Lab) -> None:
    run = queue.submit(lab, tiny(), "ada")
    page(lab, run=run).button(key="stop").click().run()
    assert index.run(lab, run).state == "cancelled"
    test = page(lab, run=run)
    assert "Cancelled by ada before it started." in shown(test)
    test.button(key="delete").click().run()
    assert not test.exception
    assert [toast.value for toast in test.toast] == [
        f"**tiny** ({run}) was deleted. It can be brought back, at the end of this page."
    ]
    assert index.runs(lab) == []


def test_clone_compare_and_latent_carry_the_run_in_their_links(page: Open, trained_run: TrainedRun) -> None:
    links = {link.label: link.proto.query_string for link in page(trained_run.lab, run=trained_run.id).get("page_link")}
    assert links["Clone"] == f"clone={trained_run.id}"
    assert links["Compare"] == f"runs={trained_run.id}"
    assert links["Latent space"] == f"run={trained_run.id}"


def job(lab: Lab, run: str, **values: Any) -> str:
    with database.writing(lab.engine) as connection:
        connection.execute(update(database.jobs).where(database.jobs.c.run_id == run).values(**values))
    return run


@pytest.fixture
def one_slot(lab: Lab) -> Lab:
    """A lab that trains one run at a time; of tiny runs it knows that they take 6 seconds."""
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1}))
    job(lab, queue.submit(lab, tiny(), "ada"), state="completed", steps_per_second=11.0, step=66, total_steps=66)
    return Lab.open(lab.path)


def test_a_run_that_waits_says_where_in_the_queue_and_when_it_starts(page: Open, one_slot: Lab) -> None:
    first, second = (queue.submit(one_slot, tiny(name=name), "ada") for name in ("first", "second"))
    test = page(one_slot, run=second)
    assert "2nd in the queue, starts in about 6 s, ends at " in shown(test)
    assert "From the measured speed of 1 earlier run of the same model" in shown(test)
    starts, ends = (test.dataframe[0].value[column].tolist() for column in ("starts", "ends"))
    assert re.fullmatch(r"2nd, \d\d:\d\d", starts[0])
    assert all(re.fullmatch(r"\d\d:\d\d", moment) for moment in ends[:2])
    assert "1st in the queue, starts in a moment, ends at " in shown(page(one_slot, run=first))


def test_where_nothing_was_measured_no_time_is_told(page: Open, lab: Lab) -> None:
    test = page(lab, run=queue.submit(lab, tiny(), "ada"))
    assert "1st in the queue, starts in a moment." in shown(test)
    assert "No run like it was measured yet" in shown(test)
    assert test.dataframe[0].value["ends"].tolist() == [""]


def test_ones_own_run_is_paused_and_resumed(page: Open, lab: Lab) -> None:
    run = queue.submit(lab, tiny(), "ada")
    test = page(lab, run=run)
    test.button(key="pause").click().run()
    assert index.run(lab, run).state == "paused"
    assert "Paused by ada before it started." in shown(test)
    assert "pause" not in keys(test)
    test.button(key="resume").click().run()
    assert index.run(lab, run).state == "queued"
    assert "Resumed by ada from the start." in shown(test)
    assert "resume" not in keys(test)


def keys(test: AppTest) -> set[str | None]:
    return {button.key for button in test.button}


def test_one_moves_ones_own_waiting_runs_and_nobody_elses(page: Open, lab: Lab) -> None:
    first, other, second = (queue.submit(lab, tiny(name=name), name) for name in ("ada", "bea", "ada"))
    test = page(lab, run=second)
    test.button(key="earlier").click().run()
    assert [one.run_id for one in queue.pending(lab)] == [second, other, first]
    test.button(key="earlier").click().run()
    assert "It is the first of yours already." in shown(test)
    test.run()
    assert "It is the first of yours already." not in shown(test)
    assert not {"earlier", "later"} & keys(page(lab, run=other))


@pytest.mark.parametrize("what", ["pause", "stop", "resume", "delete"])
def test_somebody_elses_run_is_steered_only_after_a_question(page: Open, lab: Lab, what: str) -> None:
    run = queue.submit(lab, tiny(), "bea")
    if what == "resume":
        queue.stop(lab, run, "bea")
    before = index.run(lab, run).state
    test = page(lab, "ada", run=run)
    test.button(key=what).click().run()
    assert "is not yours" in shown(test)
    assert index.run(lab, run).state == before
    assert f"{what}-anyway" in keys(test)


def test_a_click_that_comes_too_late_is_a_sentence(page: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run = queue.submit(lab, tiny(), "ada")
    test = page(lab, run=run)

    def late(lab: Lab, run: str, by: str) -> None:
        job(lab, run, state="completed")
        steer.pause(lab, run, by)

    monkeypatch.setitem(run_actions.ACTS, "pause", run_actions.ACTS["pause"]._replace(do=late))
    test.button(key="pause").click().run()
    assert f"{run} is completed: only a run that waits or trains can be paused." in shown(test).replace("\\", "")


def test_a_completed_run_is_trained_longer_and_the_new_one_names_it(page: Open, lab: Lab) -> None:
    first = train_here(lab, tiny(training__epochs=1), "bea")
    test = page(lab, "ada", run=first)
    test.number_input(key="more-epochs").set_value(4).run()
    test.button(key="extend").click().run()
    assert not test.exception
    row = index.runs(lab)[0]
    assert (row.parent, row.owner, row.epochs) == (first, "ada", 5)
    assert test.query_params["run"] == row.id
    links = {link.label: link.proto.query_string for link in test.get("page_link")}
    assert links[f"goes on from {first}"] == f"run={first}"
    trash.delete(lab, first, "bea")
    assert f"goes on from {first}, which was deleted" in shown(page(lab, run=row.id))


def test_a_run_that_waits_for_room_on_the_disk_warns(page: Open, lab: Lab) -> None:
    sentence = "The disk is full: the run waits, and goes on as soon as there is room."
    run = job(lab, queue.submit(lab, tiny(), "ada"), state="running", reason_code="disk_full", reason=sentence)
    assert [warning.value for warning in page(lab, run=run).warning] == [plain(sentence)]
    job(lab, run, steps_per_second=1.0, total_steps=66, heartbeat=time.time())
    assert index.run(lab, run).eta_seconds is None  # nobody knows when there will be room


FAILED = {
    "diverged": ("The loss is nan. The checkpoint of step 44 is kept.", 44, "Clone it with a smaller learning rate"),
    "signal": ("The run's process was killed.", 44, "let it try once more. Resuming goes on from step 44."),
    "exit": ("The program failed with KeyError: 'x'\n  File one\nKeyError", None, "Resuming goes on from the start."),
}


@pytest.mark.parametrize("code", FAILED)
def test_a_failed_run_shows_the_cause_what_was_kept_and_what_to_do(page: Open, lab: Lab, code: str) -> None:
    reason, kept, advice = FAILED[code]
    values = {"state": "failed", "reason_code": code, "reason": reason, "step": 60, "checkpoint_step": kept}
    run = job(lab, queue.submit(lab, tiny(), "ada"), **values)
    test = page(lab, run=run)
    cause, _, lines = reason.replace(" The checkpoint of step 44 is kept.", "").partition("\n")
    assert f"**What happened**\n\n{plain(cause)}" in shown(test)
    assert ("were at step 44" if kept else "No checkpoint was written yet") in shown(test)
    assert advice in shown(test)
    assert lines in shown(test)
    assert "Clone and change" in [link.label for link in test.get("page_link")]
    test.button(key="resume").click().run()
    assert index.run(lab, run).state == "queued"


def test_times_are_told_as_a_clock_does() -> None:
    noon = 1_800_000_000.0
    assert len(words.when(noon, noon + 60)) == len("12:00")
    assert words.when(noon, noon + 3 * 86_400) == words.time.strftime("%d %b, %H:%M", words.time.localtime(noon))
    assert words.when(None) == ""


def test_a_deleted_run_is_brought_back_from_the_page_and_the_disk_is_told(page: Open, lab: Lab) -> None:
    run_id = train_here(lab, tiny(training__epochs=1), "ada")
    trash.delete(lab, run_id, "ada")
    test = page(lab, who="bea")
    assert not test.text, "nobody looks at all files before it is opened"
    test.session_state[disk.KEY] = True
    test.run()
    assert re.search(r"\d+ [kM]B in 0 runs, 1 deleted", shown(test))
    assert any(text.value.startswith(f"{run_id}, ada's") for text in test.text)
    test.button(key=f"undelete-{run_id}").click().run()
    assert not test.exception
    assert index.run(lab, run_id).state == "completed"
    assert [event.reason for event in index.events(lab, run_id)][-1] == "Brought back by bea."
