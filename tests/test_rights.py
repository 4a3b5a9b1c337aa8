"""Who may do what: every cell of the table in the docs, done for real; and a private run is nowhere for others."""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aecore.__main__ import main, parser
from aecore.config import RunConfig, presets
from aecore.config.access import AccessSettings
from aecore.jobs import foreground, marks, news, owners, queue, states, steer, supervisor, sweep, trash
from aecore.jobs.forecast import forecast
from aecore.runs import Lab, LabError, backup, events, rights, run, runs, usage
from aecore.runs.rights import Forbidden, Person, Role, Verb
from tests.conftest import dump, tiny

DOCS = Path(__file__).parents[1] / "docs/PEOPLE.md"
PEOPLE = {
    "owner": Person("ada", Role.MEMBER),
    "other member": Person("bea", Role.MEMBER),
    "other member, where no admin is named": Person("bea", Role.PEER),
    "guest": Person("gil", Role.GUEST),
    "admin": Person("cyd", Role.ADMIN),
    "nobody": rights.NOBODY,
}


def documented() -> dict[tuple[str, str], str]:
    """{(verb, column): cell} of the table in the docs."""
    lines = [line.strip("| \n") for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {(row[0], column): cell for row in rows for column, cell in zip(head[1:], row[1:], strict=True)}


CELLS = documented()


def test_the_table_in_the_docs_is_the_one_that_is_asked() -> None:
    assert rights.markdown() in DOCS.read_text(encoding="utf-8")
    assert {verb for verb, _ in CELLS} == {str(verb) for verb in Verb}
    assert {column for _, column in CELLS} == set(PEOPLE)


def ended(lab: Lab, run_id: str, state: str = "cancelled") -> str:
    """Bring a run to an end without training it."""
    job = queue.jobs(lab.seen_by(None), run_id)[0]
    for new in ("starting", "running", state):
        assert states.move(lab, job.id, new, by="test")
    return run_id


def two(lab: Lab) -> str:
    """Two waiting runs of ada's; the second can move before the first."""
    queue.submit(lab, tiny(), "ada")
    return queue.submit(lab, tiny(), "ada")


def trained(lab: Lab) -> str:
    """A run that is said to be completed, with a checkpoint that is missing: what it needs is found out after the rights."""
    return ended(lab, queue.submit(lab, tiny(), "ada"), "completed")


def deleted(lab: Lab) -> str:
    run_id = queue.submit(lab, tiny(), "ada")
    trash.delete(lab, run_id, "ada")
    return run_id


def one(lab: Lab) -> str:
    return queue.submit(lab, tiny(), "ada")


def hidden(lab: Lab) -> str:
    return queue.submit(lab, tiny(), "ada", private=True)


def extend(lab: Lab, run_id: str, by: str) -> None:
    """As far as its missing checkpoint."""
    try:
        steer.extend(lab, run_id, by, 1)
    except Forbidden:
        raise
    except LabError as error:
        if not str(error).startswith("No checkpoint of"):
            raise


DONE: dict[Verb, tuple[Callable[[Lab], str], Callable[[Lab, str, str], Any]]] = {
    Verb.SEE: (one, lambda lab, run_id, by: run(lab, run_id)),
    Verb.SEE_PRIVATE: (hidden, lambda lab, run_id, by: (run(lab, run_id), lab.run(run_id))),
    Verb.EXTEND: (trained, extend),
    Verb.ANALYSE: (one, lambda lab, run_id, by: queue.submit_job(lab, run_id, "analyse", by)),
    Verb.PAUSE: (one, steer.pause),
    Verb.RESUME: (lambda lab: ended(lab, one(lab)), steer.resume),
    Verb.STOP: (one, queue.stop),
    Verb.MOVE: (two, steer.earlier),
    Verb.MARK: (one, lambda lab, run_id, by: marks.tag(lab, [run_id], ["good"])),
    Verb.TELL: (one, lambda lab, run_id, by: news.ask(lab, run_id, True)),
    Verb.ARCHIVE: (lambda lab: ended(lab, one(lab)), lambda lab, run_id, by: marks.archive(lab, [run_id], by)),
    Verb.HIDE: (one, lambda lab, run_id, by: owners.hide(lab, [run_id], True, by)),
    Verb.HAND_OVER: (one, lambda lab, run_id, by: owners.hand_over(lab, [run_id], "dan", by)),
    Verb.DELETE: (one, trash.delete),
    Verb.UNDELETE: (deleted, trash.undelete),
    Verb.SUBMIT: (lambda lab: "", lambda lab, run_id, by: queue.submit(lab, tiny(), by)),
    Verb.KEEP_PRESET: (lambda lab: "", lambda lab, run_id, by: lab.keep_preset("own", tiny())),
    Verb.BACK_UP: (lambda lab: "", lambda lab, run_id, by: backup.backup(lab, lab.path.parent / "lab.tar")),
}
"""What is there before, and what is then done by somebody."""
LAB_VERBS = (Verb.SERVER, Verb.SETTINGS, Verb.DRAIN, Verb.ANNOUNCE, Verb.CLEAN_UP)


def refused(act: Callable[[], Any]) -> bool:
    """Whether it was refused: in words, or as something that is not there."""
    try:
        act()
    except Forbidden:
        return True
    except LabError as error:
        return str(error).startswith(("There is no run", "There is no deleted run"))
    return False


@pytest.mark.parametrize("column", PEOPLE)
@pytest.mark.parametrize("verb", DONE)
def test_each_cell_of_the_table_is_what_happens(lab: Lab, verb: Verb, column: str) -> None:
    before, act = DONE[verb]
    run_id, person = before(lab), PEOPLE[column]
    known = [(row.id, row.state, row.owner, row.tags, row.private) for row in runs(lab)], len(trash.deleted(lab))
    no = refused(lambda: act(lab.seen_by(person), run_id, person.name))
    cell = CELLS[verb, column]
    assert no == (cell == "no") or cell == "–", f"{column} may {verb}: {cell}"
    if no:
        after = [(row.id, row.state, row.owner, row.tags, row.private) for row in runs(lab)], len(trash.deleted(lab))
        assert after == known


@pytest.mark.parametrize("column", PEOPLE)
@pytest.mark.parametrize("verb", LAB_VERBS)
def test_each_cell_about_the_lab_itself_is_what_is_asked(lab: Lab, verb: Verb, column: str) -> None:
    if (cell := CELLS[verb, column]) != "–":
        assert refused(lambda: lab.seen_by(PEOPLE[column]).demand(verb)) == (cell == "no")


@pytest.mark.parametrize("column", [column for column in PEOPLE if column not in ("owner", "admin")])
@pytest.mark.parametrize("verb", [verb for verb in DONE if CELLS[verb, "owner"] != "–"])
def test_to_others_a_private_run_is_not_there_whatever_they_try(lab: Lab, verb: Verb, column: str) -> None:
    before, act = DONE[verb]
    run_id = before(lab)
    person = PEOPLE[column]
    for mine in [row.id for row in runs(lab)]:
        owners.hide(lab, [mine], True, "ada")
    if verb is Verb.UNDELETE:
        trash.undelete(lab, run_id, "ada")
        owners.hide(lab, [run_id], True, "ada")
        trash.delete(lab, run_id, "ada")
    with pytest.raises(LabError, match=r"There is no (run|deleted run)") as hidden:
        act(lab.seen_by(person), run_id, person.name)
    assert not isinstance(hidden.value, Forbidden)


SEEN_BY_ALL = {"presets", "datasets", "models", "tasks", "doctor", "runs", "usage", "deleted"}
"""Verbs of the command line that anybody may give: what is there, and of runs only what they see."""
OF_THE_MACHINE = {"supervise", "restore"}
"""Verbs that are about no lab that somebody looks at: being the supervisor, and a new lab from a backup."""
DEMO = ("--preset", "demo", "--dataset", "digits", "--set", "training.epochs=1")
CLI: dict[str, tuple[Verb, tuple[str, ...]]] = {
    "show": (Verb.SEE, ("RUN",)),
    "log": (Verb.SEE, ("RUN",)),
    "evaluate": (Verb.SEE, ("RUN",)),
    "train": (Verb.SUBMIT, DEMO),
    "submit": (Verb.SUBMIT, DEMO),
    "sweep": (Verb.SUBMIT, (*DEMO, "--over", "code_size=2,3")),
    "extend": (Verb.EXTEND, ("RUN", "--epochs", "1")),
    "pause": (Verb.PAUSE, ("RUN",)),
    "resume": (Verb.RESUME, ("RUN",)),
    "stop": (Verb.STOP, ("RUN",)),
    "earlier": (Verb.MOVE, ("RUN",)),
    "later": (Verb.MOVE, ("RUN",)),
    "tag": (Verb.MARK, ("RUN", "--add", "good")),
    "note": (Verb.MARK, ("RUN", "--text", "good")),
    "tell": (Verb.TELL, ("RUN",)),
    "archive": (Verb.ARCHIVE, ("RUN",)),
    "unarchive": (Verb.ARCHIVE, ("RUN",)),
    "hide": (Verb.HIDE, ("RUN",)),
    "unhide": (Verb.HIDE, ("RUN",)),
    "give": (Verb.HAND_OVER, ("RUN", "--to", "dan")),
    "delete": (Verb.DELETE, ("RUN",)),
    "undelete": (Verb.UNDELETE, ("RUN",)),
    "backup": (Verb.BACK_UP, ("FILE",)),
    "people": (Verb.SERVER, ()),
    "settings": (Verb.SETTINGS, ("--set", "retries=VALUE")),
    "drain": (Verb.DRAIN, ("finish",)),
    "restart": (Verb.DRAIN, ()),
    "banner": (Verb.ANNOUNCE, ("--text", "VALUE")),
    "cleanup": (Verb.CLEAN_UP, ()),
}
"""Every other verb of the command line: which of the table it is, and what is typed behind it."""


def test_every_verb_of_the_command_line_is_among_those_that_are_tried() -> None:
    [verbs] = [action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert set(verbs) == {*CLI, *SEEN_BY_ALL, *OF_THE_MACHINE}


@pytest.mark.parametrize("command", CLI)
def test_the_command_line_answers_by_the_same_table(
    lab: Lab, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {"admins": ["cyd"], "members": ["ada", "bea", "dan"], "guests": ["gil"], "others": "nobody"}
    (lab.path / "settings.json").write_text(json.dumps({"access": people}))
    for start in ("ensure_supervisor", "stop_supervisor"):
        monkeypatch.setattr(supervisor, start, lambda lab: False)
    monkeypatch.setattr(foreground, "_do", lambda *job: None)
    verb, typed = CLI[command]
    before = DONE[verb][0] if verb in DONE else lambda lab: ""
    for place, column in enumerate(["owner", "other member", "guest", "admin", "nobody"]):
        cell = CELLS[verb, column]
        words = {"RUN": before(lab), "FILE": str(lab.path.parent / f"{place}.tar"), "VALUE": str(place + 4)}
        given = [words.get(text, text.replace("VALUE", words["VALUE"])) for text in typed]
        given += ["--yes"] * (typed[:1] == ("RUN",))
        known = dump(lab), (lab.path / "settings.json").read_text()
        name = PEOPLE[column].name or "stranger"
        code = main([command, *given, "--lab", str(lab.path), "--user", name])
        said = capsys.readouterr().err
        assert bool(REFUSED.search(said)) == (cell == "no") or cell == "–", f"{column}, {verb}: {cell}, but {said}"
        if cell == "no":
            assert (code, (dump(lab), (lab.path / "settings.json").read_text())) == (3, known)
        elif not said:
            assert code == 0


REFUSED = re.compile(r"^Only |^Say who you are first|is a guest of this lab|^There is no (deleted )?run")


def test_without_settings_everybody_may_do_everything_to_what_all_see(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    for_bea = lab.seen_by("bea")
    assert for_bea.viewer == Person("bea", Role.PEER)
    assert queue.stop(for_bea, run_id, "bea") == "cancelled"
    assert run(lab, run_id).reason == "Cancelled by bea before it started."


def test_nobody_but_an_admin_replaces_what_somebody_else_has_kept(lab: Lab) -> None:
    ada, bea, peer, cyd = (lab.seen_by(PEOPLE[column]) for column in [*list(PEOPLE)[:3], "admin"])
    ada.keep_preset("mine", tiny(training__epochs=1))
    ada.keep_preset("mine", tiny(training__epochs=2))
    for other in (bea, peer):
        with pytest.raises(Forbidden, match=r"There is a preset 'mine' already, which is ada's: choose another name."):
            other.keep_preset("mine", tiny())
    kept = presets(lab.presets_folder)["mine"]
    assert (kept.owner, kept.config.training.epochs) == ("ada", 2)
    cyd.keep_preset("mine", tiny())
    assert presets(lab.presets_folder)["mine"].owner == "cyd"
    older = json.loads((lab.presets_folder / "mine.json").read_text())
    del older["owner"]
    (lab.presets_folder / "mine.json").write_text(json.dumps(older))
    bea.keep_preset("mine", tiny())
    assert presets(lab.presets_folder)["mine"].owner == "bea"


def test_roles_come_from_the_settings_and_capitals_make_no_difference() -> None:
    access = AccessSettings(admins=("Ada@Lab.org",), members=("bea",), guests=("cyd",), others="nobody")
    found = {name: rights.person(access, name).role for name in ("ada@lab.org", "Bea", "CYD", "dan", "")}
    assert found == {
        "ada@lab.org": Role.ADMIN,
        "Bea": Role.MEMBER,
        "CYD": Role.GUEST,
        "dan": Role.NOBODY,
        "": Role.NOBODY,
    }
    assert rights.person(AccessSettings(), "") == rights.NOBODY


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        (
            {"others": "nobody"},
            "access.others is 'nobody' while nobody is an admin or a member: all would be locked out.",
        ),
        ({"others": "guest", "guests": ["bea"]}, "access.others is 'guest' while nobody is an admin or a member"),
        ({"admins": ["ada"], "guests": ["Ada"]}, "access.guests has 'Ada', and so has access.admins: one of them."),
        ({"admins": ["a  b"]}, "access.admins has 'a  b', which is no name"),
        ({"members": ["x" * 61]}, "which is no name: 1 to 60 printable characters are needed"),
        ({"proxy_header": "Cookie"}, "access.proxy_header is 'Cookie': a header of its own is needed"),
        ({"proxy_header": "X Remote"}, "access.proxy_header is 'X Remote': a header of its own is needed"),
        ({"admin": ["ada"]}, "access.admin is not a known field: did you mean admins?"),
        ({"way": "ldap"}, "access.way"),
    ],
)
def test_settings_that_lock_everybody_out_or_say_nothing_are_refused_in_a_sentence(
    tmp_path: Path, access: dict[str, Any], sentence: str
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"access": access}))
    with pytest.raises(LabError, match=re.escape(sentence)):
        Lab.open(tmp_path)


