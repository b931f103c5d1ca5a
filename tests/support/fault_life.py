"""A daemon in a process of its own that a test can starve, stop and end, and that says what became of it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

_SUPPORT = Path(__file__).parent
#: The beginning of a life: ``world`` is its world, ``say`` prints an answer as JSON.
_BEGINNING = """
import json, os, resource, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from daemon_world import World, fetch
import fault_life
world = World(Path(sys.argv[1]), settings=json.loads(sys.argv[3]))
"""


def live(folder: Path, script: str, *, seconds: float = 90.0, **settings: Any) -> dict[str, Any]:
    """Run a script with a ``world`` of ``folder``, and return the JSON object that it prints."""
    command = [sys.executable, "-c", _BEGINNING + script, str(folder), str(_SUPPORT), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def allow_files(number: int | None) -> None:
    """Let this process open no more than ``number`` files; None: as many as the system lets it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if number is None else number, hard))


def readers() -> list[int]:
    """Process ids of this process's children that read sources."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    # Children of every thread: the one that starts readers is none of the test's.
    tasks = [path / "children" for path in Path("/proc/self/task").iterdir()]
    pids = {int(pid) for path in (children, *tasks) if path.exists() for pid in path.read_text().split()}
    return [pid for pid in pids if "engines.local.child" in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
