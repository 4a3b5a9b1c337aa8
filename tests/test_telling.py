"""Tell me when it ends: which events are news, in which words, to real receivers on this machine, whatever those do."""

import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aecore.__main__ import main
from aecore.config import ConfigError
from aecore.config.lab import read_settings
from aecore.jobs import news, queue, states, steer
from aecore.jobs.supervisor import ensure_supervisor
from aecore.jobs.teller import Teller
from aecore.runs import Lab, LabError, events, run
from aecore.runs.backup import backup
from aecore.runs.history import history
from tests.conftest import tiny
from tests.receivers import PASSWORD, USER, Mailbox, Posted, post_office, web

MARKUP = "<!channel> *x* [a](http://evil.example) `y` @ada :smile:"
DONE = "Completed 66 steps in 3 s."


@pytest.fixture
def posted() -> Iterator[Posted]:
    with web() as found:
        yield found


def settings(lab: Lab, **tell: Any) -> None:
    """Write `tell` into the lab's settings; a failed message is sent again at once."""
    quick = {"retry_seconds": 0.001, "timeout_seconds": 30, "tries": 3}
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 1, "tell": quick | tell}))


def by(box: Mailbox) -> dict[str, Any]:
    """Mail by this server, which knows where ada gets hers."""
    known = {"server": "localhost", "port": box.port, "user": USER, "password": PASSWORD, "sender": "lab@example.org"}
    return known | {"addresses": {"ada": "ada@example.org"}}


def going(lab: Lab, name: str = "tiny", tell: bool = True, owner: str = "ada") -> str:
    """A run that trains."""
    run_id = queue.submit(lab, tiny(name=name), owner, tell=tell)
    states.move(lab, train_job(lab, run_id), "starting", by="supervisor")
    states.claim(lab, train_job(lab, run_id), "here")
    return run_id


def train_job(lab: Lab, run_id: str) -> int:
    return run(lab, run_id).job_id


def end(lab: Lab, run_id: str, new: str = "completed", by: str = "trainer", reason: str = DONE) -> None:
    assert states.move(lab, train_job(lab, run_id), new, by=by, reason=reason)


def told(lab: Lab, teller: Teller | None = None) -> Teller:
    """Look after the messages, as the supervisor's ticks do, until nothing is left to tell."""
    teller = teller or Teller(lab)
    limit = time.monotonic() + 120
    while teller.look():
        assert time.monotonic() < limit
        time.sleep(0.005)
    return teller


def heard(lab: Lab, run_id: str) -> list[tuple[str, str]]:
    """What the run's history says of telling."""
    lines = [(line.sentence, line.tone) for line in history(events(lab, run_id))]
    return [line for line in lines if line[0].startswith(("told", "not told"))]


def test_the_webhook_gets_a_completed_run_once_with_a_link_and_the_history_says_so(lab: Lab, posted: Posted) -> None:
    settings(lab, webhook=posted.url, dashboard="https://lab.example.org/x/")
    run_id = going(lab)
    end(lab, run_id)
    told(lab, told(lab))
    assert posted.bodies == [
        {
            "text": f"Run tiny: completed. Completed 66 steps in 3 s.\nhttps://lab.example.org/x/runs?run={run_id}",
            "title": "Run tiny: completed",
            "run": run_id,
            "state": "completed",
            "link": f"https://lab.example.org/x/runs?run={run_id}",
            "id": posted.ids[0],
        }
    ]
    host = posted.url.split("/")[2]
    assert heard(lab, run_id) == [(f"told the webhook at {host} that it has completed", "")]
    assert "T0K3N" not in json.dumps([event._asdict() for event in events(lab, run_id)])


