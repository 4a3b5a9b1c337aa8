"""The form in a real browser: a field that somebody may be typing in stays while the page is made anew around it."""

from playwright.sync_api import Page, expect

from aecore.runs import Lab
from tests.browser import chromium, dashboard, settle


def test_the_name_is_the_same_field_whatever_is_chosen_beside_it(lab: Lab) -> None:
    with chromium() as browser, dashboard(lab.path) as address:
        page = browser.new_page()
        page.goto(f"{address}/train")
        expect(page.get_by_text("Memory to train")).to_be_visible()  # the page is made anew once for its drawing
        settle(page)
        name = page.locator("input[aria-label=Name]").element_handle()
        for act in (open_more, set_epochs, set_too_few, shut_more, choose_a_kind):
            act(page)
            settle(page)
            assert name.evaluate("field => field.isConnected"), act.__name__


def test_what_was_typed_is_there_after_back(lab: Lab) -> None:
    with chromium() as browser, dashboard(lab.path) as address:
        page = browser.new_page()
        page.goto(f"{address}/train")
        expect(page.get_by_text("Memory to train")).to_be_visible()
        settle(page)
        page.get_by_role("combobox", name="Preset or own").click()
        page.get_by_role("option", name="Variational, two dimensions", exact=True).click()
        page.wait_for_url("**/train?preset=vae-2")
        settle(page)
        size = page.get_by_role("spinbutton", name="Code size", exact=True)
        size.fill("7")
        size.press("Tab")
        expect(page.get_by_placeholder("-7")).to_be_visible()
        page.get_by_role("link", name="Runs").first.click()
        expect(page.get_by_text("Nothing was trained here yet.")).to_be_visible()
        page.go_back()
        expect(size).to_have_value("7")


def open_more(page: Page) -> None:
    page.get_by_text("More", exact=True).click()
    expect(page.get_by_role("spinbutton", name="Epochs", exact=True)).to_be_visible()
    expect(page.locator("[data-testid=stLayoutWrapper]:has(> .st-key-train-network)")).to_have_css("position", "sticky")


def set_epochs(page: Page, count: str = "37") -> None:
    epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
    epochs.fill(count)
    epochs.press("Tab")
    expect(page.get_by_placeholder("Name: glyphs-conv-2")).to_have_count(int(count != "0"))


def set_too_few(page: Page) -> None:
    set_epochs(page, "0")
    expect(page.locator(".field-problem").last).to_contain_text("This cannot be queued yet.")
    set_epochs(page)


def choose_a_kind(page: Page) -> None:
    page.locator("[class*=st-key-shown-] button").first.click()
    page.locator("[class*=st-key-offered-] button", has_text="Dense").first.click()
    expect(page.get_by_placeholder("Name: glyphs-dense-2")).to_be_visible()


def shut_more(page: Page) -> None:
    page.get_by_text("More", exact=True).click()
    expect(page.locator("[data-testid=stLayoutWrapper]:has(> .st-key-train-network)")).to_have_css("position", "static")
