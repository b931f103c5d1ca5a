"""The pages in a real browser: no error, no script, nothing from elsewhere, nothing wider than a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import example
import pytest
from peers import require
from test_pages import PAGES, hostile
from web_site import Serve, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.peer

TEXTS = {
    "index": (
        "inputs drifted: 3 of 6 columns, since 9 Feb",
        "could not look: source unreachable since 13 Feb",
    ),
    "drifting": ("driftwatch ack CONFIG --monitor flight-delays", "What did not change"),
    "insufficient": ("too few rows to tell", "The smallest change that could be seen is 19 %"),
    "ok": ("nothing moved in 3 columns",),
    "source_error": ("could not look", "answered 503", "last window that could be looked at"),
    "window": ("0.08 before, 0.11 after", "driftwatch explain CONFIG"),
    "missing": ("404 Not Found",),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_pages_load_cleanly(browser: Browser, site: Site, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for name, path in PAGES.items():
        page.goto(site.root + path)
        seen = page.inner_text("body")
        for text in TEXTS[name]:
            assert text in seen
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.body).fontSize") == "16px"
    assert [text for text in said if "404" not in text] == []
    assert all(url.startswith(site.root) or url.startswith("data:") for url in asked)
    context.close()


def test_colours_of_text_can_be_read(browser: Browser, site: Site) -> None:
    """Contrast of every badge and banner against its ground is at least 4.5 to 1 (WCAG AA)."""
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(site.root + "/")
        for pair in page.evaluate(_COLOURS):
            assert _contrast(*pair) >= 4.5, (scheme, pair)
        context.close()


def test_nothing_hostile_runs(browser: Browser, serve: Serve) -> None:
    site = serve(example.ExampleState(hostile("<script>alert(1)</script><img src=x onerror=alert(1)>")))
    page = browser.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for path in ("/", "/monitors/churn", "/monitors/churn/windows/2013-02-14T00:00:00Z"):
        page.goto(site.root + path)
        assert page.evaluate("document.querySelectorAll('script, img, [onerror]').length") == 0
        assert "<script>alert(1)</script>" in page.inner_text("body")
    assert dialogs == []
    page.close()


_COLOURS = """() => [...document.querySelectorAll('.badge')].map(badge => {
  const style = getComputedStyle(badge);
  return [style.color, style.backgroundColor];
})"""


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(front: str, ground: str) -> float:
    light, dark = sorted((_luminance(front), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
