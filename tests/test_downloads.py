"""A checkpoint leaves the lab as the bytes that were written: for whom its ticket is, in ranges, and behind nginx with TLS."""

import base64
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from aecore import manifest
from aecore.config import writes
from aecore.jobs import owners, queue
from aecore.runs import Lab
from tests.browser import chromium, dashboard, free_port, keep, settle
from tests.conftest import tiny
from tests.nginx import proxied
from ui import access, tickets, ways
from ui.api import files
from ui.shield import Shield

SIZE = int(os.environ.get("AELAB_DOWNLOAD_MB", "192")) << 20
"""Bytes of the large file; 3072 for the three gigabytes of docs/LOG.md."""
FLAT = 48 << 20
"""By how many bytes the dashboard may grow while it hands that out."""
STAMP, NAME = "00000003-1", "encoder.safetensors"
SECRET = "nobody guesses this one"


def checkpoint(lab: Lab, owner: str, size: int, private: bool = False) -> tuple[str, str]:
    """A run with a checkpoint of a sparse file of this size; its id, and the file's sha256."""
    run = queue.submit(lab, tiny(), owner, private=private)
    folder = lab.run(run).checkpoints / STAMP
    folder.mkdir()
    with (folder / NAME).open("wb") as file:
        for at in range(0, size, max(size // 7, 1)):  # so that no part is like another
            file.seek(at)
            file.write(at.to_bytes(8, "big"))
        file.truncate(size)
    content = {"files": {NAME: [size, manifest.digest_of(folder / NAME)]}, "step": 3}
    (folder / manifest.MANIFEST).write_text(manifest.sealed(content))
    return run, content["files"][NAME][1]  # type: ignore[index]


Client = Callable[[str], TestClient]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody at a lab whose proxy says who is there; '' for a program without a cookie."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/settings.json").write_text(json.dumps({"access": {"way": "proxy", "admins": ["cyd"]}}))
    monkeypatch.setenv("AELAB_HOME", str(tmp_path / "lab"))
    monkeypatch.setenv("AELAB_PROXY_SECRET", SECRET)
    app = Starlette(routes=files.ROUTES, middleware=[Middleware(Shield), Middleware(access.Door)])

    def somebody(name: str) -> TestClient:
        headers = {"X-Remote-User": name, "X-Aelab-Secret": SECRET} if name else {}
        return TestClient(app, base_url="http://127.0.0.1", headers=headers)

    return somebody


def address(lab: Lab, who: str, run: str, stamp: str = STAMP, name: str = NAME) -> str:
    return f"/api/checkpoint/{run}/{stamp}/{name}?ticket={tickets.ticket(lab, who, run, stamp, name)}"


def test_a_file_comes_whole_or_in_ranges_with_its_digest(client: Client) -> None:
    lab = access._lab()
    run, digest = checkpoint(lab, "ada", 5_000_000)
    content = (lab.run(run).checkpoints / STAMP / NAME).read_bytes()
    for who in ("ada", ""):
        whole = client(who).get(address(lab, "ada", run))
        assert whole.content == content
        assert hashlib.sha256(whole.content).hexdigest() == digest
        assert whole.headers["etag"] == f'"{digest}"'
        assert base64.b64decode(whole.headers["repr-digest"].removeprefix("sha-256=:").rstrip(":")).hex() == digest
        assert whole.headers["content-disposition"] == f'attachment; filename="{run}-{NAME}"'
        assert whole.headers["content-encoding"] == "identity"
    part = client("").get(address(lab, "ada", run), headers={"Range": "bytes=4000000-", "If-Range": f'"{digest}"'})
    assert (part.status_code, part.content) == (206, content[4_000_000:])
    assert part.headers["content-range"] == "bytes 4000000-4999999/5000000"
    other = client("").get(address(lab, "ada", run), headers={"Range": "bytes=4000000-", "If-Range": '"another"'})
    assert (other.status_code, other.content == content) == (200, True)
    assert client("").get(address(lab, "ada", run), headers={"Range": "bytes=5000000-"}).status_code == 416
    head = client("").head(address(lab, "ada", run))
    assert (head.headers["content-length"], head.content) == ("5000000", b"")


def test_a_ticket_that_is_wrong_old_tampered_or_somebody_elses_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = access._lab()
    (run, _), (other, _) = checkpoint(lab, "ada", 1000), checkpoint(lab, "ada", 1000)
    good = address(lab, "ada", run)
    path, _, ticket = good.partition("?ticket=")
    content, _, signature = ticket.partition(".")
    anothers = base64.urlsafe_b64encode(json.dumps(["bea", int(time.time()) + 60]).encode()).decode().rstrip("=")
    later = base64.urlsafe_b64encode(json.dumps(["ada", int(time.time()) + 10**9]).encode()).decode().rstrip("=")
    wrong = ["", ".", "x", f"{content}.", f"{content}.{'0' * 64}", "bnVsbA.x", "W10.x", "é.ü"]
    wrong += [tickets.ticket(lab, "ada", other, STAMP, NAME), tickets.ticket(lab, "ada", run, "00000004-1", NAME)]
    wrong += [tickets.ticket(lab, "ada", run, STAMP, "state.json"), ways.token("ada", lab)]
    wrong += [
        f"{anothers}.{signature}",
        f"{later}.{signature}",
        f"{content}.{signature[:-1]}",
        f"{content}A.{signature}",
    ]
    for text in wrong:
        assert client("").get(path, params={"ticket": text}).status_code == 403, text
        assert client("ada").get(path, params={"ticket": text}).status_code == 403, text
    assert client("bea").get(good).status_code == 403
    assert client("cyd").get(good).status_code == 403
    assert client("ada").get(good).status_code == 200
    now = time.time()
    monkeypatch.setattr(tickets.time, "time", lambda: now + tickets.DAY + 1)
    assert client("ada").get(good).status_code == 403


def test_a_ticket_ends_with_the_right_to_see_the_run(client: Client) -> None:
    lab = access._lab()
    run, _ = checkpoint(lab, "ada", 1000)
    beas = address(lab, "bea", run)
    assert client("").get(beas).status_code == 200
    owners.hide(lab.seen_by("ada"), [run], True, "ada")
    refused, never = client("").get(beas), client("").get(address(lab, "bea", "never-2-was2"))
    assert (refused.status_code, refused.text) == (never.status_code, never.text)
    assert refused.status_code == 403
    gone = {"access": {"way": "proxy", "admins": ["cyd"], "others": "nobody"}}
    (lab.path / "settings.json").write_text(json.dumps(gone))
    assert client("").get(address(lab, "ada", run)).status_code == 403


@pytest.mark.parametrize("stamp", ["..", "%2e%2e", "x", "00000009-1", ".tmp-00000003-1", "damaged-00000003-1"])
def test_nothing_but_a_file_of_a_checkpoint_can_be_asked_for(client: Client, stamp: str) -> None:
    lab = access._lab()
    run, _ = checkpoint(lab, "ada", 1000)
    assert client("ada").get(address(lab, "ada", run, stamp=stamp)).status_code in (403, 404)
    for name in ("MANIFEST.json", "..%2f..%2fconfig.json", "config.json", "%00"):
        assert client("ada").get(address(lab, "ada", run, name=name)).status_code in (403, 404)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def rss(port: int) -> int:
    """Bytes in memory of the process that listens on a port of this machine."""
    found = next(one for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port)
    return psutil.Process(found.pid).memory_info().rss


def test_behind_nginx_with_tls_a_download_that_was_killed_goes_on_and_is_whole(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_PASSWORD", "all know this")
    lab, port = Lab.open(tmp_path / "lab"), free_port()
    (lab.path / "settings.json").write_text('{"drain": "finish"}')
    run, digest = checkpoint(lab, "ada", SIZE)
    with (
        dashboard(lab.path, "all know this", base="/lab") as behind,
        proxied(tmp_path, port, own := int(behind.split(":")[2].partition("/")[0]), tls=True) as lab_address,
    ):
        context = browser.new_context(ignore_https_errors=True, base_url=lab_address)
        page = context.new_page()
        page.goto(f"{lab_address}/runs?run={run}")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("all know this")
        page.get_by_role("button", name="Come in").click()
        expect(page.locator(".st-key-visitor")).to_contain_text("ada")  # by a websocket
        [cookie] = [one for one in context.cookies() if one["name"] == ways.COOKIE]
        assert cookie["secure"]
        assert cookie["httpOnly"]
        page.get_by_role("tab", name="Files").click()
        expect(page.get_by_text(digest)).to_be_visible()
        keep(page, "run-files")
        link = str(page.get_by_role("link", name=NAME).evaluate("link => link.href"))
        assert page.request.get(f"{lab_address}/_stcore/metrics").status == 403

        target, before = tmp_path / "fetched", rss(own)
        curl = [
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--cacert",
            str(tmp_path / "certificate.pem"),
            "-o",
            str(target),
        ]
        first = subprocess.Popen([*curl, "--limit-rate", str(SIZE // 2), link])
        while not target.exists() or target.stat().st_size < SIZE // 2:
            assert first.poll() is None
            time.sleep(0.02)
        first.kill()
        first.wait()
        half = target.stat().st_size
        assert half < SIZE
        subprocess.run([*curl, "-C", "-", link], check=True)
        assert target.stat().st_size == SIZE
        assert manifest.digest_of(target) == digest
        assert rss(own) - before < FLAT

        page.goto(f"{lab_address}/train")
        settle(page)
        page.get_by_role("button", name="Save", exact=True).click()
        page.locator("input[type=file]").set_input_files(
            {"name": "mine.json", "mimeType": "application/json", "buffer": writes(tiny(name="brought")).encode()}
        )
        name = page.get_by_placeholder("Name: ")
        expect(name).to_have_attribute("placeholder", "Name: brought")
