"""One step of a configuration is measured before it is queued: what is announced, how right it was, and that runs come first."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from aecore.config import RunConfig, save_preset
from aecore.jobs import announce, locks, measures, probe, queue
from aecore.jobs.announce import Announced
from aecore.jobs.forecast import Forecast, forecast
from aecore.jobs.measures import Answer, Measure, Room
from aecore.jobs.prober import Prober
from aecore.jobs.supervisor import ensure_supervisor
from aecore.runs import Lab, database, run, runs
from tests.conftest import tiny
from tests.test_ui_train import open_page
from ui import announcement, estimates
from ui.words import plain

NOW = 1_800_000_000.0
DIGITS = 1350
"""Training images of `digits`."""


def wish(lab: Lab, config: RunConfig) -> str:
    """Ask for a measure as a page does; its key."""
    where = measures.place(config, lab)
    assert where is not None
    name = measures.key(config, where)
    measures.ask(lab, name, config, where)
    return name


def known(lab: Lab, config: RunConfig, **values: float) -> str:
    """As if it had been measured."""
    name = wish(lab, config)
    taken = {
        "memory": 700_000_000,
        "step": 0.05,
        "watch": 0.1,
        "start": 0.5,
        "images": DIGITS,
        "device": "CPU",
    } | values
    measures.answer(lab, name, Answer(Measure(**taken)))  # type: ignore[arg-type]
    return name


def waited(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_wish_is_met_by_a_process_of_its_own(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"warm": 0}))
    name = wish(lab, tiny())
    assert ensure_supervisor(lab)
    while (answer := measures.read(lab, name)) is None:
        wish(lab, tiny())  # as a page that looks
        time.sleep(0.2)
    measure = answer.measure
    assert measure is not None
    assert measure.images == DIGITS
    assert 200e6 < measure.memory < 2e9
    assert 0 < measure.step < 10
    assert 0 < measure.watch < 100
    assert measure.device.startswith("CPU, ")
    assert measures.wanted(lab) == []
    assert runs(lab) == []


def test_the_same_step_has_the_same_key_and_another_step_another(lab: Lab) -> None:
    where = measures.place(tiny(), lab)
    assert where is not None
    key = lambda **values: measures.key(tiny(**values), where)
    assert key(name="else", training__epochs=9, training__learning_rate=0.1, training__seed=4) == key()
    for values in ({"training__batch_size": 32}, {"model__bottleneck__latent_dim": 3}, {"training__subset": 100}):
        assert key(**values) != key(), values
    assert measures.key(tiny(), where._replace(threads=where.threads + 1)) != key()
    assert measures.key(tiny(), where._replace(name="another processor")) != key()


def test_nothing_is_measured_of_what_another_machine_or_several_processes_compute(lab: Lab) -> None:
    assert measures.place(tiny(training__processes=2), lab) is None
    (lab.path / "settings.json").write_text(json.dumps({"executor": "slurm"}))
    assert measures.place(tiny(), Lab.open(lab.path)) is None


def test_the_length_of_a_run_is_made_of_its_steps_its_evaluations_and_its_pictures() -> None:
    measure = Measure(0, step=0.01, watch=0.1, start=1.0, images=1000, device="")
    short = tiny(training__epochs=10, training__batch_size=100)  # 100 steps: 1 s, 12 evaluations, 1 picture
    assert measure.seconds(short) == pytest.approx(1 + 1 + 1.2 + 0.1)
    assert measure.steps_per_second(short) == pytest.approx(100 / 3.3)
    rare = tiny(training__epochs=10, training__batch_size=100, training__watch_every=5)  # 4 evaluations
    assert measure.seconds(rare) == pytest.approx(1 + 1 + 0.4 + 0.1)
    # 10,000 steps: 100 s, of which 20 with a picture a second, the rest with a twentieth of the time for them
    assert measure.seconds(tiny(training__epochs=1000, training__batch_size=100)) == pytest.approx(
        1 + 100 + 100.2 + 2 + 4
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"training__classes": ("0", "eleven")}, "A first step failed. training.classes names 'eleven': "),
        (
            {"model__backbone__widths": (65536, 65536, 65536), "training__batch_size": 512},
            "It does not fit: it needs about 277 GB, and the machine has ",
        ),
    ],
)
def test_what_cannot_make_a_step_says_so_in_a_sentence(lab: Lab, values: dict[str, object], sentence: str) -> None:
    name = wish(lab, tiny(**values))
    probe.probe(lab.path, name)
    answer = measures.read(lab, name)
    assert answer is not None
    assert answer.measure is None
    assert answer.problem.startswith(sentence), answer.problem
    assert measures.wanted(lab) == []


def test_a_failure_is_believed_for_two_minutes_only(lab: Lab) -> None:
    name = wish(lab, tiny())
    measures.answer(lab, name, Answer(None, "It does not fit."))
    assert measures.read(lab, name) == Answer(None, "It does not fit.")
    path = lab.path / "probes" / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"at": time.time() - 121}))
    assert measures.read(lab, name) is None


def test_the_newest_wish_comes_first_and_those_that_nobody_repeats_are_dropped(lab: Lab) -> None:
    names = [wish(lab, tiny(training__batch_size=size)) for size in (8, 16, 32)]
    for name, age in zip(names, (3, 11, 1), strict=True):
        os.utime(measures.wish_path(lab, name), (time.time() - age,) * 2)
    assert measures.wanted(lab) == [names[2], names[0]]
    assert not measures.wish_path(lab, names[1]).exists()


def test_a_run_that_comes_ends_what_is_measured_and_the_wish_stays(lab: Lab) -> None:
    name, prober = wish(lab, tiny()), Prober(lab)
    assert prober.tend()
    child = prober.child
    assert child is not None
    queue.submit(lab, tiny(), "ada")
    prober.give_way(queue.pending(lab))
    assert child.returncode == -signal.SIGKILL
    os.utime(measures.wish_path(lab, name))
    assert prober.tend()
    assert prober.child is None  # the start has the processor for some seconds
    prober.not_before = 0.0
    prober.give_way(queue.pending(lab))  # nothing new has come
    assert prober.tend()
    assert prober.child is not None
    prober.close()


def test_a_step_that_ends_its_process_is_said(lab: Lab) -> None:
    name, prober = wish(lab, tiny()), Prober(lab)
    prober.tend()
    assert prober.child is not None
    prober.child.send_signal(signal.SIGKILL)
    prober.child.wait()
    assert not prober.tend()
    answer = measures.read(lab, name)
    assert answer is not None
    assert answer.problem.startswith("A first step ended its process with SIGKILL: ")


def test_a_second_process_leaves_the_first_one_alone(lab: Lab) -> None:
    name = wish(lab, tiny())
    held = locks.acquire(lab.path / "locks" / "probe.lock")
    assert held is not None
    prober = Prober(lab)
    prober.tend()
    assert prober.child is not None
    assert prober.child.wait(180) == 0
    assert measures.wanted(lab) in ([name], [])  # unmet; it may have been dropped meanwhile
    assert measures.read(lab, name) is None
    locks.release(held)


def test_what_was_measured_is_announced_in_words(lab: Lab) -> None:
    config = tiny(training__epochs=10, training__batch_size=100)
    measure = Measure(700_000_000, step=0.01, watch=0.1, start=1.0, images=1000, device="CPU")
    told = announce.announce(lab, config, measure, Room(12_400_000_000, 16_000_000_000), NOW)
    assert told == Announced(700_000_000, 12_400_000_000, pytest.approx(3.3), NOW, pytest.approx(NOW + 3.3))
    at = time.strftime("%H:%M", time.localtime(NOW + 3.3))
    assert announce.told(told, NOW) == ("fits", f"700 MB of 12.4 GB free; starts in a moment, ends about {at}")
    later = Announced(13_000_000_000, 12_400_000_000, 60.0, NOW + 360, NOW + 420)
    at = time.strftime("%H:%M", time.localtime(NOW + 420))
    assert announce.told(later, NOW) == (
        "does not fit now",
        f"13 GB of 12.4 GB free; starts in about 6 min, ends about {at}",
    )


def test_evaluations_that_take_more_than_a_twentieth_say_what_makes_them_rarer() -> None:
    measure = Measure(0, step=0.01, watch=0.011, start=0.0, images=1000, device="")  # an epoch of 100: 0.1 s
    config = tiny(training__batch_size=100)
    assert announce.rarer(config, measure) == ("Evaluating after each epoch adds 11%; after every 3 (Watch every) 4%.")
    assert announce.rarer(tiny(training__batch_size=100, training__watch_every=3), measure) == ""
    assert announce.rarer(config, measure._replace(watch=0.005)) == ""
    twice = announce.rarer(tiny(training__batch_size=100, training__watch_every=2), measure._replace(watch=0.02))
    assert twice == "Evaluating after every 2 epochs adds 10%; after every 4 (Watch every) 5%."


def test_a_waiting_run_that_nothing_is_like_is_foretold_from_its_step(lab: Lab) -> None:
    known(lab, tiny())
    waiting = queue.submit(lab, tiny(), "ada")
    seconds = 0.5 + 66 * 0.05 + (2 + 3 + 66 * 0.05) * 0.1
    expected = Forecast(1, NOW, pytest.approx(NOW + seconds), "From one step that was measured.")  # type: ignore[arg-type]
    assert forecast(lab, NOW) == {waiting: expected}


@pytest.fixture
def at(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    save_preset(lab.presets_folder, "small", tiny())
    return open_page(lab, monkeypatch, preset="small")


def said(at: AppTest) -> str:
    """The words below the button."""
    (line,) = (block.proto.body for block in at.get("html") if 'class="announced' in block.proto.body)
    return unescape(re.sub("<[^>]*>", "", line))


def test_the_page_asks_once_the_form_stands_still_and_then_says_what_it_takes(lab: Lab, at: AppTest) -> None:
    assert not at.exception
    assert said(at).startswith("Measuring a step of it, ")
    assert measures.wanted(lab) == []
    waited(lambda: at.run() and measures.wanted(lab))
    known(lab, tiny())
    at.run()
    assert not at.exception
    pattern = r"Fits: 700 MB of \d+(\.\d)? GB free; starts in a moment, ends about \d\d:\d\d\. Evaluating after each epoch adds 9%; "
    assert re.match(pattern, said(at)), said(at)


def test_the_page_is_made_again_when_the_slots_are_no_longer_what_it_says(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr("ui.announcement.st.rerun", lambda: made.append("again"))
    here, config = estimates.Data(lab), tiny()
    where = measures.place(config, lab)
    assert where is not None
    for free, again in ((here.where(config), []), ("CPU, 1 slot, none free", ["again"])):
        announcement._line(config, lab, where, measures.key(config, where), True, here, free)
        assert made == again


def test_a_page_on_which_a_step_failed_says_why_and_still_queues(lab: Lab, at: AppTest) -> None:
    measures.answer(lab, wish(lab, tiny()), Answer(None, "It does not fit: it needs <b>much</b>."))
    at.run()
    assert said(at) == "It would not run. It does not fit: it needs <b>much</b>."
    assert not at.button("queue-run").disabled


def test_afterwards_the_run_says_how_right_it_was(lab: Lab, at: AppTest) -> None:
    known(lab, tiny())
    at.run()
    at.button("queue-run").click().run()
    (row,) = runs(lab)
    kept = json.loads((lab.run(row.id).path / announce.FILE).read_text())
    assert kept["memory"] == 700_000_000
    assert announce.outcome(lab, row) == ""
    ended(lab, row.id)
    lab.run(row.id).write_result({"peak_memory": 812_000_000})
    sentence = f"Announced: 700 MB and {kept['seconds']:.0f} s. It took 812 MB and 9 s."
    assert announce.outcome(lab, run(lab, row.id)) == sentence
    at.query_params["run"] = row.id
    at.switch_page(str(Path(__file__).parents[1] / "pages/runs.py")).run()
    assert not at.exception
    assert any(plain(sentence) in part.value for part in at.markdown)


def test_a_run_that_nothing_was_announced_of_says_nothing(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    ended(lab, run_id)
    assert announce.outcome(lab, run(lab, run_id)) == ""


def test_a_run_that_went_on_later_is_judged_by_its_memory_alone(lab: Lab) -> None:
    said = Announced(700_000_000, 1, 5.0, NOW, NOW)
    run_id = queue.submit(lab, tiny(), "ada", begin=lambda folder: announce.keep(folder, said))
    lab.run(run_id).write_result({"peak_memory": 812_000_000})
    ended(lab, run_id, attempt=2)
    assert announce.outcome(lab, run(lab, run_id)) == "Announced: 700 MB and 5 s. It took 812 MB."


def ended(lab: Lab, run_id: str, attempt: int = 1) -> None:
    """As if it had trained for nine seconds."""
    values = {"state": "completed", "started": NOW, "ended": NOW + 9, "attempt": attempt, "step": 66, "total_steps": 66}
    with database.writing(lab.engine) as connection:
        connection.execute(update(database.jobs).where(database.jobs.c.run_id == run_id).values(**values))
