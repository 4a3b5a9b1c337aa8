"""A kiosk: chosen runs are there, and nothing else; nobody can change anything; the tour goes through the pages."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from streamlit.testing.v1 import AppTest

from aecore.jobs import owners, queue, trash
from aecore.jobs.forecast import forecast
from aecore.runs import Lab, LabError, run, runs
from aecore.runs.rights import Person, Role, Verb
from tests.browser import chromium, dashboard, keep, settle
from tests.conftest import TwoRuns, dump, tiny
from tests.test_quota import starts
from tests.test_rights import DONE, LAB_VERBS
from ui import api, kiosk, serve
from ui.latent_view import OPENED
from ui.words import plain


@pytest.fixture
def shown(two_runs: TwoRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab of two trained runs that are shown, one that is not, and one that waits."""
    path = tmp_path / "lab"
    path.mkdir()
    shutil.copytree(two_runs.lab.path / "runs", path / "runs", ignore=shutil.ignore_patterns("*.lock"))
    lab = Lab.open(path)
    starts(lab, queue.submit(lab, tiny(name="not shown"), "ada"))
    queue.submit(lab, tiny(name="waits"), "ada")
    monkeypatch.setenv("AELAB_HOME", str(path))
    monkeypatch.setenv("AELAB_PASSWORD", "nobody needs it")
    monkeypatch.setenv(kiosk.VARIABLE, ", ".join(two_runs.ids))
    return lab


def at(page: str, **query: str) -> AppTest:
    test = AppTest.from_file("../ui/main.py", default_timeout=120)
    test.session_state[OPENED] = True  # as after the first map, without which the rest of the Latent page waits
    test.run().switch_page(f"../pages/{page}.py")
    test.query_params.update(query)
    test.run()
    assert not test.exception
    return test


def test_only_the_chosen_runs_are_there(shown: Lab, two_runs: TwoRuns) -> None:
    guest = kiosk.guest()
    assert guest is not None
    here = shown.seen_by(guest)
    assert {row.id for row in runs(here)} == set(two_runs.ids)
    hidden = next(row.id for row in runs(shown) if row.name == "not shown")
    for look in (lambda: run(here, hidden), lambda: here.run(hidden)):
        with pytest.raises(LabError, match="There is no run"):
            look()
    assert here.run(two_runs.ids[0]).id == two_runs.ids[0]
    assert len(forecast(shown)) == 1
    assert forecast(here) == {}


@pytest.mark.parametrize("verb", [*DONE, *LAB_VERBS])
def test_nothing_can_be_done_but_looking(lab: Lab, verb: Verb) -> None:
    """What pages, routes and commands do beneath: every verb of the table of rights, tried on a run that the kiosk shows."""
    before, act = DONE.get(verb, (lambda lab: "", lambda lab, run_id, by: lab.demand(verb)))
    run_id = before(lab)
    here, known = lab.seen_by(Person("visitor", Role.GUEST, frozenset(row.id for row in runs(lab)))), dump(lab)
    if verb is Verb.SEE:
        act(here, run_id, "visitor")
    else:
        with pytest.raises(LabError, match=r"may look only|There is no"):
            act(here, run_id, "visitor")
    assert dump(lab) == known


