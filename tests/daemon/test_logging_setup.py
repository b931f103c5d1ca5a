"""Log lines carry UTC times that say so, whatever the machine's zone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

SCRIPT = """
import logging, sys
from driftwatch.daemon.logging_setup import configure
configure(sys.argv[1], "info")
logging.getLogger("driftwatch.x").info("hello", extra={"monitor": "m"})
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_times_are_utc_and_end_in_z(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form],
        capture_output=True, text=True, check=True, env={**os.environ, "TZ": "Asia/Tokyo"},
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    stamp = json.loads(line)["time"] if form == "json" else line.split()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)
    assert abs((datetime.fromisoformat(stamp) - datetime.now(UTC)).total_seconds()) < 120
