"""A real dashboard and a real Chromium for the tests that need them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

ROOT = Path(__file__).parents[1]
SCREENSHOTS = ROOT / "tests" / "screenshots"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
HOW_TO_GET_ONE = "No Chromium here. Debian, Ubuntu: sudo apt-get install chromium; macOS: brew install --cask chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
QUIET += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]
HERE = (
    "http://127.0.0.1:",
    "http://localhost:",
    "https://127.0.0.1:",
    "ws://127.0.0.1:",
    "data:",
    "blob:",
    "file:",
    "about:",
)
PATIENCE = 180_000
"""Milliseconds for what a page shows: a second on a quiet machine, and a test machine is not quiet."""
expect.set_options(timeout=PATIENCE)
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def dashboard(
    lab: Path, password: str = "", port: int = 0, base: str = "", app: str = "app.py", **variables: str
) -> Iterator[str]:
    """The dashboard on a lab of its own, as `streamlit run app.py` starts it; yields its address.

    `base` is the path below which it lies, as '/lab'; `variables` go into its environment; another `app` is for comparison.
    """
    port = port or free_port()
    environment = {**os.environ, "AELAB_HOME": str(lab), "AELAB_PASSWORD": password, **variables}
    command = [sys.executable, "-m", "streamlit", "run", app, f"--server.port={port}"]
    command += [f"--server.baseUrlPath={base}"] if base else []
    log = (lab.parent / f"dashboard-{port}.log").open("w")
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for_health(f"http://127.0.0.1:{port}{base}", server)
        yield f"http://127.0.0.1:{port}{base}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        end_supervisors(lab)


def end_supervisors(lab: Path) -> None:
    """A supervisor outlives its dashboard. A test's must not; one that is on its way has no lock yet by which it could be found."""
    theirs = ["-m", "aecore.jobs.supervisor", str(lab)]
    there = [one for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [])[1:] == theirs]
    for one in there:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    psutil.wait_procs(there, 10)


def offline(noted: Path) -> dict[str, str]:
    """Variables under which no Python process, nor one that it starts, reaches another machine; who tries it is noted in a file."""
    paths = [str(ROOT / "tests/offline"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "AELAB_TEST_OUTSIDE": str(noted)}


def wait_for_health(address: str, server: subprocess.Popen[bytes], seconds: float = PATIENCE / 1000) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, "the dashboard ended by itself"
        try:
            urllib.request.urlopen(f"{address}/login", timeout=2)
            return
        except urllib.error.HTTPError:  # it answers, to those who come in another way
            return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"no answer from {address} within {seconds} s")


@contextlib.contextmanager
def chromium(*theirs: str) -> Iterator[Browser]:
    """A browser without a network. At its end no page of it has asked anybody but this machine, or broken its content policy.

    `theirs` are addresses that pages of others ask for, such as those of a test's identity provider.
    """
    assert CHROMIUM, HOW_TO_GET_ONE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        wrong = watch(browser, theirs)
        yield browser
        browser.close()
        assert not wrong, "\n".join(wrong)


def watch(browser: Browser, theirs: tuple[str, ...] = ()) -> list[str]:
    """What the pages of a browser will have done wrong: requests to elsewhere, and violations of a content policy."""
    wrong: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((*HERE, *theirs)):
            wrong.append(f"a request to {request.url}")

    def said(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            wrong.append(message.text)

    def watched(opens: Callable[..., Any]) -> Callable[..., Any]:
        def opened(**options: Any) -> Any:
            made = opens(**options)
            context = made.context if isinstance(made, Page) else made
            context.on("request", asked)
            context.on("console", said)
            return made

        return opened

    for name in ("new_page", "new_context"):
        setattr(browser, name, watched(getattr(browser, name)))
    return wrong


def settle(page: Page) -> None:
    """Wait until the page's script has run."""
    page.wait_for_selector(IDLE, timeout=PATIENCE)


def keep(page: Page, name: str) -> None:
    """A screenshot for people to look at, in tests/screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)  # what stands in for a widget's script
    page.screenshot(path=str(SCREENSHOTS / f"{name}.png"))
