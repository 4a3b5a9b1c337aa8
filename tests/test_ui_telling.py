"""The box "Tell me" on the Runs and Train pages, and what a browser asks."""

import json

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from aecore.jobs import queue, trash
from aecore.runs import Lab, index
from tests.conftest import tiny
from tests.test_ui_runs import Open, job, page, shown  # noqa: F401 (a fixture)
from tests.test_ui_train import open_page
from ui import tickets
from ui.api import live

SECRET = "T0K3N"
MAIL = {"server": "smtp.example.org", "sender": "lab@example.org", "user": "lab", "password": SECRET}


@pytest.fixture
def lab_that_writes(lab: Lab) -> Lab:
    tell = {"webhook": f"https://hooks.example.org/{SECRET}", "mail": MAIL | {"addresses": {"ada": "ada_@example.org"}}}
    (lab.path / "settings.json").write_text(json.dumps({"tell": tell}))
    return lab


def everything(test: AppTest) -> str:
    return "\n".join([shown(test), *(toggle.label for toggle in test.toggle)])


def test_where_a_lab_writes_to_nobody_the_box_says_what_is_missing(page: Open, lab: Lab) -> None:  # noqa: F811
    test = page(lab, run=queue.submit(lab, tiny(), "ada"))
    assert "By mail or webhook: once the lab's `settings.json` has them under `tell`." in shown(test)
    listens = {"run": "", "path": tickets.signed("api/told", "told")}
    assert json.loads(test.get("bidi_component")[0].proto.json) == listens, "what listens on every page"


def test_ones_own_run_is_told_by_what_the_lab_offers_and_no_secret_is_shown(page: Open, lab_that_writes: Lab) -> None:  # noqa: F811
    lab = lab_that_writes
    run = queue.submit(lab, tiny(), "ada")
    test = page(lab, run=run)
    toggle = test.toggle(key=f"tell-{run}")
    assert toggle.label == "By mail to ada\\_@\u2060example.org and by the webhook at hooks.example.org", "no link"
    assert not index.run(lab, run).tell
    toggle.set_value(True).run()
    assert index.run(lab, run).tell
    test.toggle(key=f"tell-{run}").set_value(False).run()
    assert not index.run(lab, run).tell
    assert SECRET not in everything(test)


def test_somebody_elses_run_writes_to_its_owner_and_only_the_owner_chooses(page: Open, lab_that_writes: Lab) -> None:  # noqa: F811
    run = queue.submit(lab_that_writes, tiny(), "bea")
    test = page(lab_that_writes, run=run)
    assert test.toggle(key=f"tell-{run}").label == "By the webhook at hooks.example.org"
    assert test.toggle(key=f"tell-{run}").disabled
    assert "The lab writes to its owner, bea." in shown(test)


def test_a_run_that_has_ended_has_no_box(page: Open, lab: Lab) -> None:  # noqa: F811
    run = job(lab, queue.submit(lab, tiny(), "ada"), state="completed")
    assert "When this run ends" not in shown(page(lab, run=run))


def test_who_wants_to_hear_of_a_run_hears_of_the_next_ones_too(
    lab_that_writes: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    lab = lab_that_writes
    test = open_page(lab, monkeypatch)
    test.button("queue-run").click().run()
    (first,) = index.runs(lab)
    assert not first.tell
    test.toggle(key=f"tell-{first.id}").set_value(True).run()
    test.button("new-run").click().run()
    test.button("queue-run").click().run()
    assert not test.exception
    assert [row.tell for row in index.runs(lab)] == [True, True]


def test_a_browser_asks_what_is_new_of_its_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    waits, failed, full, gone = (queue.submit(lab, tiny(name=f"<b>{n}</b>"), "ada") for n in range(4))
    job(lab, failed, state="failed", reason="The loss is nan.\n  File x")
    job(lab, full, state="running", reason_code="disk_full", reason="The disk is full.")
    trash.delete(lab, gone, "ada")
    asked = ",".join((waits, failed, full, gone, "never"))
    assert TestClient(Starlette(routes=live.ROUTES)).get(f"/api/told?runs={asked}").json() == {
        waits: {"name": "<b>0</b>", "word": None, "reason": ""},
        failed: {"name": "<b>1</b>", "word": "failed", "reason": "The loss is nan."},
        full: {"name": "<b>2</b>", "word": "waits", "reason": "The disk is full."},
    }
