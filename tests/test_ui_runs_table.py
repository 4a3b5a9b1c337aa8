"""The table of runs on its page: what is shown of them, what is remembered, and what is done with several at once."""

import json
from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from aecore.jobs import marks, queue, trash
from aecore.runs import Lab, index
from tests.conftest import TrainedRun, tiny
from tests.test_ui_runs import job, page, shown  # noqa: F401 (a fixture)
from ui.runs_table import TICKED, columns
from ui.runs_tools import STANDARD

Open = Callable[..., AppTest]
MARKUP = "<b>x</b> *y* $z$ :red[w]"


def ended(lab: Lab, owner: str = "ada", **values: object) -> str:
    run = queue.submit(lab, tiny(**values), owner)
    return job(lab, run, state="completed", step=66, total_steps=66, epoch=3, loss=0.1)


@pytest.fixture
def three(lab: Lab) -> list[str]:
    """Seeds 0, 1 and 2 of one configuration, with the losses 0.1, 0.2 and 0.3."""
    ids = [ended(lab, training__seed=seed, name=f"seed-{seed}") for seed in range(3)]
    for place, run in enumerate(ids):
        job(lab, run, loss=0.1 * (place + 1))
    return ids


def names(test: AppTest) -> list[str]:
    return list(test.dataframe[0].value["name"])


