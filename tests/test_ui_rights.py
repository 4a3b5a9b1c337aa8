"""What the pages offer, by who looks: buttons only for what one may do, and no trace of a private run for others."""

import json
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from aecore.jobs import queue
from aecore.runs import Lab, run, runs
from tests.conftest import tiny
from ui import ways

Open = Callable[..., AppTest]
ACTS = {"pause", "stop", "delete"}


@pytest.fixture
def page(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A page of a lab with an admin and a guest, as somebody of this name sees it."""
    people = {"admins": ["cyd"], "guests": ["gil"]}
    (lab.path / "settings.json").write_text(json.dumps({"access": people}))
    monkeypatch.setenv("AELAB_HOME", str(lab.path))

    def at(name: str, who: str, **query: str) -> AppTest:
        monkeypatch.setattr(ways, "name", lambda connection, lab: who)
        monkeypatch.setattr(ways, "way", lambda lab: "proxy")
        test = AppTest.from_file("../ui/main.py", default_timeout=120)
        test.run().switch_page(f"../pages/{name}.py")
        test.query_params.update(query)
        test.run()
        assert not test.exception
        return test

    return at


def said(test: AppTest) -> str:
    return "\n".join(str(element.value) for element in [*test.markdown, *test.header, *test.error, *test.dataframe])


@pytest.mark.parametrize(("who", "offered"), [("ada", ACTS), ("cyd", ACTS), ("bea", set()), ("gil", set())])
def test_a_runs_page_offers_what_one_may_do(page: Open, lab: Lab, who: str, offered: set[str]) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    keys = {button.key for button in page("runs", who, run=run_id).button}
    assert keys & ACTS == offered
    assert ("hide" in keys) == bool(offered)


def test_a_guest_sets_up_a_run_but_cannot_queue_it(page: Open, lab: Lab) -> None:
    test = page("train", "gil")
    assert test.button("queue-run").disabled
    assert "You are a guest of this lab" in said(test)
    page("train", "bea").button("queue-run").click().run()
    assert [row.owner for row in runs(lab)] == ["bea"]


def test_a_page_that_is_not_for_somebody_says_so(page: Open) -> None:
    for who in ("bea", "gil"):
        test = page("server", who)
        assert "This page is for those who keep the lab: cyd." in said(test)
        assert not [*test.button, *test.text_input]
    assert page("home", "gil").button("demo").disabled
    assert not page("home", "bea").button("demo").disabled


def test_a_run_is_private_from_its_first_moment_and_until_its_owner_says_otherwise(page: Open, lab: Lab) -> None:
    test = page("train", "ada")
    test.checkbox("queue-private").check().run()
    test.button("queue-run").click().run()
    [made] = runs(lab)
    assert made.private
    assert made.name not in said(page("runs", "bea", run=made.id)).replace(made.id, "")
    assert f"There is no run '{made.id}'" in said(page("runs", "bea", run=made.id))
    page("runs", "ada", run=made.id).button("hide").click().run()
    assert not run(lab, made.id).private
    assert made.name in said(page("runs", "bea", run=made.id))


def test_the_bar_says_who_one_is_and_that_everyone_is_one_user(
    page: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bar(test: AppTest) -> str:
        return " ".join(block.proto.body for block in test.get("html") if "<small>" in block.proto.body)

    assert "gil" in bar(page("home", "gil"))
    assert "guest, looks only" in bar(page("home", "gil"))
    test = page("home", "<b>ada")
    assert "&lt;b&gt;ada" in bar(test)
    monkeypatch.setattr(ways, "way", lambda lab: "")
    assert "Everyone here is one user: &lt;b&gt;ada" in bar(test.run())
