"""The runs page: the table, one run, and what may be done with it by whom."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from aecore.jobs import queue
from aecore.runs import Lab, index
from tests.conftest import TrainedRun, TwoRuns, tiny
from ui import runs_table, words

Open = Callable[..., AppTest]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Open:
    """The runs page of a lab, as somebody of this name sees it."""

    def at(lab: Lab, who: str = "ada", **query: str) -> AppTest:
        monkeypatch.setenv("AELAB_HOME", str(lab.path))
        monkeypatch.setattr("getpass.getuser", lambda: who)
        test = AppTest.from_file("../ui/main.py", default_timeout=30)
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


def test_a_run_from_a_link_shows_what_it_is_what_it_did_and_its_log(page: Open, trained_run: TrainedRun) -> None:
    test = page(trained_run.lab, run=trained_run.id)
    assert "tiny&ensp;:green-badge[:material/check_circle: completed]" in shown(test)
    assert "Completed 66 steps in " in shown(test)
    assert "ada · digits · dense with a vector code of 2" in shown(test)
    assert [tab.label for tab in test.tabs] == ["Configuration", "Log", "History"]
    config = test.dataframe[1].value
    assert dict(zip(config["field"], config["value"], strict=True))["model.backbone.widths"] == "32"
    assert "queued by ada" in shown(test)


def test_a_run_that_is_not_there_is_a_sentence(page: Open, trained_run: TrainedRun) -> None:
    assert page(trained_run.lab, run="nobody").error[0].value.startswith("There is no run 'nobody'")


def test_ones_own_run_is_stopped_and_deleted_without_a_question(page: Open, lab: Lab) -> None:
    run = queue.submit(lab, tiny(), "ada")
    page(lab, run=run).button(key="stop").click().run()
    assert index.run(lab, run).state == "cancelled"
    test = page(lab, run=run)
    assert "Cancelled by ada before it started." in shown(test)
    test.button(key="delete").click().run()
    assert not test.exception
    assert index.runs(lab) == []


def test_somebody_elses_run_is_stopped_only_after_a_question(page: Open, lab: Lab) -> None:
    run = queue.submit(lab, tiny(), "bea")
    test = page(lab, "ada", run=run)
    test.button(key="stop").click().run()
    assert "is not yours" in shown(test)
    assert index.run(lab, run).state == "queued"


def test_clone_compare_and_latent_carry_the_run_in_their_links(page: Open, trained_run: TrainedRun) -> None:
    links = {link.label: link.proto.query_string for link in page(trained_run.lab, run=trained_run.id).get("page_link")}
    assert links["Clone"] == f"clone={trained_run.id}"
    assert links["Compare"] == f"runs={trained_run.id}"
    assert links["Latent space"] == f"run={trained_run.id}"


def test_a_run_that_waits_says_where_in_the_queue(page: Open, lab: Lab) -> None:
    queue.submit(lab, tiny(), "ada")
    run = queue.submit(lab, tiny(name="second"), "ada")
    test = page(lab, run=run)
    assert "It waits for a free slot, as number 2 in the queue." in shown(test)
    assert runs_table.frame(index.runs(lab))["ends"].tolist() == ["waits, number 2", "waits, number 1"]


def test_times_are_told_as_a_clock_does() -> None:
    noon = 1_800_000_000.0
    assert len(words.when(noon, noon + 60)) == len("12:00")
    assert words.when(noon, noon + 3 * 86_400) == words.time.strftime("%d %b, %H:%M", words.time.localtime(noon))
    assert words.when(None) == ""
