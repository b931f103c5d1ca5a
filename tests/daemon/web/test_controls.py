"""Every control of the pages, used in a real browser without any script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import example
import pytest
from example_pages import wide_view
from peers import require
from web_site import Serve, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield instance
        instance.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose scripts are off: everything works without."""
    context = browser.new_context(java_script_enabled=False)
    script_free_page = context.new_page()
    yield script_free_page
    context.close()


def names(page: Page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()


def test_the_fleet_is_searched_filtered_and_turned_over(serve: Serve, page: Page) -> None:
    calm, drifting = example.calm(), example.drifting()
    views = [replace(calm, name=f"model-{n:03}", model_name=f"team {n % 3}") for n in range(119)]
    site = serve(example.ExampleDaemon(example.snapshot(drifting, *views)))
    page.goto(site.root)
    assert page.inner_text("h1") == "120 monitors"
    assert names(page, ".monitor h2")[:2] == ["flight-delays", "model-000"]
    assert "1 to 40 of 120" in page.inner_text(".pager")
    page.click("text=after →")
    assert names(page, ".monitor h2")[0] == "model-039"
    page.fill("#q", "MODEL-11")
    page.click("button")
    assert names(page, ".monitor h2") == [f"model-{n}" for n in range(110, 119)]
    page.click("text=Show all")
    page.click("text=1 moved")
    assert names(page, ".monitor h2") == ["flight-delays"]
    assert page.get_attribute(".tally .here", "aria-current") == "true"
    page.click(".monitor h2 a")
    assert page.inner_text("h1").startswith("flight-delays")


def test_columns_are_searched_and_turned_over(serve: Serve, page: Page) -> None:
    site = serve(example.ExampleDaemon(example.snapshot(wide_view(90))))
    page.goto(f"{site.root}/monitors/churn")
    page.click("text=after →")
    assert "19 to 36 of 90 columns" in page.inner_text("#columns")
    page.fill("#q", "column 42")
    page.click("#columns button")
    assert [name.split(" numeric")[0] for name in names(page, ".card h3")] == ["column 42"]
    page.click(".card h3 a")
    assert page.inner_text("h1") == "column 42"


def test_windows_lead_to_their_working_and_to_each_other(site: Site, page: Page) -> None:
    page.goto(f"{site.root}/monitors/flight-delays")
    page.click(".timeline a")
    assert page.inner_text(".headline") == "inputs drifted: the evidence reached a page, and a page was sent"
    page.click("text=← 2013-02-10")
    page.click("text=2013-02-11 00:00 UTC →")
    page.click('summary:has-text("settings")')
    assert '"length": "1d"' in page.inner_text("pre")
    page.click(".crumb a")
    page.click("text=Every window")
    page.fill("#before", "2013-01-10")
    page.click("button")
    assert names(page, "tbody td:first-child")[0] == "2013-01-09 00:00 UTC"
    page.fill("#before", "sometime")
    page.click("button")
    assert "400 Bad Request" in page.inner_text("h1")


def test_years_of_windows_are_turned_over(serve: Serve, page: Page) -> None:
    view = example.calm()
    trail = tuple((example.END - n * example.DAY, 0.1, "ok", False) for n in reversed(range(250)))
    segment = replace(view.segments[0], trail=trail)
    site = serve(example.ExampleDaemon(example.snapshot(replace(view, segments=(segment,)))))
    page.goto(f"{site.root}/monitors/churn/windows")
    ends = names(page, "tbody td:first-child")
    for _ in range(2):
        page.click("text=older → >> nth=0")
        ends += names(page, "tbody td:first-child")
    assert len(ends) == len(set(ends)) == 250
    assert page.locator("text=older →").count() == 0
    page.click("text=← newer >> nth=0")
    assert names(page, "tbody td:first-child") == ends[100:200]
    page.click("text=← newer >> nth=0")
    assert names(page, "tbody td:first-child") == ends[:100]


def test_two_windows_are_chosen_and_compared(site: Site, page: Page) -> None:
    page.goto(f"{site.root}/monitors/flight-delays/compare")
    page.select_option("#a", "reference")
    page.select_option("#b", "2013-02-14T00:00:00Z")
    page.click("button")
    assert [name.split()[0] for name in names(page, ".card h3")][:2] == ["visib", "dep_delay"]
    page.select_option("#a", "2013-01-20T00:00:00Z")
    page.click("form button")
    assert "past retention.tiles" in page.inner_text(".banner")


def test_an_incident_is_muted_from_the_page(browser: Browser, serve: Serve, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret", encoding="utf-8")
    token.chmod(0o600)
    site = serve(auth={"token_file": str(token)})
    context = browser.new_context(
        java_script_enabled=False, http_credentials={"username": "anna", "password": "s3cret"}
    )
    page = context.new_page()
    page.goto(f"{site.root}/monitors/flight-delays")
    assert page.locator("text=driftwatch ack CONFIG").count() == 0
    page.fill("input[name=note]", "the storm <b>of</b> Friday")
    page.select_option("select[name=for]", "1d")
    page.click('button:has-text("Mute")')
    assert "You asked: muted, flight-delays-drift-4f2a" in page.inner_text("[role=status]")
    (row,) = names(page, 'section:has(h2:text("What people said")) tbody tr')
    assert "anna (page)\tmuted until 2013-02-15 06:05 UTC" in row
    assert "the storm <b>of</b> Friday" in row
    (acknowledgement,) = site.daemon.past.browsing.acknowledgements("flight-delays")
    assert (acknowledgement.verdict, acknowledgement.until) == ("muted", example.NOW + example.DAY)
    context.close()
