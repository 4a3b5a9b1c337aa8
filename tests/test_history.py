"""A run's history in words. The events are those that the lab really writes, with the sentences that it writes."""

import pytest

from aecore.jobs import endings, queue, steer
from aecore.jobs.states import claim, move, say
from aecore.runs import Event, Lab, events
from aecore.runs.history import Line, history
from tests.conftest import TrainedRun, tiny

SECOND = 1.0
KILLED = endings.died(-9, False).reason


def told(*happened: tuple[str, str, str, str], every: float = SECOND, kind: str = "train") -> list[tuple[str, str]]:
    """(sentence, tone) of (old, new, by, reason) that follow each other."""
    found = history([Event(n * every, kind, *one) for n, one in enumerate(happened)])
    return [(line.sentence, line.tone) for line in found]


QUEUED = ("", "queued", "ada", "")
STARTING = ("queued", "starting", "supervisor", "")
RUNNING = ("starting", "running", "trainer", "")
START = (QUEUED, STARTING, RUNNING)


def test_queued_starting_and_running_are_one_line() -> None:
    done = ("running", "completed", "trainer", "Completed 66 steps in 3 s.")
    assert told(*START, done) == [("queued by ada and started", ""), ("completed 66 steps in 3 s", "good")]


def test_a_long_time_in_the_queue_is_told() -> None:
    assert told(*START, every=300) == [("queued by ada", ""), ("started after 10 min in the queue", "")]
    assert told(QUEUED) == [("queued by ada", "")]


def test_a_dead_process_and_its_return_are_one_line_with_the_cause() -> None:
    died = ("running", "queued", "supervisor", f"{KILLED} It goes on from step 1,200.")
    goes_on = ("running", "running", "trainer", "Goes on from step 1,200.")
    sentence = "resumed from step 1,200 after the run's process was killed with SIGKILL: by hand, or by the system when memory ran out"
    assert told(*START, died, STARTING, RUNNING, goes_on) == [("queued by ada and started", ""), (sentence, "warning")]


def test_a_dead_process_that_waits_says_what_it_waits_for() -> None:
    died = ("running", "queued", "supervisor", "The machine was restarted while the run was going. It begins again.")
    waits = "the machine was restarted while the run was going; it begins again as soon as a slot is free"
    assert told(*START, died)[-1] == (waits, "warning")
    assert told(*START, died, STARTING, RUNNING, every=100)[-2:] == [
        (waits, "warning"),
        ("started after 3 min in the queue", ""),
    ]
    assert told(*START, died, STARTING, RUNNING)[-1] == (
        "began again after the machine was restarted while the run was going",
        "warning",
    )


def test_a_damaged_checkpoint_is_named_and_the_step_is_the_true_one() -> None:
    died = ("running", "queued", "supervisor", f"{KILLED} It goes on from step 1,200.")
    damaged = ("running", "running", "trainer", "The checkpoint of step 1,200 is damaged and was set aside: x differs.")
    goes_on = ("running", "running", "trainer", "Goes on from step 900.")
    found = told(*START, died, STARTING, RUNNING, damaged, goes_on)
    assert found[1][0].startswith("resumed from step 900 after the run's process was killed")
    assert found[2] == ("the checkpoint of step 1,200 is damaged and was set aside: x differs", "warning")


def test_pausing_is_one_line_and_so_is_resuming() -> None:
    asked = ("running", "running", "bea", "bea asked to pause it.")
    paused = ("running", "paused", "trainer", "Paused by bea at step 300; the model was saved.")
    resumed = ("paused", "queued", "ada", "Resumed by ada from step 300.")
    goes_on = ("running", "running", "trainer", "Goes on from step 300.")
    assert told(*START, asked)[-1] == ("bea asked to pause it", "")
    assert told(*START, asked, paused, resumed, STARTING, RUNNING, goes_on)[1:] == [
        ("paused by bea at step 300; the model was saved", ""),
        ("resumed by ada from step 300", ""),
    ]


def test_what_was_asked_stays_where_something_else_happened() -> None:
    asked = ("running", "running", "bea", "bea asked to stop it.")
    done = ("running", "completed", "trainer", "Completed 66 steps in 3 s.")
    assert [sentence for sentence, _ in told(*START, asked, done)][1:] == [
        "bea asked to stop it",
        "completed 66 steps in 3 s",
    ]


