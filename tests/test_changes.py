"""What was read from a lab's database is kept until somebody writes, in this process or another, and not a moment longer."""

import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aecore.config import RunConfig
from aecore.jobs import marks, queue
from aecore.runs import Lab, changes, index, runs
from aecore.runs.rights import Person, Role
from aecore.runs.values import values

ELSEWHERE = """
import sys
from aecore.jobs import marks
from aecore.runs import Lab
marks.annotate(Lab.open(sys.argv[1]), sys.argv[2], "from elsewhere")
"""


def test_every_transaction_is_heard_of_and_silence_is_silence(either_lab: Lab, tiny_config: RunConfig) -> None:
    run = queue.submit(either_lab, tiny_config, "ada")
    seen = changes.latest(either_lab.engine)
    assert changes.latest(either_lab.engine) == seen
    assert runs(either_lab)[0].note == ""
    marks.annotate(either_lab, run, "from here")
    here = changes.latest(either_lab.engine)
    assert here != seen
    assert runs(either_lab)[0].note == "from here"
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(either_lab.path), run], check=True)
    assert changes.latest(either_lab.engine) not in (here, seen)
    assert runs(either_lab)[0].note == "from elsewhere"


def test_the_table_is_read_once_until_then(
    either_lab: Lab, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, read = [], index._at_once
    monkeypatch.setattr(index, "_at_once", lambda connection, query: reads.append(1) or read(connection, query))  # type: ignore[func-returns-value]
    monkeypatch.setattr(index, "FRESH", 1e6)
    run = queue.submit(either_lab, tiny_config, "ada")
    first = runs(either_lab)
    first.clear()  # the list is the caller's own
    assert [row.id for row in runs(either_lab)] == [run]
    assert len(reads) == 1
    marks.annotate(either_lab, run, "new")
    assert runs(either_lab)[0].note == "new"
    assert len(reads) == 2


def test_what_one_may_see_is_not_shown_to_another(lab: Lab, tiny_config: RunConfig) -> None:
    run = queue.submit(lab, tiny_config, "ada", private=True)
    ada, bob = (lab.seen_by(Person(name, Role.MEMBER)) for name in ("ada", "bob"))
    assert [row.id for row in runs(ada)] == [run]
    assert runs(bob) == []
    assert [row.id for row in runs(ada)] == [run]


def test_another_file_in_its_place_is_another_lab(lab: Lab, tiny_config: RunConfig) -> None:
    queue.submit(lab, tiny_config, "ada")
    assert len(runs(lab)) == 1
    file = lab.path / "lab.sqlite"
    kept = lab.path / "kept.sqlite"
    changes.database.sqlite.connect(file).execute("VACUUM INTO ?", (str(kept),))
    queue.submit(lab, tiny_config, "ada")
    assert len(runs(lab)) == 2
    for old in lab.path.glob("lab.sqlite*"):
        old.unlink()
    shutil.move(kept, file)
    assert len(runs(lab)) == 1


def test_a_patient_reader_hears_of_its_own_process_at_once_and_of_others_a_little_later(
    either_lab: Lab, tiny_config: RunConfig
) -> None:
    run = queue.submit(either_lab, tiny_config, "ada")
    either_lab.engine.update_execution_options(patience=3600)
    seen = changes.latest(either_lab.engine)
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(either_lab.path), run], check=True)
    assert changes.latest(either_lab.engine) == seen
    marks.annotate(either_lab, run, "from here")
    assert changes.latest(either_lab.engine) != seen
    assert runs(either_lab)[0].note == "from here"
    seen = changes.latest(either_lab.engine)
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(either_lab.path), run], check=True)
    either_lab.engine.update_execution_options(patience=0)
    assert changes.latest(either_lab.engine) != seen


def test_all_and_some_are_the_same_rows_whichever_way_they_are_read(either_lab: Lab, tiny_config: RunConfig) -> None:
    ids = [queue.submit(either_lab, tiny_config, "ada", private=place == 1) for place in range(3)]
    marks.tag(either_lab, ids[:1], ["a", "b"])
    some, first = runs(either_lab, ids[:2]), runs(either_lab, limit=1)  # nobody has read the table yet
    every = runs(either_lab)
    either_lab.engine.update_execution_options(patience=3600)
    assert [row.id for row in every] == ids[::-1]
    assert some == every[1:] == runs(either_lab, ids[:2])
    assert runs(either_lab) == every
    assert first == every[:1] == runs(either_lab, limit=1)
    assert [row.private for row in every] == [False, True, False]
    assert every[2].tags == ("a", "b")


def test_a_run_that_did_not_change_is_the_object_that_it_was(lab: Lab, tiny_config: RunConfig) -> None:
    other, run = (queue.submit(lab, tiny_config, "ada") for _ in range(2))
    before = {row.id: row for row in runs(lab)}
    found = {run_id: values(lab, row) for run_id, row in before.items()}
    marks.annotate(lab, run, "new")
    after = {row.id: row for row in runs(lab.seen_by(Person("bob", Role.MEMBER)))}
    assert after[other] is before[other]
    assert values(lab, after[other]) is found[other]
    assert (before[run].note, after[run].note, values(lab, after[run])["note"]) == ("", "new", "new")


def test_who_asks_while_it_is_found_waits_for_that_answer_though_newer_ones_are_kept() -> None:
    kept, begun, go, found = changes.Newest[str](2), threading.Event(), threading.Event(), []

    def slowly() -> str:
        found.append("old")
        begun.set()
        assert go.wait(10)
        return "old"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.at, "key", 1, slowly)
        assert begun.wait(10)
        waits = pool.submit(kept.at, "key", 1, slowly)
        time.sleep(0.05)  # so that the second has asked
        assert kept.known("key", 1) is None
        assert kept.at("key", 2, lambda: "new") == "new"
        go.set()
        assert (first.result(10), waits.result(10), found) == ("old", "old", ["old"])
    assert (kept.known("key", 1), kept.known("key", 2)) == (None, "new")


def test_what_could_not_be_found_is_looked_for_by_the_next() -> None:
    kept = changes.Newest[int](2)
    with pytest.raises(ZeroDivisionError):
        kept.at("key", 1, lambda: 1 // 0)
    assert kept.at("key", 1, lambda: 5) == 5