def test_runs_that_cannot_be_shown_are_refused_at_the_start(
    shown: Lab, two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = next(row.id for row in runs(shown) if row.name == "waits")
    owners.hide(shown, [two_runs.ids[1]], True, "ada")
    for wanted, sentence in (
        (" , ", "A kiosk needs runs to show"),
        ("nothing-2-xxxx", "There is no run 'nothing-2-xxxx'"),
        (waits, f"{waits} has not trained yet"),
        (",".join(two_runs.ids), f"{two_runs.ids[1]} is private"),
    ):
        assert serve.main(["--kiosk", wanted]) == 1
        assert sentence in capsys.readouterr().err
    assert kiosk.problem(shown, two_runs.ids[0]) == ""


def test_the_first_page_is_the_tour_and_its_stops_lead_through_the_pages(shown: Lab, two_runs: TwoRuns) -> None:
    test = at("tour")
    assert test.title[0].value == "Autoencoders"
    assert {link.proto.page.rpartition("/")[2] for link in test.get("page_link")} == {"runs", "compare", "latent"}
    assert [button.label for button in test.button] == ["Take the tour", "Let it walk by itself"]
    first, both = two_runs.ids[0], ",".join(two_runs.ids)
    here = shown.seen_by(kiosk.guest())
    assert [kiosk.query(here, place) for place in range(4)] == [
        {"tour": 1, "run": first},
        {"tour": 2, "runs": both},
        {"tour": 3, "run": first},
        {"tour": 4},
    ]


@pytest.mark.parametrize(("page", "buttons"), [("runs", set()), ("compare", set()), ("latent", set())])
def test_a_page_offers_nothing_that_would_be_refused(
    shown: Lab, two_runs: TwoRuns, page: str, buttons: set[str]
) -> None:
    test = at(page, run=two_runs.ids[0], runs=",".join(two_runs.ids), colour="density")
    assert {button.key for button in test.button} == buttons
    assert {link.proto.page.rpartition("/")[2] for link in test.get("page_link")} <= set(kiosk.PAGES)
    assert not test.error


def test_a_run_that_becomes_private_or_is_deleted_leaves_the_kiosk(shown: Lab, two_runs: TwoRuns) -> None:
    owners.hide(shown, [two_runs.ids[0]], True, "ada")
    here = shown.seen_by(kiosk.guest())
    assert kiosk.query(here, 0) == {"tour": 1, "run": two_runs.ids[1]}
    assert two_runs.ids[0] not in repr([element.proto for element in at("tour").get("page_link")])
    trash.delete(shown, two_runs.ids[1], "bea")
    test = at("tour")
    assert [error.value for error in test.error] == [
        plain("The runs of this kiosk are not there any more: start it with others.")
    ]
    assert list(test.button) == []


def test_an_address_that_is_no_stop_is_no_tour(shown: Lab) -> None:
    for wrong in ("0", "5", "x", "-1", "1e3", "\u00b2", "9" * 5000):
        assert [button.key for button in at("tour", tour=wrong).button] == ["tour-start", "tour-alone"]
    test = at("tour", tour="4")
    assert [button.key for button in test.button][-3:] == ["tour-back", "tour-next", "tour-walk"]


def test_who_comes_by_the_address_of_a_stop_begins_there_and_the_bar_is_about_the_page(
    shown: Lab, two_runs: TwoRuns
) -> None:
    told = lambda test: " ".join(block.proto.body for block in test.get("html"))
    test = AppTest.from_file("../ui/main.py", default_timeout=120)
    test.query_params["tour"] = "1"
    test.run()
    assert [block.value for block in test.title] == ["Runs"]
    assert {key: test.query_params[key] for key in test.query_params} == {"tour": "1", "run": two_runs.ids[0]}
    assert "1 of 4 · Watch it learn" in told(test)
    back = at("tour", tour="1")
    assert back.title[0].value == "Autoencoders"
    assert "4 of 4 · Your turn" in told(back)
    assert "Watch it learn</b>" not in told(back)


def everything(lab: Lab) -> tuple[object, dict[str, bytes]]:
    """Every row of the database, and every file that is not the database's own."""
    files = [path for path in lab.path.rglob("*") if path.is_file() and not path.name.startswith("lab.sqlite")]
    return dump(lab), {str(path.relative_to(lab.path)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


SEEN = (".st-key-run-head", ".st-key-wall-0 [data-cells]", ".latent-map[data-state=ready]", ".st-key-tour-film canvas")
"""At each stop of the tour."""


def stop(page: Page, place: int, query: str) -> None:
    """The tour is at this stop: its bar, its address and what is to be seen there."""
    stop = kiosk.STOPS[place]
    expect(page.locator(".st-key-tour-bar")).to_contain_text(f"{place + 1} of 4 · {stop.title}")
    expect(page).to_have_url(re.compile(rf"/{stop.page if stop.page != 'tour' else ''}\?tour={place + 1}{query}"))
    expect(page.locator(SEEN[place]).first).to_be_visible()
    settle(page)


def test_the_tour_goes_through_the_pages_by_hand_and_by_itself_and_changes_nothing(
    shown: Lab, two_runs: TwoRuns, browser: Browser
) -> None:
    first, both = two_runs.ids[0], "%2C".join(two_runs.ids)
    hidden = next(row.id for row in runs(shown) if row.name == "not shown")
    asked = (f"&run={first}", f"&runs={both}", f"&run={first}", "")
    known = everything(shown)
    with dashboard(shown.path, **{kiosk.VARIABLE: ",".join(two_runs.ids)}) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.clock.install()
        page.goto(address)
        expect(page.get_by_role("heading", name="Autoencoders")).to_be_visible()
        bar = page.get_by_test_id("stTopNavLink")
        expect(bar).to_have_count(4)
        assert [link.inner_text().split()[-1] for link in bar.all()] == ["Tour", "Runs", "Compare", "space"]
        page.get_by_role("button", name="Take the tour").click()
        for place in range(4):
            stop(page, place, asked[place])
            keep(page, f"tour-{place + 1}")
            page.get_by_role("button", name="Next").click()
        stop(page, 0, asked[0])
        page.get_by_role("button", name="Walk by itself").click()
        for place in (0, 1, 2, 3, 0):
            expect(page.get_by_role("button", name="Stay here")).to_be_visible()
            stop(page, place, asked[place])
            page.clock.fast_forward(1000 * kiosk.SECONDS)
        stop(page, 1, asked[1])
        page.get_by_role("button", name="Stay here").click()
        expect(page.get_by_role("button", name="Walk by itself")).to_be_visible()
        for place in ("train", "server", "home"):
            page.goto(f"{address}/{place}")
            expect(page.get_by_text("Page not found")).to_be_visible()
        page.goto(f"{address}/runs?run={hidden}")
        expect(page.get_by_text(f"There is no run '{hidden}'")).to_be_visible()
        tried(address, two_runs.ids[0], hidden)
        page.close()
    rows, files = everything(shown)
    assert [name for name in files | known[1] if files.get(name) != known[1].get(name)] == []
    assert rows == known[0]


def tried(address: str, there: str, hidden: str) -> None:
    """Every route with every method: what is shown can be read, the rest is not there, and nothing can be sent."""
    with httpx.Client(base_url=address, follow_redirects=True) as web:
        for route in api.ROUTES:
            for run_id in (there, hidden):
                path = route.path
                for part, value in {"{run}": run_id, "{split}": "val", "{i:int}": "0", "{step:int}": "0"}.items():
                    path = path.replace(part, value)
                path = path.replace("{hash}", "0" * 16)
                asked = {"run": run_id, "runs": run_id, "other": run_id}
                for method in ("POST", "PUT", "PATCH", "DELETE"):
                    assert web.request(method, path, params=asked).status_code in (403, 404, 405), (method, path)
                answer = web.get(path, params=asked)
                assert answer.status_code < 500, path
                assert run_id == there or answer.status_code == 404 or hidden not in answer.text, path
