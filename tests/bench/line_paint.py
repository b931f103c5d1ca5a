"""The pages in a browser on this machine: seconds until one shows something, and their bytes.

The demo's year is behind every page. Each load has a new cache, so it loads style sheet and script too.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness import Line, Options, Skipped

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MONITOR = "/monitors/flight-delays"
DAY = "2013-06-30T04:00:00Z"
PAGES = {
    "fleet": "/",
    "monitor": MONITOR,
    "windows": f"{MONITOR}/windows",
    "window": f"{MONITOR}/windows/{DAY}",
    "compare": f"{MONITOR}/compare?a=reference&b={DAY}",
    "column": f"{MONITOR}/column?name=dep_delay",
}
FLOOR = "/-/healthy"
#: Loads of each page for each run of ``--runs``.
LOADS = 4
_IS_PAINTED = "performance.getEntriesByName('first-contentful-paint').length > 0"
_PAINT_FIGURES = """() => {
  const [all] = performance.getEntriesByName('first-contentful-paint');
  const loaded = performance.getEntries().filter(item => 'decodedBodySize' in item);
  const [page] = performance.getEntriesByType('navigation');
  const bytes = loaded.reduce((sum, item) => sum + item.decodedBodySize, 0);
  return [all.startTime / 1000, page.responseEnd / 1000, bytes / 1000];
}"""


def paints(options: Options) -> Iterator[Line]:
    """First contentful paint in Chromium: under 300 ms, at most 300 kB before any interaction."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        raise Skipped("chromium is not on the path; install it, or name it in CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Skipped("playwright is not installed; it comes with the extra dev") from None
    largest = 0.0
    with _demo() as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        # Pages take turns, so that other load meets all of them alike.
        rounds = [
            {path: _load(browser, url + path) for path in (FLOOR, *PAGES.values())}
            for _ in range(LOADS * options.runs)
        ]
        floor = statistics.median(loads[FLOOR][0] for loads in rounds)
        for name, path in PAGES.items():
            paint_seconds, answer_seconds, sizes = zip(*(loads[path] for loads in rounds), strict=True)
            size = max(sizes)
            largest = max(largest, size)
            yield Line(
                name=f"paint.{name}",
                what=f"first contentful paint, median of {len(rounds)} loads",
                value=statistics.median(paint_seconds),
                unit="s wall",
                target=0.3,
                floor=floor,
                floor_is="a page of one word in the same browser",
                beside={
                    "slowest": max(paint_seconds),
                    "answered": statistics.median(answer_seconds),
                    "kB before any touch": size,
                },
            )
        browser.close()
    yield Line(
        name="paint.size",
        what="the largest of these pages with all it loads, unpacked",
        value=largest,
        unit="kB",
        target=300.0,
    )


def _load(browser: Browser, url: str) -> tuple[float, float, float]:
    """Seconds to the first paint and to the whole answer, and kB loaded until the network is idle."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    answer = page.goto(url, wait_until="networkidle")
    assert answer is not None
    assert answer.ok, url
    page.wait_for_function(_IS_PAINTED)
    paint_seconds, answer_seconds, kilobytes = page.evaluate(_PAINT_FIGURES)
    context.close()
    return float(paint_seconds), float(answer_seconds), float(kilobytes)


@contextmanager
def _demo() -> Iterator[str]:
    """Run the demo in a process of its own, and yield its URL when its year is replayed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "driftwatch", "demo", "--listen", "127.0.0.1:0", "--data", folder]
        demo = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert demo.stderr is not None
        try:
            lines = (re.search(r"Still running\. Open (http\S+?)/ ", line) for line in demo.stderr)
            match = next((line for line in lines if line), None)
            if match is None:
                raise SystemExit("the demo ended before it was ready")
            yield match[1]
        finally:
            demo.terminate()
            demo.wait(30)


LINES = {"paint": paints}
