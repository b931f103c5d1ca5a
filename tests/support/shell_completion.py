"""Completions of a shell, by the real process."""

from __future__ import annotations

import os
import subprocess
import sys


def completions(line: str) -> set[str]:
    """Completions that bash gets at the end of a line."""
    words = line.split(" ")
    environment = os.environ | {
        "_DRIFTWATCH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)
    }  # fmt: skip
    process = subprocess.run(
        [sys.executable, "-m", "driftwatch"], env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert not process.stderr
    return {item.partition(",")[2] for item in process.stdout.split()}