ASKED = "bea asked to stop it."
STORIES: dict[str, tuple[Callable[[Lab, str], Any], list[str]]] = {
    "completed": (lambda lab, run: end(lab, run), ["completed"]),
    "failed": (lambda lab, run: end(lab, run, "failed", "supervisor", "The loss is nan."), ["failed"]),
    "withdrawn by the cluster": (lambda lab, run: end(lab, run, "cancelled", "supervisor", "scancel"), ["stopped"]),
    "stopped by another": (lambda lab, run: (queue.stop(lab, run, "bea"), end(lab, run, "cancelled")), ["stopped"]),
    "stopped by its owner": (lambda lab, run: (queue.stop(lab, run, "ada"), end(lab, run, "cancelled")), []),
    "stopped by its owner while it waited": (lambda lab, run: waiting(lab, run, "ada"), []),
    "stopped by another while it waited": (lambda lab, run: waiting(lab, run, "bea"), ["stopped"]),
    "paused by the system": (lambda lab, run: end(lab, run, "paused", "supervisor", "Drained."), ["paused"]),
    "killed, and goes on": (lambda lab, run: end(lab, run, "queued", "supervisor", "Killed."), []),
    "the disk is full": (
        lambda lab, run: states.say(lab, train_job(lab, run), run, "The disk is full: the run waits.", urgent=True),
        ["waits"],
    ),
    "its analysis ended": (
        lambda lab, run: states.move(lab, queue.submit_job(lab, run, "analyse", "bea"), "cancelled", by="bea"),
        [],
    ),
    "resumed, and completed": (
        lambda lab, run: (end(lab, run, "paused", "supervisor", "Drained."), resumed(lab, run), end(lab, run)),
        ["completed"],
    ),
}


def waiting(lab: Lab, like: str, by: str) -> None:
    queue.stop(lab, queue.submit(lab, tiny(), "ada", tell=run(lab, like).tell), by)


def resumed(lab: Lab, run_id: str) -> None:
    steer.resume(lab, run_id, "ada")
    states.move(lab, train_job(lab, run_id), "starting", by="supervisor")
    states.claim(lab, train_job(lab, run_id), "here again")


@pytest.mark.parametrize("story", STORIES)
def test_what_its_owner_hears_of(lab: Lab, posted: Posted, story: str) -> None:
    settings(lab, webhook=posted.url)
    happens, words = STORIES[story]
    run_id, silent = going(lab), going(lab, tell=False)
    happens(lab, run_id)
    happens(lab, silent)
    told(lab)
    assert [body["title"] for body in posted.bodies] == [f"Run tiny: {word}" for word in words]


def test_no_message_holds_markup_a_mention_or_a_link_that_somebody_typed(lab: Lab, posted: Posted) -> None:
    settings(lab, webhook=posted.url)
    run_id = going(lab, name=MARKUP)
    end(lab, run_id, "failed", reason=f"The program failed: {MARKUP}\nand a line of the log")
    told(lab)
    (body,) = posted.bodies
    words = "channel x a (http: evil example) y ada smile:"
    assert body["text"] == f"Run {words}: failed. The program failed: {words}"
    assert not set("<>*[]`@#_~|\\/&!\n") & set(body["text"] + body["title"])