def everywhere(lab: Lab, out: pytest.CaptureFixture[str], user: str) -> str:
    """All that the command line, and the lists beneath the pages, say to somebody."""
    seen = lab.seen_by(user)
    said = [repr(runs(seen)), repr(usage.usage(seen)), repr(trash.deleted(seen)), repr(queue.at_hand(seen))]
    for words in (["runs"], ["usage"], ["deleted"], ["doctor"]):
        for form in ([], ["--json"]):
            main([*words, *form, "--lab", str(lab.path), "--user", user])
            printed = out.readouterr()
            said += [printed.out, printed.err]
    return "\n".join(said)


def test_a_private_run_is_in_no_list_and_no_count_for_others(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    queue.submit(lab, tiny(name="open"), "ada")
    queue.submit(lab, tiny(name="secret"), "ada", private=True)
    sweep.submit(lab, [tiny(name="secret sweep", training__seed=seed) for seed in (0, 1)], "ada", private=True)
    gone = queue.submit(lab, tiny(name="secret and gone"), "ada", private=True)
    trash.delete(lab, gone, "ada")
    assert "secret" in everywhere(lab, capsys, "ada")
    said = everywhere(lab, capsys, "bea")
    assert "secret" not in said
    assert "open" in said
    assert ", 1 run," in said  # the doctor's count
    assert [one.position for one in forecast(lab.seen_by("bea")).values()] == [1]


def test_a_run_that_goes_on_from_a_private_one_does_not_name_it(lab: Lab) -> None:
    secret = queue.submit(lab, tiny(name="secret"), "ada", private=True)
    child = queue.submit(lab, tiny(name="open"), "ada", parent=secret)
    assert run(lab.seen_by("ada"), child).parent == secret
    assert run(lab.seen_by("bea"), child).parent is None


def test_a_private_run_is_the_same_to_others_as_one_that_never_was(lab: Lab) -> None:
    secret = queue.submit(lab, tiny(), "ada", private=True)
    job = queue.jobs(lab, secret)[0]
    for_bea = lab.seen_by("bea")
    for look in (run, events, lambda lab, run_id: lab.run(run_id)):
        with pytest.raises(LabError) as hidden:
            look(for_bea, secret)
        assert str(hidden.value).replace(secret, "X") == str(for_bea.missing("X"))
    with pytest.raises(LabError, match="There is no job"):
        queue.job(for_bea, job.id)
    assert queue.jobs(for_bea, secret) == []


def test_the_labs_folder_is_named_to_those_only_who_look_after_it(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"access": {"admins": ["ada"], "guests": ["gil"]}}))
    lab.reread()
    for name in ("ada", "bea", "gil"):
        theirs = lab.seen_by(name)
        with pytest.raises(LabError) as job:
            queue.job(theirs, 99)
        with pytest.raises(LabError) as deleted:
            trash.undelete(theirs, "X", name)
        said = [str(theirs.missing("X")), str(job.value), str(deleted.value)]
        assert [str(lab.path) in sentence for sentence in said] == [name == "ada"] * 3


