"""A wheel with a detector and a notifier, built and installed without network, works in other processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from daemon_world import driftwatch
from public_imports import private_imports

TESTS = Path(__file__).parents[1]
PROJECT = TESTS / "support" / "outside_plugins"


def run(*words: object) -> str:
    """Standard output of a Python process that must succeed."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def search_path(*sites: Path) -> str:
    return os.pathsep.join(map(str, [*sites, TESTS.parent, TESTS / "support"]))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    project = shutil.copytree(PROJECT, folder / "project")
    offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run("-m", "pip", "wheel", *offline, "-w", folder, project)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("site")
    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", folder, wheel)
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts see the plugins; this one does not."""
    monkeypatch.setenv("PYTHONPATH", search_path(site))


def daemon(folder: Path, first: int, last: int, *detectors: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        run(TESTS / "support" / "plugin_daemon.py", folder, first, last, *detectors)
    )
    return answer


@pytest.fixture(scope="module")
def shifted(site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A daemon's folder and answer after a shift that only the plugin sees."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", search_path(site))
        folder = tmp_path_factory.mktemp("shifted")
        return folder, daemon(folder, 0, 24, "mode_share", "ks")


def test_the_wheel_imports_only_what_stays_stable(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        codes = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")]
    assert sum("driftwatch" in code for code in codes) >= 2
    assert [item for code in codes for item in private_imports(code)] == []


def test_a_daemon_pages_and_notifies_through_the_plugins(shifted: tuple[Path, dict[str, Any]]) -> None:
    folder, answer = shifted
    (page,) = (item for item in answer["verdicts"] if item["page"])
    (named,) = page["named"]
    assert (named["column"], named["detector"]) == ("level", "mode_share")
    (line,) = map(json.loads, (folder / "lines").read_text().splitlines())
    assert line["incident"] == page["incident"]
    assert line["summary"] == "[critical] m: inputs drifted, level (1 of 2 columns)"
    assert any(fact.startswith(f"level: {named['effect']}") for fact in line["facts"])
    labels = 'column="level",detector="mode_share",monitor="m",segment=""'
    assert f"driftwatch_column_statistic{{{labels}}}" in answer["metrics"]
    for shown in ("monitor", "window", "column"):
        assert "mode_share" in answer[shown], shown


def test_a_backtest_pages_as_the_daemon_did(installed: None, shifted: tuple[Path, dict[str, Any]]) -> None:
    folder, answer = shifted
    done = driftwatch("backtest", folder / "driftwatch.yaml", "--format", "json", "--no-inject")
    (page,) = json.loads(done.stdout)["pages"]
    assert page["incident"] in {item["incident"] for item in answer["verdicts"]}
    assert [column["detector"] for column in page["columns"]] == ["mode_share"]


def test_the_plugins_are_known_by_name(installed: None, shifted: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = shifted
    config = folder / "driftwatch.yaml"
    assert driftwatch("check-config", config).returncode == 0
    text = config.read_text().replace("mode_share", "mode_shar").replace('"line_file"', '"linefile"')
    (folder / "wrong.yaml").write_text(text)
    done = driftwatch("check-config", folder / "wrong.yaml")
    assert done.returncode == 2
    assert 'unknown detector. Got "mode_shar". Did you mean "mode_share"?' in done.stderr
    assert 'unknown notifier. Got "linefile". Did you mean "line_file"?' in done.stderr
    files = [folder / "m" / f"{number:04}-0.parquet" for number in (1, 20)]
    compared = json.loads(driftwatch("compare", *files, "--time-column", "at", "--format", "json").stdout)
    level = next(item for item in compared["columns"] if item["column"] == "level")
    assert level["detectors"]["mode_share"]["p_value"] < 1e-6


@pytest.mark.parametrize("how", ["uninstalled", "broken"])
def test_a_detector_that_is_gone_stops_only_those_who_need_it(
    site: Path,
    shifted: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    left = shutil.copytree(site, tmp_path / "site")
    (left / "acme_drift" / "mode_share.py").write_text("import a_driver_of_last_year\n")
    monkeypatch.setenv("PYTHONPATH", search_path(*([left] if how == "broken" else [])))
    done = driftwatch("check-config", shifted[0] / "driftwatch.yaml")
    assert done.returncode == 2
    problem = {
        "uninstalled": 'unknown detector. Got "mode_share".',
        "broken": 'detector "mode_share" of acme-drift 1.0 cannot be used: expected to import',
    }
    assert problem[how] in done.stderr
    folder = shutil.copytree(shifted[0], tmp_path / "copy")
    answer = daemon(folder, 24, 26, "ks")
    assert len(answer["verdicts"]) == 26
    (named,) = next(item["named"] for item in shifted[1]["verdicts"] if item["page"])
    assert "mode_share" in answer["window"], "what it measured is still shown"
    assert named["effect"].split(" ")[0].replace('"', "&#34;") in answer["window"]


def test_the_contract_suites_find_the_plugins_unedited(installed: None, site: Path) -> None:
    options = ["-o", "addopts=--import-mode=importlib --doctest-modules", "-v", "-p", "no:cacheprovider"]
    names = ("test_detectors.py", "test_notifiers.py", "test_outside_plugins.py")
    files = [*(TESTS / "contracts" / name for name in names), site / "acme_drift"]
    selection = "mode_share or imports or (line_file and named)"
    output = run("-m", "pytest", *options, "-k", selection, "--rootdir", TESTS.parent, *files)
    assert "test_finds_a_declared_shift[mode_share] PASSED" in output
    assert "test_it_imports_only_what_stays_stable[detectors] PASSED" in output
    assert "test_it_is_named_as_its_file[line_file] PASSED" in output
    assert "acme_drift.mode_share.ModeShare PASSED" in output
    assert "SKIPPED" not in output


def test_the_contract_refuses_an_import_that_may_break(site: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(site, tmp_path / "site")
    code = "from driftwatch.detectors._support.effect_text import quote\n"
    (folder / "acme_drift" / "helper.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": search_path(folder)}
    options = ["-o", "addopts=--import-mode=importlib", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(TESTS / "contracts" / "test_outside_plugins.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 1
    assert code.strip() in done.stdout


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import driftwatch", None),
        ("from driftwatch import compare", None),
        ("from driftwatch.detectors import base", None),
        ("from driftwatch.detectors.base import ColumnPair, effect_text", None),
        ("from driftwatch.core.settings import Secret", None),
        ("import numpy.linalg", None),
        ("import driftwatch.decide", "import driftwatch.decide"),
        ("from driftwatch import decide", "from driftwatch import decide"),
        ("from driftwatch.detectors import tv", "from driftwatch.detectors import tv"),
        ("from driftwatch.detectors.tv import FLOOR", "from driftwatch.detectors.tv import FLOOR"),
        ("from driftwatch.detectors.base import plugins", "from driftwatch.detectors.base import plugins"),
        ("from driftwatch.core.settings import _UNITS", "from driftwatch.core.settings import _UNITS"),
        ("from driftwatch.errors import *", "from driftwatch.errors import *"),
        ("def f():\n    import driftwatch.store.database", "import driftwatch.store.database"),
    ],
)
def test_an_import_that_may_break_is_reported(code: str, problem: str | None) -> None:
    assert private_imports(code) == ([problem] if problem else [])
