"""A login through an identity provider, below a path, in a real browser; and sessions that end while somebody types."""

import contextlib
import json
import warnings
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from aecore.jobs import queue
from aecore.runs import Lab, runs
from tests.browser import chromium, dashboard, free_port, keep, settle
from tests.conftest import tiny
from tests.nginx import proxied
from ui import tickets

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import oidc_provider_mock

PEOPLE = "ada:{PLAIN}a\nbea:{PLAIN}a\n"
ACCOUNTS = [
    oidc_provider_mock.User(sub="1", claims={"email": "Ada@lab.example", "email_verified": True}),
    oidc_provider_mock.User(sub="2", claims={"email": "bea@lab.example"}),
    oidc_provider_mock.User(sub="3", claims={"email": "zoe@elsewhere.example"}),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("https://cdn.jsdelivr.net/npm/@picocss/") as found:
        yield found


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab.open(tmp_path_factory.mktemp("login") / "lab")


def configure(lab: Lab, provider: int, port: int) -> None:
    login = {"provider": f"http://localhost:{provider}/.well-known/openid-configuration", "client_id": "lab"}
    login |= {"address": f"http://127.0.0.1:{port}/lab", "title": "the lab's account"}
    people = {"admins": ["ada@lab.example"], "members": ["bea@lab.example"], "others": "nobody"}
    (lab.path / "settings.json").write_text(json.dumps({"access": people | {"way": "login", "login": login}}))


def sign_in(context: BrowserContext, address: str, account: str) -> Page:
    """Open an address as somebody who is not known yet, and come in with an account."""
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Sign in with the lab's account").click()
    page.get_by_role("button", name=account, exact=True).click()
    return page


def test_a_login_leads_back_to_the_link_and_who_is_signed_in_outlives_the_provider(lab: Lab, browser: Browser) -> None:
    open_, secret = (
        queue.submit(lab, tiny(name=name), "bea@lab.example", private=name != "open") for name in ("open", "mine")
    )
    port, running = free_port(), contextlib.ExitStack()
    provider = running.enter_context(oidc_provider_mock.run_server_in_thread(port=0, user_claims=ACCOUNTS))
    configure(lab, provider.server_port, port)
    with (
        dashboard(lab.path, base="/lab", AELAB_CLIENT_SECRET="a secret") as behind,
        proxied(lab.path.parent, port, int(behind.split(":")[2].partition("/")[0])) as address,
    ):
        ada, bea, zoe, new = (browser.new_context() for _ in range(4))
        page = sign_in(ada, f"{address}/runs?run={open_}", "1")
        expect(page.locator(".st-key-visitor")).to_contain_text("ada@lab.example admin")
        expect(page).to_have_url(f"{address}/runs?run={open_}")
        expect(page.get_by_role("heading", name="open")).to_be_visible()
        keep(page, "signed-in")
        expect(page.locator("a[href^='mailto:']")).to_have_count(0)  # an owner's name is text
        hers = sign_in(bea, f"{address}/runs?run={secret}", "2")
        expect(hers.get_by_role("heading", name="mine")).to_be_visible()
        expect(hers.locator(".st-key-visitor")).not_to_contain_text("admin")
        own = tickets.token(lab, "bea@lab.example", secret)
        assert hers.request.get(f"{address}/api/metrics?run={secret}&token={own}").status == 200
        assert page.request.get(f"{address}/api/metrics?run={secret}&token={own}").status == 403
        assert new.request.get(f"{address}/api/metrics?run={secret}&token={own}").status == 403

        stranger = sign_in(zoe, address, "3")
        expect(stranger.get_by_role("alert")).to_contain_text("zoe@elsewhere.example is not on the list of this lab")
        keep(stranger, "not-on-the-list")

        running.close()  # the identity provider is down
        late = new.new_page()
        late.goto(f"{address}/compare?runs={open_}")
        late.get_by_role("button", name="Sign in with the lab's account").click()
        expect(late.get_by_role("alert")).to_contain_text(f"localhost:{provider.server_port} does not answer")
        keep(late, "provider-is-down")
        page.reload()
        expect(page.get_by_role("heading", name="open")).to_be_visible()
        page.get_by_role("link", name="Leave").click()
        expect(page.get_by_role("button", name="Sign in with the lab's account")).to_be_visible()


def test_a_proxy_says_who_is_there_and_nobody_else_can(lab: Lab, browser: Browser) -> None:
    secret, port = "nobody guesses this one", free_port()
    (lab.path / "settings.json").write_text(json.dumps({"access": {"way": "proxy"}}))
    hidden = queue.submit(lab, tiny(name="mine"), "ada", private=True)
    with (
        dashboard(lab.path, base="/lab", AELAB_PROXY_SECRET=secret) as behind,
        proxied(lab.path.parent, port, int(behind.split(":")[2].partition("/")[0]), PEOPLE, secret) as address,
    ):
        page = browser.new_context(http_credentials={"username": "ada", "password": "a"}).new_page()
        page.goto(f"{address}/runs?run={hidden}")
        expect(page.get_by_role("heading", name="mine")).to_be_visible()
        expect(page.locator(".st-key-visitor")).to_have_text("ada")
        assert page.request.get(f"{address}/_stcore/metrics").status == 403
        forged = {"X-Remote-User": "ada", "X-Aelab-Secret": secret}
        bea = browser.new_context(http_credentials={"username": "bea", "password": "a"}, extra_http_headers=forged)
        assert bea.request.get(f"{address}/api/metrics?run={hidden}").status == 403
        elsewhere = browser.new_context(extra_http_headers={"X-Remote-User": "ada", "X-Aelab-Secret": "guess"})
        assert elsewhere.request.get(f"{behind}/api/metrics?run={hidden}").status == 403


def test_a_session_that_ends_in_a_form_loses_nothing_that_was_typed(lab: Lab, browser: Browser) -> None:
    def come_in(page: Page, password: str) -> None:
        page.goto(address)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Come in").click()
        expect(page.locator(".st-key-visitor")).to_contain_text("ada")

    with dashboard(lab.path, "all know this", AELAB_ADMIN_PASSWORD="few know this") as address:
        context = browser.new_context()
        page, other = context.new_page(), context.new_page()
        come_in(page, "all know this")
        page.goto(f"{address}/train")
        settle(page)
        expect(
            page.get_by_text("Memory to train")
        ).to_be_visible()  # the drawing is there: the page is made anew once for it
        page.get_by_text("More", exact=True).click()
        epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
        epochs.fill("37")
        epochs.press("Tab")
        settle(page)
        name = page.get_by_placeholder("Name: ")
        name.fill("typed with care")
        name.press("Tab")
        settle(page)
        (lab.path / "settings.json").write_text('{"access": {"admins": ["ada"]}}')  # her cookie is void now
        page.locator(".st-key-queue-private label").click(force=True)  # whatever is sent next is not heard
        expect(page.get_by_text("Your session has ended").first).to_be_visible()
        keep(page, "session-ended")
        assert runs(lab) == []
        come_in(other, "few know this")
        expect(page.get_by_text("Your session has ended")).to_have_count(0)
        settle(page)
        expect(name).to_have_value("typed with care")
        expect(epochs).to_have_value("37")
        page.locator(".st-key-queue-run button").click()
        expect(page.get_by_text("Queued as")).to_be_visible()
        assert [(row.name, row.owner) for row in runs(lab)] == [("typed with care", "ada")]
