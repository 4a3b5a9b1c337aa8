"""Whatever people type is shown as text: thirty-five payloads in every field, on every page and in every file, in a real browser."""

import contextlib
import csv
import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from aecore.jobs.foreground import train_here
from aecore.runs import Lab, mirror
from tests.browser import PATIENCE, chromium, dashboard, settle
from tests.conftest import close, tiny
from tests.test_rebuild import lose
from tests.test_typed import RAW
from ui import ways
from ui.latent_selection import NAME, keep
from ui.words import JOINER

PAYLOADS = [f"{text} q{number:02}" for number, text in enumerate(RAW)]
"""Each ends with a mark of its own, which stays in the page whatever becomes of the rest."""
MARK = re.compile(r"q\d\d\b")
ALL = {f"q{number:02}" for number in range(len(PAYLOADS))}
FOLDER = "<b>mine</b> q90".replace("/", "∕")
"""The path of the images: a file's name may hold all but a slash."""
MISSED = 40_000
"""Milliseconds after which an address that was changed by hand counts as missed by Streamlit: the page is loaded then."""
LONGEST = {"name": 80, "banner": 300}


def packed(longest: int) -> list[str]:
    """All payloads in texts of at most so many characters. What means something at the start of a line stands there."""
    texts = [text for text in PAYLOADS if text[0] in "#->$=+@[:1{"]
    for text in sorted(set(PAYLOADS) - set(texts), key=len, reverse=True):
        room = (place for place, before in enumerate(texts) if len(before) + 1 + len(text) <= longest)
        if (place := next(room, None)) is None:
            texts.append(text)
        else:
            texts[place] += f" {text}"
    return texts


NAMES = packed(LONGEST["name"])
RUNS = [f"typed-2-{number:04}" for number in range(len(NAMES))]
FAILED = RUNS[-1]
FOUND = """() => {
  const said = [], odd = [];
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) walk(node.shadowRoot);
      if (node.matches(".katex, base, iframe, object, embed")) odd.push(node.outerHTML.slice(0, 200));
      for (const { name, value } of node.attributes) {
        if (/^on/.test(name)) odd.push(node.outerHTML.slice(0, 200));
        else if (/^(href|src|srcset|action|formaction|data|xlink:href)$/.test(name) && /fired/.test(value) && !/^data:/.test(value)
                 && new URL(value, document.baseURI).origin !== location.origin) odd.push(node.outerHTML.slice(0, 200));
        else if (!/^(href|src|class|id|data-[a-z-]*|d|points|style|name|for|aria-labelledby|aria-controls)$/.test(name)) said.push(value);
      }
      if (node.value && node.matches("input, textarea")) said.push(node.value);
    }
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    let text = "", last = null;
    while (texts.nextNode()) {
      const { parentElement: parent, data } = texts.currentNode;
      if (!parent?.closest("script, style")) text += (parent === last ? "" : "\\n") + data;
      last = parent;
    }
    said.push(text);
  };
  walk(document);
  return { said, odd, fired: window.hits || [] };
}"""
HOOK = "window.fired = (n) => (window.hits = window.hits || []).push(n);"


