"""What CONTRIBUTING.md shows and lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

from public_imports import private_imports

from driftwatch.core.plugins import PUBLIC_MODULES, ROOMS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
DETECTORS = "driftwatch/detectors/"


def links() -> list[str]:
    return [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]


def test_it_lists_the_modules_that_stay_stable() -> None:
    listed = re.findall(r"^\| `(driftwatch[\w.]*)` \|", TEXT, re.MULTILINE)
    assert sorted(listed) == list(PUBLIC_MODULES)


def test_it_shows_the_project_that_the_tests_build() -> None:
    project = (ROOT / "tests" / "support" / "outside_plugins" / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL) == [project]


def test_every_file_it_links_to_exists() -> None:
    assert [link for link in links() if not (ROOT / link).exists()] == []


def test_it_says_how_to_add_a_plugin_to_every_room() -> None:
    for room, described in ROOMS.items():
        (row,) = re.findall(rf"^\| {described.noun} \| `{room}/NAME\.py` with (.+?) \|", TEXT, re.MULTILINE)
        assert re.findall(r"`(\w+)`", row) == list(described.exports)
        assert f"driftwatch.{room}" in TEXT


def test_the_models_of_a_detector_can_be_copied_into_another_package() -> None:
    models = [link for link in links() if link.startswith(DETECTORS)]
    assert len(models) == 3
    for model in models:
        assert private_imports((ROOT / model).read_text(encoding="utf-8")) == []
