"""The server page: what it shows, and that what is changed there is checked, written and taken over."""

import getpass
import itertools
import json
from collections.abc import Callable
from html import escape
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from aecore.jobs import care, local, queue, supervisor, trash
from aecore.jobs.settings import change
from aecore.runs import Lab, diary
from tests.conftest import tiny
from tests.test_quota import starts
from ui import lab as dashboard
from ui import server_care

Open = Callable[..., AppTest]
PAGE = 'from ui.frame import PAGES\nfrom ui.notices import notices\nimport runpy\nnotices()\nrunpy.run_path(str(PAGES["server"]))'
HOSTILE = '<img src=x onerror="alert(1)"> **b** $x$ [a](javascript:b)'


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> Open:
    """The page's part of this name, of the test's lab."""
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2, "warm": 0}))
    lab.reread()
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    for cached in (server_care._usage, server_care._parts, server_care._checks):
        cached.clear()

    def at(part: str = "Now") -> AppTest:
        test = AppTest.from_string(PAGE, default_timeout=120)
        test.session_state["part"] = part
        return ran(test)

    return at


def ran(what: Any) -> AppTest:
    """The page after it was run, as it is or after something was done to one of its widgets."""
    test: AppTest = what.run()
    assert not test.exception
    return test


def html(test: AppTest) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def test_it_says_who_is_on_which_slot_who_waits_and_who_has_what(server: Open, lab: Lab) -> None:
    job = starts(lab, queue.submit(lab, tiny(name=HOSTILE), "ada"))
    local.note_slots(lab, job.id, local.LocalExecutor(lab).slots[:1])
    queue.submit(lab, tiny(name="second"), "ada")
    queue.submit(lab, tiny(name="first"), "<b>bea")
    shown = html(server())
    assert (
        f'<b>cpu-0</b> <span>ada: <a href="runs?run={job.run_id}" target="_self">{escape(HOSTILE)}</a> trains' in shown
    )
    assert "<b>cpu-1</b> <i>free</i>" in shown
    assert HOSTILE not in shown
    assert "<b>bea" not in shown
    rows = shown.partition('data-table="queue"')[2].partition("</table>")[0].split("<tr>")[2:]
    assert [row.partition("_self")[2][2:].partition("<")[0] for row in rows] == ["first", "second"]
    assert "It goes before 1 run that was queued earlier" in rows[0]
    assert "1 run that was queued later goes first: ada has used more lately." in rows[1]
    people = shown.partition('data-table="people"')[2].split("<tr>")[2:]
    assert people[0].startswith("<td>ada</td><td>2</td><td>1</td><td>1</td>")
    assert people[1].startswith("<td>&lt;b&gt;bea</td><td>1</td><td>0</td><td>1</td>")