def test_a_filter_order_and_columns_come_from_the_url(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    test = page(lab, filter="training.seed>=1", sort="-loss", cols="name,training.seed,loss")
    assert list(test.dataframe[0].value.columns) == ["name", "training.seed", "loss"]
    assert test.dataframe[0].value["training.seed"].tolist() == [2, 1]
    assert "2 of 3 runs. " in shown(test)


def test_long_names_have_room_up_to_where_they_would_push_others_out() -> None:
    def widths(name: str, tags: list[str]) -> tuple[int, int]:
        made = columns(pd.DataFrame({"name": [name, "x"], "tags": [tags, []]}))
        return made["name"]["width"], made["tags"]["width"]

    assert widths("demo", []) == (150, 50)
    assert widths("digits-conv, code 4, learning rate 0.001", ["mine"]) == (290, 100)
    assert 150 < widths("x" * 30, [])[0] < 290
    assert columns(pd.DataFrame({"name": [], "tags": []}))["name"]["width"] == 150


def test_a_filter_that_cannot_be_read_is_a_sentence_and_shows_all(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    test = page(lab, filter="kind=dense")
    assert "kind can be " in test.error[0].value
    assert len(names(test)) == 3


def test_columns_are_remembered_for_each_person(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    test = page(lab)
    test.multiselect(key="runs-cols").set_value(["name", "training.learning_rate"]).run()
    assert test.query_params["cols"] == "name,training.learning_rate"
    assert list(page(lab).dataframe[0].value.columns) == ["name", "training.learning_rate"]
    assert tuple(page(lab, who="bea").dataframe[0].value.columns) == STANDARD


def test_a_column_has_one_name_above_the_table_and_where_it_is_chosen(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    test = page(lab)
    heads = json.loads(test.dataframe[0].proto.columns)
    chosen = [test.multiselect(key="runs-cols").format_func(name) for name in STANDARD]
    assert [heads[name]["label"] for name in STANDARD] == chosen
    assert {"Code size", "Images/s"} < set(chosen)
    offered = test.multiselect(key="runs-cols").options
    assert len(set(offered)) == len(offered), "of two that read the same only the first could be chosen"


def test_seeds_together_are_one_row_with_mean_and_interval(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    other = ended(lab, training__learning_rate=0.1)
    table = page(lab, seeds="together").dataframe[0].value
    assert table["seeds"].tolist() == [1, 3]
    assert table["loss"].tolist() == [pytest.approx(0.1), pytest.approx(0.2)]
    assert table["loss ±"].tolist()[1] == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert index.run(lab, other).loss == 0.1
    falling = page(lab, seeds="together", sort="-loss", cols="name,loss,training.seed").dataframe[0].value
    assert falling["loss"].tolist() == [pytest.approx(0.2), pytest.approx(0.1)]  # by the mean, not by the lowest seed
    assert "training.seed" not in falling


def test_the_same_seed_again_is_no_further_seed(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    job(lab, ended(lab, training__seed=0, name="once more"), loss=0.5)
    table = page(lab, seeds="together", cols="loss").dataframe[0].value
    assert table["seeds"].tolist() == [3]
    assert table["loss"].tolist() == [pytest.approx(((0.1 + 0.5) / 2 + 0.2 + 0.3) / 3)]


def test_archived_runs_are_out_of_the_way_until_they_are_asked_for(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    marks.archive(lab, three[:2], "ada")
    without = page(lab)
    assert names(without) == ["seed-2"]
    assert "1 of 3 runs, 2 in the archive. Click" in shown(without)
    assert "Click" not in shown(page(lab, filter="nobody")), "there is none to click"
    every = page(lab, archived="shown").dataframe[0].value
    assert [list(tags) for tags in every["tags"]] == [[], ["archived"], ["archived"]]
    test = page(lab, run=three[0])  # a link to it still opens it
    assert "seed-0" in test.header[0].value
    test.button(key="unarchive").click().run()
    assert names(test) == ["seed-2", "seed-0"]


def test_tags_and_notes_are_shown_as_they_were_typed(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    test = page(lab, run=three[0])
    test.text_input(key=f"tags-{three[0]}").set_value(f"demo, {MARKUP}")
    test.text_area(key=f"note-{three[0]}").set_value(f"# {MARKUP}\n- not a list")
    next(button for button in test.button if button.label == "Keep").click().run()
    row = index.run(lab, three[0])
    assert (row.tags, row.note) == (("demo", MARKUP), f"# {MARKUP}\n- not a list")
    assert row.note in [text.value for text in test.text]  # st.text takes no markup
    assert not any("<b>" in element.value for element in test.markdown)
    assert list(test.dataframe[0].value["tags"][2]) == ["demo", MARKUP]


def test_a_note_of_somebody_else_is_not_replaced_unseen(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    def keep(test: AppTest) -> AppTest:
        return next(button for button in test.button if button.label == "Keep").click().run()

    test = page(lab, run=three[0])
    marks.annotate(lab, three[0], "theirs")
    test.text_input(key=f"tags-{three[0]}").set_value("demo")
    keep(test)
    row = index.run(lab, three[0])
    assert (row.tags, row.note) == (("demo",), "theirs"), "only the tags were changed here"
    marks.annotate(lab, three[0], "theirs again")
    test.text_area(key=f"note-{three[0]}").set_value("mine")
    keep(test)
    assert index.run(lab, three[0]).note == "theirs again"
    assert any("The note was changed meanwhile" in said.value for said in test.error)
    assert "theirs again" in [text.value for text in test.text], "it is there to be read"
    keep(test)
    assert index.run(lab, three[0]).note == "mine"


def ticked(test: AppTest, *runs: str) -> AppTest:
    test.session_state[TICKED] = list(runs)
    return test.run()


def keys(test: AppTest) -> set[str | None]:
    return {button.key for button in test.button}


def test_what_is_ticked_is_archived_and_what_waits_is_stopped(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    waiting = queue.submit(lab, tiny(training__seed=9), "ada")
    test = ticked(page(lab), three[0], three[1], waiting)
    assert "**3 ticked**" in shown(test)
    links = {link.label: link.proto.query_string for link in test.get("page_link")}
    assert links["Compare"].replace("%2C", ",") in (f"runs={three[1]},{three[0]}", f"runs={three[0]},{three[1]}")
    test.button(key="bulk-stop").click().run()
    assert index.run(lab, waiting).state == "cancelled"
    ticked(test, *three[:2]).button(key="bulk-archive").click().run()
    assert [index.run(lab, run).archived is None for run in three] == [False, False, True]
    assert not test.exception


def test_somebody_elses_run_among_several_asks_first(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    other = ended(lab, "bea", training__seed=8)
    test = ticked(page(lab), other, three[0])
    test.button(key="bulk-archive").click().run()
    assert "1 of 2 belongs to bea" in shown(test)
    assert index.run(lab, three[0]).archived is None
    assert {"bulk-archive-anyway", "bulk-archive-mine"} <= keys(test)


def test_a_link_to_a_deleted_run_says_when_and_the_table_stays(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    trash.delete(lab, three[1], "ada")
    test = page(lab, run=three[1])
    assert test.error[0].value.startswith(f"Run '{three[1]}' was deleted on")
    assert names(test) == ["seed-2", "seed-0"]


def test_a_finding_offers_a_clone_with_its_cure_set(page: Open, lab: Lab, three: list[str]) -> None:  # noqa: F811
    rows = [(10 * epoch, epoch, "val", "loss", 0.5) for epoch in range(5)]
    lab.run(three[0]).append_metrics(rows)
    test = page(lab, run=three[0])
    assert "The held-out loss has not moved" in shown(test)
    links = {link.label: link.proto.query_string for link in test.get("page_link")}
    assert links["Clone with that"] == f"clone={three[0]}&set=training.learning_rate%3D0.01"


def test_that_clone_opens_in_the_form_with_the_value_changed(
    lab: Lab,
    trained_run: TrainedRun,
    monkeypatch: pytest.MonkeyPatch,
    page: Open,  # noqa: F811
) -> None:
    test = page(trained_run.lab)
    test.switch_page("../pages/train.py")
    test.query_params.update({"clone": trained_run.id, "set": "training.learning_rate=0.0005"})
    test.run()
    assert not test.exception
    assert test.session_state["draft"].content["training"]["learning_rate"] == 0.0005
    test.query_params["set"] = "training.nothing=1"
    test.run()
    assert any("is not a known field" in error.value or "nothing" in error.value for error in test.error)
