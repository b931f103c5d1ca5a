"""Results in a file of JSON lines, so that a stopped run can go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO


def read(path: Path) -> list[dict[str, Any]]:
    """Results in the file; a line cut short by a kill is left out, so that its work is repeated."""
    if not path.exists():
        return []
    results = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            results.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return results


def open_to_append(path: Path) -> TextIO:
    """Open the file to append to it; a line cut short by a kill is ended first."""
    cut = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    file = path.open("a", encoding="utf-8")
    if cut:
        file.write("\n")
    return file
