"""What a shell is offered, by the real process."""

from __future__ import annotations

import os
import subprocess
import sys


def offered(line: str) -> set[str]:
    """What bash would be offered at the end of a line, by the real process."""
    words = line.split(" ")
    environment = os.environ | {
        "_DRIFTWATCH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "driftwatch"], env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert not done.stderr
    return {item.partition(",")[2] for item in done.stdout.split()}
