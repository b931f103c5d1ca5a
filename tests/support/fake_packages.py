"""Installed packages with plugins, written by hand: metadata with entry points, and modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    site: Path, package: str, entry_points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]
) -> None:
    """Install version 1.0 of a package: entry points by room, code by module."""
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = []
    for room, points in entry_points.items():
        lines += [f"[driftwatch.{room}]", *(f"{name} = {target}" for name, target in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module, code in modules.items():
        (site / f"{module}.py").write_text(code)
