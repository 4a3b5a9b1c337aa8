"""Tags, notes and the archive; what finds runs; seeds together."""

import json
import math
import time

import pytest

from aecore.__main__ import main
from aecore.jobs import marks, queue
from aecore.jobs.foreground import train_here
from aecore.runs import Lab, LabError, database, events, run
from aecore.runs.filters import Condition, FilterError, holds, parse
from aecore.runs.groups import Interval, by_seed, interval
from aecore.runs.history import history
from aecore.runs.values import LOOK, config_values, names, values
from tests.conftest import TrainedRun, tiny
from tests.test_rebuild import lose

MARKUP = "<b>bold</b> **x** $y$ :red[z]"


@pytest.fixture
def ended(lab: Lab) -> str:
    """A run that was cancelled before it started."""
    run_id = queue.submit(lab, tiny(), "ada")
    queue.stop(lab, run_id, "ada")
    return run_id


def test_tags_are_added_and_taken_away_of_several_runs_at_once(either_lab: Lab) -> None:
    one, two = (queue.submit(either_lab, tiny(training__seed=seed), "ada") for seed in (0, 1))
    marks.tag(either_lab, [one, two], ["demo", " for  the paper ", "demo"])
    marks.tag(either_lab, [two], [MARKUP], ["demo"])
    assert run(either_lab, one).tags == ("demo", "for the paper")
    assert run(either_lab, two).tags == ("for the paper", MARKUP)


@pytest.mark.parametrize("tag", ["", "   ", "a,b", "x" * 41, "a\0b"])
def test_what_is_no_tag_is_a_sentence_and_changes_nothing(lab: Lab, ended: str, tag: str) -> None:
    with pytest.raises(LabError, match="cannot be a tag: 1 to 40 characters"):
        marks.tag(lab, [ended], ["good", tag])
    assert run(lab, ended).tags == ()


def test_more_than_twenty_tags_or_a_run_that_is_not_there_change_nothing(lab: Lab, ended: str) -> None:
    with pytest.raises(LabError, match="would have 21 tags: at most 20"):
        marks.tag(lab, [ended], [f"t{i}" for i in range(21)])
    with pytest.raises(LabError, match="There is no run 'nobody'"):
        marks.tag(lab, [ended, "nobody"], ["t"])
    with pytest.raises(LabError, match="The note has 4,001 characters"):
        marks.annotate(lab, ended, "x" * 4001)
    assert (run(lab, ended).tags, run(lab, ended).note) == ((), "")


def test_marks_survive_the_loss_of_the_database(lab: Lab, ended: str) -> None:
    marks.tag(lab, [ended], [MARKUP])
    marks.annotate(lab, ended, f"first line\n{MARKUP}")
    assert marks.archive(lab, [ended], "bea") == []
    before = run(lab, ended)
    lose(lab)
    after = run(Lab.open(lab.path), ended)
    assert (after.tags, after.note, after.archived) == ((MARKUP,), f"first line\n{MARKUP}", before.archived)


def test_a_mirror_of_the_layout_before_has_no_marks_and_is_read(lab: Lab, ended: str) -> None:
    path = lab.run(ended).path / "run.json"
    content = json.loads(path.read_text())
    content["layout"] = 3
    for name in ("tags", "note", "archived"):
        del content["run"][name]
    path.write_text(json.dumps(content))
    lose(lab)
    row = run(Lab.open(lab.path), ended)
    assert (row.tags, row.note, row.archived, row.owner) == ((), "", None, "ada")


def test_only_what_has_ended_is_archived_and_its_history_says_by_whom(lab: Lab, ended: str) -> None:
    waiting = queue.submit(lab, tiny(training__seed=5), "ada")
    assert marks.archive(lab, [ended, waiting], "bea") == [waiting]
    assert (run(lab, ended).archived is None, run(lab, waiting).archived) == (False, None)
    marks.unarchive(lab, [ended], "cyd")
    assert run(lab, ended).archived is None
    assert [line.sentence for line in history(events(lab, ended))][-2:] == [
        "archived by bea",
        "taken out of the archive by cyd",
    ]


KNOWN = ["name", "id", "data", "owner", "tag", "note", "loss", "model.bottleneck.latent_dim", "model.objective.beta"]
KNOWN += ["training.shuffle", "model.backbone.kind", "model.bottleneck.kind", "model.backbone.widths"]
RUN = {
    "name": "My Run",
    "id": "my-run-2-aaaa",
    "data": "mnist",
    "owner": "ada",
    "tag": ("demo", "for the paper"),
    "note": "the first try",
    "loss": 0.02,
    "model.bottleneck.latent_dim": 8,
    "training.shuffle": True,
    "model.backbone.kind": "dense",
    "model.bottleneck.kind": "vector",
    "model.backbone.widths": (64, 32),
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("mnist", True),
        ("MNIST ada", True),
        ("mnist bea", False),
        ("latent_dim=8", True),
        ("latent_dim = 8.0", True),
        ("latent_dim<8", False),
        ("model.bottleneck.latent_dim<=8 loss<1", True),
        ("loss>=0.02 loss<=2e-2", True),
        ("loss>0.02", False),
        ("tag=demo", True),
        ("tag=dem", False),
        ("tag~dem", True),
        ("tag!=demo", False),
        ('tag="for the paper" note~"FIRST try"', True),
        ('"first try"', True),
        ("shuffle=true", True),
        ("beta=4", False),
        ("beta!=4", True),
        ("beta=none", True),
        ("beta<4", False),
        ("backbone.kind=dense bottleneck.kind!=gaussian", True),
        ("widths=32", True),
        ("name~run", True),
        ("name=run", False),
    ],
)
def test_a_filter_finds_what_it_says(text: str, found: bool) -> None:
    assert holds(parse(text, KNOWN), RUN) is found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("betta=4", "No run has a field 'betta': did you mean model.objective.beta?"),
        ("zzz=4", "No run has a field 'zzz': the box of columns lists all fields."),
        ("kind=dense", "kind can be model.backbone.kind or model.bottleneck.kind: write one of them."),
        ("beta<many", "model.objective.beta < 'many': a number is needed; = and ~ compare text."),
        ("beta=", "beta= needs a value, such as beta=8."),
        ('mnist "open', "'\"open' cannot be read: a quotation mark is missing."),
    ],
)
def test_a_filter_that_cannot_be_read_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(FilterError) as error:
        parse(text, KNOWN)
    assert str(error.value) == sentence


