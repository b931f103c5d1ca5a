"""Plugins of the tests, installed by entry points as a package is, for this process and its children."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from driftwatch.core import plugins

SUPPORT = Path(__file__).parent


@contextmanager
def installed_plugins(groups: Mapping[str, Mapping[str, str]], *, modules: Path = SUPPORT) -> Iterator[None]:
    """Register modules, by entry point group and plugin name, until the end of the block.

    ``modules`` is the folder that holds them. Child processes inherit both folders by ``PYTHONPATH``.
    """
    with tempfile.TemporaryDirectory(prefix="plugins-") as folder:
        package = Path(folder) / "driftwatch_test_plugins-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: driftwatch-test-plugins\nVersion: 1.0\n", encoding="utf-8"
        )
        sections = [
            f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in names.items())
            for group, names in groups.items()
        ]
        (package / "entry_points.txt").write_text("\n".join(sections), encoding="utf-8")
        old_path, old_variable = list(sys.path), os.environ.get("PYTHONPATH")
        folders = [folder, str(modules)]
        sys.path[:0] = folders
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*folders, old_variable]))
        _forget_names()
        try:
            yield
        finally:
            sys.path[:] = old_path
            if old_variable is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = old_variable
            _forget_names()


def _forget_names() -> None:
    for cached in (
        plugins.names,
        plugins.outside_names,
        plugins.built_in_names,
        plugins._outside,
        plugins._load_outside,
    ):
        cached.cache_clear()
    importlib.invalidate_caches()
