"""The pages in a real browser: no error, nothing from elsewhere, nothing wider than a phone.

Every page is checked with axe, every control is used.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import example
import pytest
from example_pages import PAGES, hostile_snapshot
from peers import require
from web_site import Serve, Site

from driftwatch.charts.evidence_chart import timeline
from driftwatch.charts.svg import standalone_svg
from driftwatch.daemon.own_health.own_health import OwnHealth, StoreHealth
from driftwatch.daemon.own_health.troubles import Trouble
from driftwatch.store.records import StoreState

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.peer

TEXTS = {
    "index": (
        "inputs drifted: 3 of 8 columns, since 9 Feb",
        "could not look since 12 Feb: source unreachable",
    ),
    "daemon": ("Could not do lately", "The clock was set back by 60 s.", "2 windows owed"),
    "drifting": ("driftwatch ack CONFIG --monitor flight-delays", "What did not change"),
    "insufficient": ("not enough to tell", "The smallest change that could be seen is 19 %"),
    "ok": ("nothing moved in 3 of 3 columns",),
    "source_error": ("could not look", "answered 503", "last window that could be looked at"),
    "window": ("0.08 before, 0.11 after", "driftwatch explain CONFIG"),
    "missing": ("404 Not Found",),
    "windows": ("43 windows", "inputs drifted"),
    "owed": ("Owed since 2013-02-14", "window.patience"),
    "owed_windows": ("owed",),
    "late_rows": ("Late rows, part 1", "33 % of the window", "came late, too few to be judged yet"),
    "late_windows": ("late rows 1", "▼ page, late rows"),
    "column": ("Each statistic over time", "usually"),
    "compare": ("Compare two windows", "20,000 rows", "2,480 rows", "median"),
    "compare_nothing": ("Choose two windows",),
}
SIZES = [(1280, "light"), (360, "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield instance
        instance.close()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_pages_load_cleanly(browser: Browser, site: Site, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    messages: list[str] = []
    urls: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: urls.append(request.url))
    for name, path in PAGES.items():
        page.goto(site.root + path)
        body_text = page.inner_text("body")
        for text in TEXTS[name]:
            assert text in body_text
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.body).fontSize") == "16px"
    assert [text for text in messages if "404" not in text] == []
    assert all(url.startswith(site.root) or url.startswith("data:") for url in urls)
    context.close()


#: Draws an image on a canvas and counts its colours.
_PIXELS = """async source => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0);
  const data = brush.getImageData(0, 0, canvas.width, canvas.height).data, found = {};
  for (let at = 0; at < data.length; at += 4) {
    const colour = [...data.slice(at, at + 4)].join();
    found[colour] = (found[colour] || 0) + 1;
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drawing_on_its_own_is_in_colour_without_any_page(browser: Browser, scheme: str) -> None:
    states = ["ok"] * 20 + ["source_error"] * 5 + ["ok"] * 5 + ["drifting"] * 10
    trail = [
        (n, None if state == "source_error" else n / 40, state, n == 30) for n, state in enumerate(states)
    ]
    source = "data:image/svg+xml;base64," + b64encode(standalone_svg(timeline(trail, 0)).encode()).decode()
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    pixels = page.evaluate(_PIXELS, source)
    context.close()
    is_dark = scheme == "dark"
    area_colour, moved_colour, paper_colour = (
        ("42,51,59,255", "255,138,128,255", "20,23,26,255")
        if is_dark
        else ("223,230,236,255", "168,32,26,255", "251,251,249,255")
    )
    assert sum(pixels.values()) == 720 * 196
    assert pixels[paper_colour] > 50_000
    assert pixels[area_colour] > 5_000
    assert pixels[moved_colour] > 1_000


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_axe_finds_nothing(browser: Browser, site: Site, width: int, scheme: str) -> None:
    """WCAG 2.2 AA and axe's best practices, with everything that can be unfolded open."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    violations = {}
    for name, path in PAGES.items():
        page.goto(site.root + path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        results = Axe().run(page).response["violations"]
        violations[name] = [(item["id"], item["nodes"][0]["html"]) for item in results]
    assert {name: results for name, results in violations.items() if results} == {}
    context.close()


def test_axe_finds_nothing_where_there_are_buttons_and_rows(
    browser: Browser, serve: Serve, tmp_path: Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    token = tmp_path / "token"
    token.write_text("s3cret", encoding="utf-8")
    token.chmod(0o600)
    site = serve(auth={"token_file": str(token)})
    context = browser.new_context(
        viewport={"width": 360, "height": 800}, http_credentials={"username": "a", "password": "s3cret"}
    )
    page = context.new_page()
    for path in (PAGES["drifting"], PAGES["window"]):
        page.goto(site.root + path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        results = Axe().run(page).response["violations"]
        assert [(item["id"], item["nodes"][0]["html"]) for item in results] == [], path
    context.close()


def test_every_control_can_be_reached_and_seen_with_the_keyboard(browser: Browser, site: Site) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 700})
    for name, path in PAGES.items():
        page.goto(site.root + path)
        n_controls = page.evaluate(_FOCUSABLE)
        controls = []
        for _ in range(n_controls + 5):
            page.keyboard.press("Tab")
            control = page.evaluate(_FOCUSED)
            if control is None:
                break
            controls.append(control)
        assert len(controls) == n_controls, name
        assert all(item["seen"] for item in controls), (name, [item for item in controls if not item["seen"]])
    page.close()


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
    site = serve(
        example.ExampleDaemon(hostile_snapshot("<script>alert(1)</script><img src=x onerror=alert(1)>"))
    )
    page = browser.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for path in ("/", "/monitors/churn", "/monitors/churn/windows/2013-02-14T00:00:00Z"):
        page.goto(site.root + path)
        assert page.evaluate("document.querySelectorAll('script:not([src]), img, [onerror]').length") == 0
        assert "<script>alert(1)</script>" in page.inner_text("body")
    assert dialogs == []
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_what_the_daemon_cannot_do_is_no_wider_than_the_page(
    browser: Browser, serve: Serve, width: int
) -> None:
    words = "/a/folder/of/a/long/name" * 30
    health = OwnHealth(
        store=StoreHealth(state=StoreState.GONE, detail=words),
        troubles=(Trouble(subject="loop " + words, words=words, began_at=example.NOW),),
    )
    site = serve(example.ExampleDaemon(replace(example.snapshot(), own_health=health)))
    page = browser.new_page(viewport={"width": width, "height": 900})
    for path in ("/", "/daemon"):
        page.goto(site.root + path)
        assert words[:48] in page.inner_text("body")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.close()


def test_drawings_zoom_and_read_out_once_somebody_points_at_them(browser: Browser, site: Site) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    urls: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(site.root + "/monitors/flight-delays")
    page.wait_for_load_state("networkidle")
    assert not any("d3.js" in url for url in urls), "nothing is loaded before it is needed"
    drawing = page.locator("svg.timeline").first
    view_box = drawing.get_attribute("viewBox")
    drawing.scroll_into_view_if_needed()
    drawing.hover()
    page.wait_for_selector(".zoomed svg.timeline")
    box = drawing.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    page.wait_for_selector(".reading:not([hidden])")
    assert "evidence" in page.locator(".reading:not([hidden])").inner_text()
    page.mouse.wheel(0, -400)
    assert drawing.get_attribute("viewBox") == view_box, "a page scrolls until the drawing was chosen"
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        "whole => document.querySelector('svg.timeline').getAttribute('viewBox') !== whole", arg=view_box
    )
    left, _, width, _ = (float(part) for part in (drawing.get_attribute("viewBox") or "").split())
    assert width < 720
    assert left >= 0
    page.locator(".scroll[tabindex]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    assert float((drawing.get_attribute("viewBox") or "").split()[2]) < width
    page.keyboard.press("0")
    assert [float(part) for part in (drawing.get_attribute("viewBox") or "").split()] == pytest.approx(
        [float(part) for part in (view_box or "").split()]
    )
    assert messages == []
    page.close()


def test_what_has_the_focus_keeps_it_when_a_drawing_learns_to_zoom(browser: Browser, site: Site) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto(site.root + "/monitors/flight-delays")
    # Both at once: what makes drawings zoom comes after.
    page.evaluate("""() => {
      document.querySelector('.scroll[tabindex]').focus();
      document.querySelector('svg.timeline a').focus();
    }""")
    page.wait_for_selector(".zoomed svg.timeline")
    assert page.evaluate("document.activeElement === document.querySelector('svg.timeline a')")
    page.close()


def test_a_keyboard_alone_zooms(browser: Browser, site: Site) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto(site.root + "/monitors/flight-delays")
    page.locator(".scroll[tabindex]").first.focus()
    page.wait_for_selector(".zoomed svg.timeline")
    page.keyboard.press("+")
    assert float((page.locator("svg.timeline").get_attribute("viewBox") or "").split()[2]) < 720
    page.close()


_FOCUSABLE = """() => [...document.querySelectorAll(
  'a[href], button, input, select, summary, [tabindex="0"]')]
  .filter(each => each.type !== 'hidden' && (each.checkVisibility() || each.closest('svg'))).length"""
_FOCUSED = """() => {
  const here = document.activeElement;
  if (!here || here === document.body || here.dataset.reached) return null;
  here.dataset.reached = 'yes';
  const style = getComputedStyle(here), mark = here.closest('svg a') && here.querySelector('.page');
  const box = here.getBoundingClientRect();
  const ringed = style.outlineStyle !== 'none' || (mark && getComputedStyle(mark).stroke !== 'none');
  return {html: here.outerHTML.slice(0, 120), seen: Boolean(ringed) && box.width > 0 && box.left >= 0};
}"""
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


def _contrast(foreground: str, background: str) -> float:
    lighter, darker = sorted((_luminance(foreground), _luminance(background)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
