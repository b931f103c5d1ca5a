"""Results in a file of JSON lines: what a stopped run has written is there when it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO


def read(path: Path) -> list[dict[str, Any]]:
    """What is in the file; a line cut short by a kill is left out and done again."""
    if not path.exists():
        return []
    results = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            results.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return results


def opened(path: Path) -> TextIO:
    """The file to append to; a line cut short by a kill is ended first."""
    cut = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    out = path.open("a", encoding="utf-8")
    if cut:
        out.write("\n")
    return out
