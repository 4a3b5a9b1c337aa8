"""What was read from a lab's database is kept until somebody writes, in this process or another, and not a moment longer."""

import shutil
import subprocess
import sys

import pytest

from aecore.config import RunConfig
from aecore.jobs import marks, queue
from aecore.runs import Lab, changes, index, runs
from aecore.runs.rights import Person, Role

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