def test_words_and_conditions_keep_their_order() -> None:
    assert parse("a loss<1 b", KNOWN) == [("", "~", "a"), Condition("loss", "<", "1"), ("", "~", "b")]


def test_every_field_and_every_result_of_a_run_has_a_name(trained_run: TrainedRun) -> None:
    row = run(trained_run.lab, trained_run.id)
    found = values(trained_run.lab, row)
    result, test = trained_run.folder.result(), trained_run.folder.analysis_metrics()
    assert result is not None
    assert test is not None
    assert (found["code"], found["state"], found["tag"]) == (2, "completed", ())
    assert found["model.bottleneck.latent_dim"] == 2
    assert (found["result.mse"], found["test.psnr"]) == (result["mse"], test["test"]["psnr"])
    listed = names([found])
    assert listed.index("loss") < listed.index("result.mse") < listed.index("training.learning_rate")


def test_figures_that_come_without_a_change_of_the_row_are_found_soon(
    lab: Lab, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, now = run(lab, ended), time.monotonic()
    monkeypatch.setattr("aecore.runs.values.time.monotonic", lambda: now)
    values(lab, row)
    lab.run(ended).write_result({"mse": 0.125})
    now += LOOK + 1
    assert values(lab, row)["result.mse"] == 0.125


def test_a_run_with_damaged_files_has_what_its_row_says(lab: Lab, ended: str) -> None:
    folder = lab.run(ended)
    (folder.path / "config.json").write_text("{")
    (folder.path / "result.json").write_text("[1")
    found = values(lab, run(lab, ended))
    assert (found["owner"], found["data"]) == ("ada", "digits")
    assert not any("." in name for name in found)


def test_seeds_of_one_configuration_stand_together(lab: Lab) -> None:
    rates = [(0.005, 0), (0.1, 0), (0.005, 1), (0.005, 2)]
    ids = [
        queue.submit(lab, tiny(name=f"run-{rate}-{seed}", training__learning_rate=rate, training__seed=seed), "ada")
        for rate, seed in rates
    ]
    configs = [config_values(lab, run(lab, run_id)) for run_id in ids]
    assert by_seed([*ids, "lost"], [*configs, {}]) == [[ids[0], ids[2], ids[3]], [ids[1]], ["lost"]]


def test_the_interval_is_students() -> None:
    assert interval([]) is None
    assert interval([None, math.nan, math.inf]) is None
    assert interval([3.0, None]) == Interval(3.0, None, 1)
    found = interval([1.0, 2.0, 3.0])
    assert found is not None
    assert (found.mean, found.n) == (2.0, 3)
    assert found.half == pytest.approx(4.303 / math.sqrt(3), rel=1e-4)  # s = 1, t(0.975, 2) = 4.303
    wide = interval([float(i % 2) for i in range(100)])
    assert wide is not None
    assert wide.half == pytest.approx(1.98422 * math.sqrt(25 / 99) / 10, rel=1e-5)  # t(0.975, 99)


def test_the_history_of_a_trained_run_keeps_its_ending(lab: Lab) -> None:
    run_id = train_here(lab, tiny(training__epochs=1), "ada")
    marks.archive(lab, [run_id], "ada")
    assert run(lab, run_id).state == "completed"
    assert run(lab, run_id).shown == "completed"
    with database.reading(lab.engine) as connection:
        assert connection.execute(database.runs.select()).one().archived is not None


def told(lab: Lab, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """What the command line answers: exit code and text."""
    code = main([*arguments, "--lab", str(lab.path), "--user", "ada"])
    captured = capsys.readouterr()
    return code, (captured.out + captured.err).strip()


def test_the_command_line_tags_notes_and_archives(lab: Lab, ended: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(lab, capsys, "tag", ended, "--add", "a", "--add", "b") == (0, f"{ended}: a, b")
    assert told(lab, capsys, "tag", ended, "--remove", "a") == (0, f"{ended}: b")
    assert told(lab, capsys, "tag", ended, "--add", "x,y")[0] == 3
    assert told(lab, capsys, "note", ended, "--text", "first") == (0, "first")
    assert told(lab, capsys, "note", ended) == (0, "first")
    assert told(lab, capsys, "archive", ended) == (0, f"{ended} is archived.")
    assert run(lab, ended).archived
    assert told(lab, capsys, "unarchive", ended) == (0, f"{ended} is not archived.")
    waiting = queue.submit(lab, tiny(training__seed=4), "ada")
    sentence = f"{waiting} is queued: only a run that has ended can be archived."
    assert told(lab, capsys, "archive", waiting) == (3, sentence)
