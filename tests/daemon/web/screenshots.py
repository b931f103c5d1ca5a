"""The pages as pictures: runs the demo, opens it in Chromium, saves light, dark and phone width.

The demo ends with broken columns; the pages of a storm and of a comparison are of days in summer and autumn.

`make screenshots`. Needs Debian's chromium, or another one named by CHROMIUM.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

TARGET = Path(__file__).parents[3] / "deploy" / "screenshots"
MONITOR = "/monitors/flight-delays"
#: Name, page, width, colours, and the part of the page that is at the top of the picture.
SHOTS = (
    ("fleet-light", "/", 1280, "light", ""),
    ("monitor-light", MONITOR, 1280, "light", ""),
    ("monitor-dark", MONITOR, 1280, "dark", ""),
    ("monitor-phone", MONITOR, 390, "dark", ""),
    ("columns-light", MONITOR, 1280, "light", "#columns"),
    ("window-dark", f"{MONITOR}/windows/2013-06-30T04:00:00Z", 1280, "dark", ""),
    ("compare-light", f"{MONITOR}/compare?a=reference&b=2013-06-30T04:00:00Z", 1280, "light", ""),
    ("column-phone", f"{MONITOR}/column?name=dep_delay", 390, "light", ""),
)


def main() -> int:
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        sys.stderr.write("chromium: expected on the path. Install it, or name it in CHROMIUM.\n")
        return 2
    command = [sys.executable, "-m", "driftwatch", "demo", "--listen", "127.0.0.1:0"]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        url = wait_for_url(demo)
        TARGET.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as play:
            chromium = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            for name, path, width, scheme, top in SHOTS:
                page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.goto(f"{url}{path}{top}")
                page.screenshot(path=TARGET / f"{name}.png")
                page.close()
            chromium.close()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(30)
    return 0


def wait_for_url(demo: subprocess.Popen[str]) -> str:
    assert demo.stderr is not None
    for line in demo.stderr:
        match = re.search(r"Still running\. Open (http\S+?)/ ", line)
        if match:
            return match[1]
    raise SystemExit("the demo ended before it was ready")


if __name__ == "__main__":
    raise SystemExit(main())
