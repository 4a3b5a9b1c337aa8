"""The home page: the demo from one click, what runs and what waits."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from aecore.jobs import queue
from aecore.runs import Lab, index
from tests.conftest import TrainedRun, tiny
from ui import demo, warm

ROOT = Path(__file__).parents[1]
Open = Callable[..., AppTest]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Open:
    """The home page of a lab, as a new visitor with these query parameters sees it."""

    def at(lab: Lab, **query: str) -> AppTest:
        monkeypatch.setenv("AELAB_HOME", str(lab.path))
        test = AppTest.from_file("../ui/main.py", default_timeout=120)
        test.query_params.update(query)
        test.run()
        assert not test.exception
        return test

    return at


def words(test: AppTest) -> str:
    return "\n".join([element.value for element in test.markdown] + [link.label for link in test.get("page_link")])


def test_an_empty_lab_says_what_this_is_and_offers_the_demo(home: Open, lab: Lab) -> None:
    test = home(lab)
    assert test.title[0].value == "Autoencoder Lab"
    assert test.button(key="demo").label == "Train the demo: code size 2 against 16"
    assert "Nothing runs and nothing waits." in words(test)
    assert "No run has ended yet." in words(test)


FIRST = """import sys
from streamlit.testing.v1 import AppTest
from ui import warm

class Noted:
    names = set()
    def find_spec(self, name, path, target=None):
        self.names.add(name)

sys.meta_path.insert(0, Noted())
warm.PATIENCE, visited, warm.visited = 600, warm.visited, lambda: None
warming = warm.start()
def said(test):
    assert not test.exception
    return "Parameters" in " ".join(block.proto.body for block in test.get("html"))
def waited():
    return sorted({"torch", "pandas", "plotly", "sklearn", "scipy"} & Noted.names)
assert not AppTest.from_file(sys.argv[1], default_timeout=120).run().exception
home = waited()
test = AppTest.from_file(sys.argv[1], default_timeout=120)
before = said(test.switch_page(sys.argv[2]).run())
train = waited()
visited()
warming.join()
print([home, train, before, said(test.run())])"""


def test_the_first_pages_wait_for_no_library_that_they_do_not_need(lab: Lab) -> None:
    command = [sys.executable, "-c", FIRST, str(ROOT / "ui/main.py"), str(ROOT / "pages/train.py")]
    environment = {**os.environ, "AELAB_HOME": str(lab.path)}
    shown = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == "[[], [], False, True]", "Train draws the network once the rest is there"


def test_what_is_imported_beside_the_pages_is_nothing_of_ours() -> None:
    ours = [module for module in warm.MODULES if module.split(".")[0] in ("aecore", "ui")]
    assert ours == [], "a page that imports the same at the same time would find it half made"


def test_five_clicks_make_one_pair_of_runs(home: Open, lab: Lab) -> None:
    test = home(lab)
    test.button(key="demo").click().run()
    for _ in range(4):  # what a fast finger sends before the page has changed
        test.query_params.clear()
        test.run()
        test.button(key="demo").click().run()
    assert not test.exception
    assert sorted(row.code_size for row in index.runs(lab)) == [2, 16]
    assert {row.name for row in index.runs(lab)} == {"demo, code 2", "demo, code 16"}


def test_after_the_click_the_url_names_the_pair_and_the_page_shows_it(home: Open, lab: Lab) -> None:
    test = home(lab)
    test.button(key="demo").click().run()
    pair = test.query_params[demo.KEY].split(",")
    assert [index.run(lab, run).code_size for run in pair] == [2, 16]
    assert test.header[0].value == "Two numbers against sixteen"
    again = home(lab, demo=",".join(pair))
    assert again.header[0].value == "Two numbers against sixteen"
    assert "1st, next" in words(again)
    assert "Compare the two" not in words(again)


def test_when_both_have_ended_the_story_goes_on(home: Open, lab: Lab) -> None:
    pair = [queue.submit(lab, config, "ada") for config in demo.configs()]
    for run in pair:
        queue.stop(lab, run, "ada")
    assert {"Compare the two", "Walk through the latent space"} <= set(
        words(home(lab, demo=",".join(pair))).splitlines()
    )


def test_again_makes_a_new_pair(home: Open, lab: Lab) -> None:
    test = home(lab)
    test.button(key="demo").click().run()
    test.button(key="again").click().run()
    assert demo.KEY not in test.query_params
    test.button(key="demo").click().run()
    assert len(index.runs(lab)) == 4


def test_a_pair_that_was_deleted_is_the_first_page_again(home: Open, lab: Lab) -> None:
    assert home(lab, demo="gone-2-abcd,gone-16-abcd").title[0].value == "Autoencoder Lab"


def test_the_two_models_differ_in_the_code_alone() -> None:
    two, sixteen = demo.configs()
    assert two.model.code_size((1, 28, 28)) == 2
    assert sixteen.model.code_size((1, 28, 28)) == 16
    assert two.training == sixteen.training
    assert two.data == sixteen.data


def test_a_sweep_of_the_demo_is_not_the_demo(lab: Lab, trained_run: TrainedRun) -> None:
    row = replace(index.run(trained_run.lab, trained_run.id), state="completed")
    pair = [replace(row, id=f"{size}", name=f"demo, code {size}", code_size=size) for size in demo.CODE_SIZES]
    swept = [replace(one, id=f"s{one.id}", sweep="demo-abc123") for one in pair]
    assert [shown.id for shown in demo.latest_pair([*swept, *pair])] == [one.id for one in pair]
    assert demo.latest_pair(swept) == []


def test_what_waits_and_what_has_ended_is_listed(home: Open, lab: Lab, trained_run: TrainedRun) -> None:
    queue.submit(lab, tiny(name="mine_*_own"), "ada")
    assert r"**mine\_\*\_own**&ensp;:gray[1st, next]" in words(home(lab))
    assert "**tiny**&ensp;:gray[loss " in words(home(trained_run.lab))


def test_a_lab_that_cannot_be_opened_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELAB_HOME", "/dev/null/lab")
    test = AppTest.from_file("../ui/main.py", default_timeout=120).run()
    assert not test.exception
    assert len(test.error) == 1
    assert test.error[0].value.replace("\\", "").startswith("The lab folder /dev/null/lab cannot be used: ")