def test_privacy_is_changed_later_and_survives_the_loss_of_the_database(lab: Lab) -> None:
    first, second = (queue.submit(lab, tiny(), "ada", private=private) for private in (False, True))
    mine = lab.seen_by("ada")
    owners.hide(mine, [first], True, "ada")
    owners.hide(mine, [second], False, "ada")
    (lab.runs_folder / first / "run.json").write_text("{")  # even where its mirror is damaged
    for path in lab.path.glob("lab.sqlite*"):
        path.unlink()
    again = Lab.open(lab.path)
    assert [row.id for row in runs(again.seen_by("bea"))] == [second]
    assert {row.id: row.owner for row in runs(again.seen_by("ada"))} == {first: "ada", second: "ada"}


def test_a_run_that_is_handed_over_is_the_other_persons_in_every_way(lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada", nonce="n", private=True)
    owners.hand_over(lab.seen_by(Person("cyd", Role.ADMIN)), [run_id], "bea", "cyd")
    assert run(lab.seen_by("bea"), run_id).owner == "bea"
    assert [job.owner for job in queue.jobs(lab, run_id)] == ["bea"]
    assert runs(lab.seen_by("ada")) == []
    assert events(lab, run_id)[-1].reason == "Handed over from ada to bea by cyd."
    assert queue.submit(lab.seen_by("ada"), tiny(), "ada", nonce="n", private=True) != run_id


@pytest.mark.parametrize("to", ["", "  ", "a\nb", "gil", "x" * 61])
def test_a_run_is_not_given_to_who_cannot_have_it(tmp_path: Path, to: str) -> None:
    (tmp_path / "settings.json").write_text('{"access": {"guests": ["gil"]}}')
    lab = Lab.open(tmp_path)
    run_id = queue.submit(lab, tiny(), "ada")
    with pytest.raises(LabError, match="cannot own a run"):
        owners.hand_over(lab, [run_id], to, "cyd")
    assert run(lab, run_id).owner == "ada"


def test_two_people_stop_the_same_run_and_it_is_stopped_once(lab: Lab, tiny_config: RunConfig) -> None:
    run_id = queue.submit(lab, tiny_config, "ada")
    assert [queue.stop(lab.seen_by(name), run_id, name) for name in ("ada", "bea")] == ["cancelled", "cancelled"]
    assert [event.reason for event in events(lab, run_id) if event.new == "cancelled"] == [
        "Cancelled by ada before it started."
    ]