def test_a_full_disk_is_a_warning_and_its_end_is_told() -> None:
    full = ("running", "running", "trainer", "The disk is full: the run waits, and goes on as soon as there is room.")
    room = ("running", "running", "trainer", "There is room again: the run goes on.")
    assert told(*START, full, room)[1:] == [
        ("the disk is full: the run waits, and goes on as soon as there is room", "warning"),
        ("there is room again: the run goes on", ""),
    ]


def test_a_crash_is_told_with_its_cause_and_without_its_log() -> None:
    failed = ("running", "failed", "trainer", "The program failed with KeyError: 'x'\n  File one\nKeyError: 'x'")
    assert told(*START, failed)[-1] == ("failed: the program failed with KeyError: 'x'", "bad")


def test_moves_in_the_queue_and_vain_tries_make_no_long_list() -> None:
    moved = ("queued", "queued", "ada", "ada changed the order of the queue.")
    vain = ("starting", "queued", "supervisor", "Waits: another process took the slot.")
    assert [sentence for sentence, _ in told(QUEUED, moved, moved, STARTING, vain, STARTING, RUNNING)] == [
        "queued by ada",
        "ada changed the order of the queue",
        "started",
    ]


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        (("running", "completed", "trainer", "Analysed."), "the analysis is done"),
        (("running", "failed", "trainer", "The images are gone."), "the analysis failed: the images are gone"),
        (("running", "cancelled", "trainer", "Stopped by ada."), "the analysis was stopped"),
        (RUNNING, "the analysis is under way"),
    ],
)
def test_a_side_job_is_one_line(ending: tuple[str, str, str, str], sentence: str) -> None:
    assert [line for line, _ in told(QUEUED, STARTING, RUNNING, ending, kind="analyse")] == [sentence]


def test_a_run_that_was_brought_back_has_not_failed_again() -> None:
    failed = ("running", "failed", "trainer", "The loss is nan.")
    deleted = ("failed", "deleted", "ada", "Deleted by ada.")
    back = ("deleted", "failed", "ada", "Brought back by ada.")
    assert told(*START, failed, deleted, back)[1:] == [
        ("failed: the loss is nan", "bad"),
        ("deleted by ada", ""),
        ("brought back by ada", ""),
    ]


def test_a_word_that_is_no_word_keeps_its_capitals() -> None:
    assert told(*START, ("running", "failed", "trainer", "GPU 0 is gone."))[-1][0] == "failed: GPU 0 is gone"


def test_a_lab_that_lives_writes_what_is_told(lab: Lab) -> None:
    run = queue.submit(lab, tiny(), "ada")
    job = queue.jobs(lab, run)[0].id
    move(lab, job, "starting", by="supervisor")
    attempt = claim(lab, job, "local:x:1:1")
    steer.pause(lab, run, "bea")
    move(lab, job, "paused", by="trainer", reason="Paused by bea before there was anything to save.", attempt=attempt)
    steer.resume(lab, run, "ada")
    move(lab, job, "starting", by="supervisor")
    attempt = claim(lab, job, "local:x:2:1")
    say(lab, job, run, "The disk is full: the run waits, and goes on as soon as there is room.")
    move(lab, job, "queued", by="supervisor", reason=f"{KILLED} It begins again.", attempt=attempt)
    assert [line.sentence for line in history(events(lab, run))] == [
        "queued by ada and started",
        "paused by bea before there was anything to save",
        "resumed by ada from the start",
        "the disk is full: the run waits, and goes on as soon as there is room",
        "the run's process was killed with SIGKILL: by hand, or by the system when memory ran out; "
        "it begins again as soon as a slot is free",
    ]


def test_a_run_that_was_really_trained_has_three_lines(trained_run: TrainedRun) -> None:
    lines = history(events(trained_run.lab, trained_run.id))
    assert [line.tone for line in lines] == ["", "good", ""]
    assert lines[0].sentence == "queued by ada and started"
    assert lines[1].sentence.startswith("completed 66 steps in ")
    assert lines[2] == Line(lines[2].at, "the analysis is done")