def test_mail_goes_to_the_owner_over_tls_after_a_login(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with post_office(tmp_path) as box:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        monkeypatch.setenv("AELAB_MAIL_PASSWORD", PASSWORD)
        addresses = {"ada": "ada@example.org", "cyd": "nobody@example.org"}
        settings(lab, mail={**by(box), "password": "", "addresses": addresses})
        mine, hers, theirs, strange = (
            going(lab, name, owner=owner)
            for name, owner in (("a\nb", "ada"), ("b", "bea@example.org"), ("c", "cyd"), ("d", "dan"))
        )
        for run_id in (mine, hers, theirs, strange):
            end(lab, run_id)
        told(lab)
    found = {mail["To"]: mail for mail in box.mails}
    assert set(found) == {"ada@example.org", "bea@example.org"}
    first = found["ada@example.org"]
    assert (first["From"], first["Subject"]) == ("lab@example.org", "Run a b: completed")
    assert first.get_content().replace("\r\n", "\n") == "Run a b: completed. Completed 66 steps in 3 s.\n"  # type: ignore[attr-defined]
    assert first.get_content_type() == "text/plain"
    assert first["Message-ID"].startswith(f"<{mine}-")
    assert first["Date"].datetime.tzinfo is not None
    assert set(box.logins) == {USER.encode()}
    assert heard(lab, mine) == [("told ada, by mail, that it has completed", "")]
    assert heard(lab, theirs)[-1] == (
        "not told that it has completed: cyd, by mail, was refused by the mail server: 550 b no such user b. It was tried 3 times",
        "warning",
    )
    assert "dan, by mail, has no address in this lab: see tell mail addresses" in heard(lab, strange)[0][0].replace(
        ".", " "
    )


def test_a_mail_server_whose_certificate_is_not_trusted_gets_neither_mail_nor_password(
    lab: Lab, tmp_path: Path
) -> None:
    with post_office(tmp_path) as box:
        settings(lab, tries=1, mail=by(box))
        run_id = going(lab)
        end(lab, run_id)
        told(lab)
    assert (box.mails, box.logins) == ([], [])
    assert "ada, by mail, has a certificate that is not trusted: " in heard(lab, run_id)[0][0]


def test_a_receiver_that_fails_gets_the_same_message_again_until_it_takes_it(lab: Lab, posted: Posted) -> None:
    settings(lab, webhook=posted.url, tries=4)
    posted.statuses = [500, 404]
    run_id = going(lab)
    end(lab, run_id)
    told(lab)
    host = posted.url.split("/")[2]
    assert len(posted.ids) == 3
    assert len(set(posted.ids)) == 1
    assert heard(lab, run_id) == [
        (f"not told yet that it has completed: the webhook at {host} answered 500. It is tried again", "warning"),
        (f"told the webhook at {host} that it has completed", ""),
    ]


@pytest.mark.parametrize(
    ("webhook", "statuses", "sentence"),
    [
        ("", [302] * 9, "answered 302, a redirect. It was tried 3 times"),
        (
            "http://127.0.0.1:9/",
            [],
            "the webhook at 127.0.0.1:9 cannot be reached: connection refused. It was tried 3 times",
        ),
        ("http://no.such.host.invalid/", [], "cannot be reached: there is no such host. It was tried 3 times"),
    ],
)
def test_what_is_never_taken_is_given_up_and_the_history_says_why(
    lab: Lab, posted: Posted, webhook: str, statuses: list[int], sentence: str
) -> None:
    settings(lab, webhook=webhook or posted.url)
    posted.statuses = statuses
    run_id = going(lab)
    end(lab, run_id)
    told(lab)
    assert heard(lab, run_id)[-1][0].endswith(sentence)
    assert run(lab, run_id).state == "completed"
    assert not Teller(lab).look()


def test_a_receiver_that_hangs_holds_up_neither_the_supervisor_nor_other_messages(
    lab: Lab, posted: Posted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted.behaviour = "hang"
    with post_office(tmp_path) as box:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        settings(lab, webhook=posted.url, tries=2, mail=by(box))
        run_id = going(lab)
        end(lab, run_id)
        teller = Teller(lab)
        by_mail = ("told ada, by mail, that it has completed", "")
        while by_mail not in heard(lab, run_id):  # look() comes back each time, though the webhook never answers
            assert teller.look()
            time.sleep(0.005)
        settings(lab, webhook=posted.url, tries=2, timeout_seconds=0.05)
        told(lab, teller)
    assert len(posted.bodies) == 2
    assert re.search(r"did not answer within [\d.]+ s\. It was tried 2 times$", heard(lab, run_id)[-1][0])
    assert by_mail in heard(lab, run_id)
    assert len(box.mails) == 1


def test_a_receiver_that_answers_a_byte_at_a_time_is_given_up(lab: Lab, posted: Posted) -> None:
    posted.behaviour = "drip"
    settings(lab, webhook=posted.url, tries=1)
    run_id = going(lab)
    end(lab, run_id)
    clock = [0.0]
    teller = Teller(lab, clock=lambda: clock[0])
    while not posted.bodies:
        assert teller.look()
        time.sleep(0.005)
    clock[0] = 91.0  # three times the longest silence
    teller.look()
    assert heard(lab, run_id)[0][0].endswith("did not answer within 91 s")
    told(lab, teller)
    assert len(posted.bodies) == 1


def test_a_new_supervisor_tells_what_the_old_one_had_not_and_nothing_twice(
    lab: Lab, posted: Posted, tmp_path: Path
) -> None:
    mail = {"server": "localhost", "port": 9, "security": "none", "sender": "lab@example.org"}
    settings(lab, webhook=posted.url, retry_seconds=3600, mail=mail | {"addresses": {"ada": "ada@example.org"}})
    run_id = going(lab)
    end(lab, run_id)
    old = Teller(lab)
    while len(heard(lab, run_id)) < 2:
        old.look()
        time.sleep(0.005)
    assert [one.run for one in news.outstanding(lab)] == [run_id]
    settings(lab, webhook=posted.url, tries=1, mail=mail | {"addresses": {"ada": "ada@example.org"}})
    told(lab)  # what was mended in the settings counts for the next try
    assert len(posted.bodies) == 1
    assert "It was tried" not in heard(lab, run_id)[-1][0]


def test_a_private_run_is_told_to_its_owner_and_to_no_webhook(
    lab: Lab, posted: Posted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with post_office(tmp_path) as box:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        settings(lab, webhook=posted.url, mail=by(box))
        run_id = queue.submit(lab, tiny(), "ada", tell=True, private=True)
        queue.stop(lab, run_id, "bea")
        told(lab)
    assert [mail["Subject"] for mail in box.mails] == ["Run tiny: stopped"]
    assert posted.bodies == []


def test_news_survives_a_lost_database(lab: Lab, posted: Posted) -> None:
    settings(lab, webhook=posted.url)
    run_id = going(lab)
    end(lab, run_id)
    lab.engine.dispose()
    for path in lab.path.glob("lab.sqlite*"):
        path.unlink()
    back = Lab.open(lab.path)
    assert run(back, run_id).tell
    told(back)
    assert [body["run"] for body in posted.bodies] == [run_id]


def test_a_run_that_was_asked_about_is_told_when_the_supervisor_has_trained_it(lab: Lab, posted: Posted) -> None:
    settings(lab, webhook=posted.url)
    run_id = queue.submit(Lab.open(lab.path), tiny(training__epochs=1), "ada")
    news.ask(lab, run_id, True)
    ensure_supervisor(lab)
    limit = time.monotonic() + 300
    while not heard(lab, run_id):
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert [body["state"] for body in posted.bodies] == ["completed"]


def test_asking_is_for_runs_that_have_not_ended(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = going(lab, tell=False)
    assert main(["tell", run_id, "--lab", str(lab.path), "--user", "ada"]) == 0
    assert capsys.readouterr().out == f"ada is told when {run_id} ends.\n"
    assert run(lab, run_id).tell
    end(lab, run_id)
    assert main(["tell", run_id, "--off", "--lab", str(lab.path), "--user", "ada"]) == 0
    assert (run(lab, run_id).tell, news.outstanding(lab)) == (False, [])
    with pytest.raises(LabError, match="it has ended already"):
        news.ask(lab, run_id, True)


SECRET = "T0K3N"


@pytest.mark.parametrize(
    ("tell", "sentence"),
    [
        (f"https://hooks.example.org/{SECRET}", "tell must hold fields in braces, not str."),
        ({"webhook": 5}, "tell.webhook must be text."),
        ({"webhook": f"ftp://x/{SECRET}"}, "tell.webhook must begin with http:// or https:// and name a host"),
        ({"webhook": f"http://host:port/{SECRET}"}, "tell.webhook must begin with http:// or https://"),
        ({"webhook": f"http://host/{SECRET}\n"}, "tell.webhook must begin with http:// or https://"),
        ({"webhok": SECRET}, "tell.webhok is not a known field: did you mean webhook?"),
        ({"mail": {"password": [SECRET]}}, "tell.mail.password must be text."),
        ({"mail": {"server": "smtp.example.org", "password": SECRET}}, "tell.mail.sender is missing"),
        ({"mail": {"user": "a", "security": "none", "password": SECRET}}, "a password must not travel in the clear"),
        ({"mail": {"security": "ssl"}}, "tell.mail.security is 'ssl', but must be 'starttls', 'tls' or 'none'."),
        ({"mail": {"addresses": {"ada": "a@b\nBcc: c@d"}}}, "which is no address such as ada@example.org"),
        ({"tries": 0}, "tell.tries is 0, but must be at least 1."),
    ],
)
def test_settings_that_cannot_be_used_are_said_without_what_is_secret_in_them(
    tmp_path: Path, tell: Any, sentence: str
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"tell": tell}))
    with pytest.raises(ConfigError) as said:
        read_settings(file)
    assert sentence in str(said.value)
    assert SECRET not in str(said.value)


def test_secrets_are_in_no_backup_and_in_no_text_of_the_settings(lab: Lab, tmp_path: Path) -> None:
    mail = {"server": "localhost", "sender": "lab@example.org", "user": "lab", "password": SECRET}
    settings(lab, webhook=f"https://hooks.example.org/{SECRET}", mail=mail)
    opened = Lab.open(lab.path)
    assert SECRET not in repr(opened.settings)
    backup(opened, tmp_path / "lab.tar")
    with tarfile.open(tmp_path / "lab.tar") as tar:
        kept = json.loads(tar.extractfile("settings.json").read())  # type: ignore[union-attr]
    assert kept["tell"]["mail"]["sender"] == "lab@example.org"
    assert SECRET not in json.dumps(kept)


def test_the_settings_that_the_readme_shows_can_be_used(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r'^```json\n("tell": .*?)^```', readme, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "settings.json").write_text(f"{{{block}}}")
    tell = read_settings(tmp_path / "settings.json").tell
    assert (tell.webhook_host, tell.mail.address("ada")) == ("chat.example.org", "ada@example.org")