def test_a_job_that_goes_on_a_step_between_two_looks_is_shown_once(
    server: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, look, steps = starts(lab, queue.submit(lab, tiny(name="alone"), "ada")), care.at_work, itertools.count()
    local.note_slots(lab, job.id, local.LocalExecutor(lab).slots[:1])
    monkeypatch.setattr(care, "at_work", lambda lab: [one._replace(step=next(steps)) for one in look(lab)])
    assert html(server()).count(">alone</a>") == 1


def test_an_empty_lab_has_nothing_to_say_but_its_devices(server: Open, lab: Lab) -> None:
    shown = html(server())
    assert "Nothing waits." in shown
    assert "Nobody has a run yet." in shown
    assert shown.count("<i>free</i>") == lab.settings.cpu_slots + lab.settings.side_slots


def test_the_banner_is_text_and_stands_on_the_page_until_it_is_taken_away(server: Open, lab: Lab) -> None:
    test = server()
    assert "aelab-notices" not in html(test)
    ran(test.text_input(key="server:banner").set_value(f"  {HOSTILE} "))
    assert f'<p role="status">{escape(HOSTILE)}</p>' in html(test)
    assert [act.text for act in diary.read(lab)] == [f"settings: banner from nothing to {HOSTILE}"]
    change(lab, {"banner": "by somebody else"}, "bea")
    dashboard.lab().reread()  # it would within a second
    assert "by somebody else" in html(ran(test))
    assert test.text_input(key="server:banner").value == "by somebody else"
    ran(test.text_input(key="server:banner").set_value(""))
    assert "aelab-notices" not in html(test)


def test_draining_is_said_to_everybody_and_ends(server: Open, lab: Lab) -> None:
    starts(lab, queue.submit(lab, tiny(), "ada"))
    test = server()
    ran(test.get("button_group")[1].set_value("finish"))
    lab.reread()
    assert lab.settings.drain == "finish"
    assert test.success[0].value.endswith("Those that train go on to their end. 1 train now.")
    assert "No new runs start" in html(test)
    ran(test.get("button_group")[1].set_value("off"))
    lab.reread()
    assert lab.settings.drain == "off"


def test_settings_are_saved_together_or_not_at_all(server: Open, lab: Lab) -> None:
    test = server("Settings")
    labels = [box.label for box in test.number_input]
    assert {"One person: Runs waiting", "CPU slots", "Retries"} <= set(labels)
    assert not [box for box in test.text_input if "Database" in box.label]
    test.number_input(key="setting:per_person.waiting").set_value(20)
    test.number_input(key="setting:cpu_slots").set_value(3)
    ran(test.get("button")[-1].click())
    assert json.loads((lab.path / "settings.json").read_text()) == {
        "cpu_slots": 3,
        "warm": 0,
        "per_person": {"waiting": 20},
    }
    test.number_input(key="setting:retries").set_value(9)
    test.number_input(key="setting:side_slots").set_value(0)
    ran(test.get("button")[-1].click())
    assert [error.value.replace("\\", "") for error in test.error] == ["side_slots is 0, but must be at least 1."]
    assert "retries" not in (lab.path / "settings.json").read_text()
    assert test.number_input(key="setting:retries").value == 9  # what was typed is still there


def test_people_are_named_one_by_one(server: Open, lab: Lab) -> None:
    test = server("Settings")
    me = getpass.getuser()
    names = test.multiselect(key="setting:access.admins")
    assert names.value == []
    test.session_state["setting:access.admins"] = [me, "Bea B."]
    ran(test.get("button")[-1].click())
    lab.reread()
    assert lab.settings.access.admins == (me, "Bea B.")


def test_what_would_be_freed_is_said_before_it_is(server: Open, lab: Lab) -> None:
    run_id = queue.submit(lab, tiny(), "ada")
    (lab.runs_folder / run_id / "large").write_bytes(bytes(5_000_000))
    trash.delete(lab, run_id, "ada")
    test = server("Disk")
    assert test.checkbox(key="clean-deleted").label == "**5 MB** of 1 run"
    assert test.caption[0].value.startswith("Deleted runs")
    assert test.checkbox(key="clean-spare").disabled
    assert test.button(key="clean").disabled
    ran(test.checkbox(key="clean-deleted").check())
    assert test.button(key="clean").label == "Free 5 MB"
    assert trash.deleted(lab)
    ran(test.button(key="clean").click())
    assert trash.deleted(lab) == []
    assert test.success[0].value == "5 MB are free again."
    assert not test.checkbox(key="clean-deleted").value


def test_health_and_events_are_listed(server: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.submit(lab, tiny(), "ada")
    change(lab, {"retries": 5}, "bea")
    shown = html(server("Health"))
    for name in ("database", "disk", "clock", "known holes", "settings"):
        assert f"<td>{name}</td>" in shown
    assert '<b class="bad">' not in shown
    shown = html(server("Event log"))
    assert "<td>bea</td><td>the lab</td><td>settings: retries from 3 to 5</td>" in shown
    assert shown.index("settings: retries") < shown.index("<td>ada</td>")
    began = []
    monkeypatch.setattr(supervisor, "ensure_supervisor", began.append)
    test = ran(server().button(key="restart").click())
    assert len(began) == 1
    assert test.success[0].value == "The supervisor was restarted; runs go on."


def test_settings_that_were_broken_by_hand_are_red_and_what_they_said_holds(server: Open, lab: Lab) -> None:
    assert "cpu-1" in html(server())
    (lab.path / "settings.json").write_text('{"cpu_slots": "many"')
    shown = html(server("Health"))
    first = shown.partition("<tbody>")[2].partition("</tr>")[0]
    assert '<b class="bad">' in first
    assert "<td>settings</td>" in first
    assert "settings.json is not JSON: line 1" in first
    assert "What was read of it before still holds." in first
    assert "cpu-1" in html(server())