def images(folder: Path) -> None:
    """Three images of each of thirty-five classes, which are called as the payloads are."""
    random = np.random.default_rng(0)
    for number, name in enumerate(text.replace("/", "∕") for text in PAYLOADS):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            picture = np.clip(random.normal(8 * number, 9, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / name / f"{i} {name}.png")


def retype(folder: Path, number: int) -> None:
    """Make a copy of a run somebody else's, with payloads in each field that a person fills in."""
    name, every = NAMES[number], "\n".join(PAYLOADS)
    content: dict[str, Any] = json.loads((folder / mirror.NAME).read_text())
    run, jobs, events = content["run"], content["jobs"], content["events"]
    run |= {"id": folder.name, "seq": number + 1, "name": name, "note": every, "created": run["created"] + number}
    run |= {"owner": " ".join(PAYLOADS), "tags": ",".join(text.replace(",", ";") for text in PAYLOADS)}
    numbers = {job["id"]: 100 * (number + 1) + place for place, job in enumerate(jobs)}
    for job in jobs:
        job |= {"id": numbers[job["id"]], "run_id": folder.name, "owner": run["owner"], "sweep": run["owner"]}
        if folder.name == FAILED and job["kind"] == "train":
            job |= {"state": "failed", "reason_code": "exit", "reason": f"It says {run['owner']}."}
    for place, event in enumerate(events):
        event |= {"id": 1000 * (number + 1) + place, "job_id": numbers[event["job_id"]], "run_id": folder.name}
        event |= {"by": run["owner"], "reason": f"Pause asked by {run['owner']}."}
    run["job_id"] = numbers[run["job_id"]]
    (folder / mirror.NAME).write_text(json.dumps(content))
    config = json.loads((folder / "config.json").read_text())
    config["training"]["seed"] = number
    (folder / "config.json").write_text(json.dumps(config | {"name": name}))
    with (folder / "log.txt").open("a") as log:
        log.write(f"{every}\n")


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab in which everything that people type is a payload; the last of its runs failed."""
    here = tmp_path_factory.mktemp("typed")
    images(here / FOLDER)
    lab = Lab.open(here / "lab", str(here))
    config = tiny(data__name="folder", data__path=FOLDER, training__epochs=2, training__batch_size=16)
    first = lab.run(train_here(lab, config, "ada")).path
    for number, name in enumerate(RUNS):
        shutil.copytree(first, first.with_name(name))
        retype(first.with_name(name), number)
    shutil.rmtree(first)
    preset = {"title": " ".join(PAYLOADS[:15]), "help": " ".join(PAYLOADS[15:]), "source": "own"}
    lab.presets_folder.mkdir(exist_ok=True)
    (lab.presets_folder / "own.json").write_text(json.dumps(preset | {"config": json.loads(config.model_dump_json())}))
    lose(lab)
    (lab.path / "settings.json").write_text(
        json.dumps(
            {"warm": 0, "drain": "finish", "banner": packed(LONGEST["banner"])[0], "access": {"admins": PAYLOADS}}
        )
    )
    made = Lab.open(lab.path, str(here))
    with pytest.MonkeyPatch.context() as one:
        one.setenv("AELAB_HOME", str(made.path))
        one.delenv("AELAB_PASSWORD", raising=False)
        (made.path / "chosen").write_text(keep(RUNS[5], "train", np.arange(1000)))
    yield made
    close(made)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: Browser, typed: Lab) -> Iterator[Page]:
    """The dashboard, and in it somebody whose name is a payload."""
    around = {"AELAB_PASSWORD": "all know this", "AELAB_ADMIN_PASSWORD": "few know this"}
    around |= {"AELAB_HOME": str(typed.path), "AELAB_DATA": str(typed.path.parent)}
    with pytest.MonkeyPatch.context() as here:
        for name, value in around.items():
            here.setenv(name, value)
        with dashboard(typed.path, **around) as address:  # type: ignore[arg-type]
            context = browser.new_context(base_url=address, viewport={"width": 1600, "height": 1000})
            context.add_init_script(HOOK)
            cookie = ways.token(PAYLOADS[0], typed)
            context.add_cookies([{"name": ways.COOKIE, "value": cookie, "url": address}])
            tab = context.new_page()
            tab.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
            tab.goto("/")
            settle(tab)
            yield tab


def verbatim(page: Page) -> set[str]:
    """The marks on the page, after a look that each stands behind the whole of its payload, and that nothing ran."""
    found = page.evaluate(FOUND)
    assert found["fired"] == []
    assert found["odd"] == []
    return {mark for said in found["said"] for mark in whole(said.replace(JOINER, ""))}


def whole(text: str) -> set[str]:
    """Marks in a text, each of them behind its whole payload; what names a value in a sentence may quote it."""
    marks = set(MARK.findall(text)) - {"q90"}
    for mark in marks:
        typed = PAYLOADS[int(mark[1:])]
        left = text
        for form in (typed, typed.replace("/", "∕"), typed.replace("'", "\\'"), repr(typed)[1:-1]):
            left = left.replace(form, "")
        assert mark not in left, f"{typed!r} stands as {left[max(0, left.find(mark) - 60) : left.find(mark) + 5]!r}"
    return marks


def go_on(page: Page, address: str, title: str, marks: set[str]) -> None:
    """To another address of the dashboard, without loading it again; all of these marks come there."""
    page.evaluate("to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }", address)
    heading = page.get_by_role("heading", name=title, exact=True).first
    with contextlib.suppress(AssertionError):
        expect(heading).to_be_visible(timeout=MISSED)
    if not heading.is_visible():
        verbatim(page)
        page.goto(address)
    expect(heading).to_be_visible()
    comes(page, marks)
    settle(page)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    verbatim(page)


def comes(page: Page, marks: set[str]) -> None:
    """Wait until all of these stand on the page."""
    end = time.monotonic() + PATIENCE / 1000
    while missing := marks - verbatim(page):
        assert time.monotonic() < end, f"{sorted(missing)} did not come"
        page.wait_for_timeout(100)


def test_home_the_visitor_and_the_banner_show_text(page: Page) -> None:
    expect(page.locator(".st-key-visitor")).to_contain_text(PAYLOADS[0])
    expect(page.locator(".aelab-notices")).to_contain_text(packed(LONGEST["banner"])[0])
    comes(page, set(MARK.findall(" ".join([*NAMES[-4:], packed(LONGEST["banner"])[0]]))))


def test_the_table_of_runs_and_their_own_pages_show_text(page: Page) -> None:
    for number, run in list(enumerate(RUNS))[::-2]:
        go_on(page, f"/runs?run={run}", "Runs", set(MARK.findall(NAMES[number])))
        expect(page.locator(".st-key-run-head h2")).to_contain_text(re.findall(MARK, NAMES[number])[0])
        if run == FAILED:
            comes(page, ALL)
            expect(page.get_by_text("It says").first).to_be_visible()
    page.get_by_text("Disk, and runs that were deleted").click()
    expect(page.get_by_text(f"in {len(RUNS)} runs")).to_be_visible()
    comes(page, ALL)


def test_compare_its_tables_and_its_report_hold_text(page: Page, tmp_path: Path) -> None:
    go_on(page, f"/compare?runs={','.join(RUNS)}", "Compare", ALL)
    for name in ("Figures as CSV", "Configurations as CSV"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=name).click()
        rows = list(csv.reader(io.StringIO(Path(saved.value.path()).read_text(encoding="utf-8"))))
        cells = [cell for row in rows for cell in row]
        assert {mark for cell in cells for mark in whole(cell)} == ALL
        assert [cell for cell in cells if cell.strip()[:1] in ("=", "+", "@") or cell.startswith("- ")] == []
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as one HTML file").click()
    saved.value.save_as(tmp_path / "comparison.html")
    report = page.context.new_page()
    report.goto((tmp_path / "comparison.html").as_uri())
    assert verbatim(report) == ALL
    report.close()


def test_the_latent_map_and_its_gallery_show_labels_as_text(page: Page, typed: Lab) -> None:
    chosen = (typed.path / "chosen").read_text()
    go_on(page, f"/latent?run={RUNS[5]}&split=train&{NAME}={chosen}&below=pair", "Latent space", ALL)
    expect(page.locator(".st-key-latent-panel")).to_contain_text(re.compile(r"(\d+) of \1 selected"))
    expect(page.locator(".st-key-latent-panel .latent-counts")).to_contain_text("q00")
    comes(page, ALL)
    page.get_by_role("radio", name="Table").click()
    expect(page.locator(".st-key-latent-panel canvas").first).to_be_visible()
    page.get_by_placeholder("Find a label").fill(PAYLOADS[1])
    page.get_by_placeholder("Find a label").press("Enter")
    expect(page.locator(".st-key-latent-panel")).to_contain_text(f"No label and no train image is {PAYLOADS[1]}")
    verbatim(page)


def test_train_shows_a_preset_and_every_page_what_an_address_asks_for_as_text(page: Page) -> None:
    go_on(page, "/train?preset=own", "Train", ALL)
    asked = {"train?preset=": "Train", "train?set=": "Train", "train?clone=": "Train"}
    asked |= {"runs?run=": "Runs", "runs?filter=": "Runs", "compare?runs=": "Compare", "latent?run=": "Latent space"}
    for address, title in asked.items():
        go_on(page, f"/{address}{quote(' '.join(PAYLOADS))}", title, set())
    go_on(page, f"/compare?sweep={quote(' '.join(PAYLOADS))}", "Compare", ALL)


@pytest.mark.parametrize("part", ["Now", "Disk", "Settings", "Event log", "Health"])
def test_the_server_page_its_people_its_disk_and_its_log_show_text(page: Page, part: str) -> None:
    go_on(page, f"/server?part={quote(part)}", "Server", set())
    if part != "Health":
        expect(page.get_by_role("radio", name=part)).to_be_checked()
        comes(page, ALL)
