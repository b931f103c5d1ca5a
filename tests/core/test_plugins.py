"""Plugins of other packages: what is wrong with one is said where it is loaded and harms nothing else."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_packages import install

from driftwatch.config.load import check
from driftwatch.core import plugins
from driftwatch.daemon.status.column_order import effects_of
from driftwatch.detectors.base import DetectorTraits, all_detectors, default_detectors, get, traits_of
from driftwatch.errors import ConfigError
from driftwatch.monitor.column_labels import column_label, comparable_size
from driftwatch.results.results import Statistic

BUILT_IN = plugins.names("detectors")
DETECTOR = """
from driftwatch.detectors.base import JointDetector, WindowContext
from driftwatch.results.results import Statistic

class Crowd(JointDetector):
    name = "crowd"
    unit = "rows"
    label = "how crowded"
    comparable = True
    display_rank = 1

    def measure(self, window: WindowContext) -> Statistic:
        return self.gauge((window.reference.summary.rows, window.window.rows), 1.0)

DETECTOR = Crowd()
"""
NOTIFIER = """
from typing import Literal
from driftwatch.notify.base import NotifierConfig

class CONFIG(NotifierConfig):
    type: Literal["pager"] = "pager"

def open_notifier(config): ...
"""
#: Code of a module with a detector ``crowd``, and what is said about it.
BROKEN = {
    "an import fails": ("import not_installed_here", "Got ModuleNotFoundError: No module named 'not_"),
    "a syntax error": ("DETECTOR = (", "Got SyntaxError: '(' was never closed"),
    "it raises": ("raise RuntimeError('no licence.')", "to import acme. Got RuntimeError: no licence."),
    "no measure": (DETECTOR.replace("def measure", "def meassure"), "Got TypeError: Can't instantiate"),
    "nothing in it": ("", "expected acme to define DETECTOR. It does not."),
    "the class": (DETECTOR.replace("Crowd()", "Crowd"), "a ColumnDetector or JointDetector. Got ABCMeta."),
    "another name": (DETECTOR.replace('"crowd"', '"crowds"'), 'DETECTOR.name to be "crowd". Got "crowds".'),
}  # fmt: skip
Install = Callable[..., None]


def forget() -> None:
    for function in (plugins.names, plugins.outside_names):
        function.cache_clear()
    for name in ("_outside", "_load_outside"):
        getattr(plugins, name).cache_clear()
    for module in ("acme", "other"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs packages that this process sees until the test ends."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget()
    yield partial(install, folder)
    forget()


def monitor_with(folder: Path, detectors: list[str] | None, **changes: Any) -> Path:
    source = {"type": "files", "path": "x.csv", "time_column": "when"}
    monitor = {
        "name": "m",
        "reference": {"path": "r.csv"},
        "source": source,
        "detectors": detectors,
        **changes,
    }
    path = folder / "c.yaml"
    path.write_text(json.dumps({"version": 1, "monitors": [monitor]}, indent=1))
    return path


def test_a_detector_of_another_package_is_one_like_all_others(site: Install, tmp_path: Path) -> None:
    site("acme", {"detectors": {"crowd": "acme"}}, {"acme": DETECTOR})
    assert plugins.names("detectors") == tuple(sorted((*BUILT_IN, "crowd")))
    assert plugins.outside_names("detectors") == ("crowd",)
    assert get("crowd") in default_detectors()
    assert check(monitor_with(tmp_path, ["crowd", "ks"])) == check(monitor_with(tmp_path, None)) == []
    assert column_label("joint:crowd") == "how crowded"
    statistics = [
        Statistic(detector=name, column="x", value=0.5, unit="", effect=name) for name in ("missing", "crowd")
    ]
    assert effects_of(statistics) == ["crowd", "missing"]
    assert comparable_size(statistics[1]) == 0.5


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_detector_is_named_where_it_is_used_and_nowhere_else(
    site: Install, tmp_path: Path, case: str
) -> None:
    code, problem = BROKEN[case]
    site("acme-drift", {"detectors": {"crowd": "acme"}}, {"acme": code})
    with pytest.raises(ConfigError) as raised:
        get("crowd")
    text = str(raised.value)
    assert text.startswith('detector "crowd" of acme-drift 1.0 cannot be used: expected ')
    assert problem in text
    assert text.endswith(" Repair or uninstall acme-drift 1.0.")

    path = monitor_with(tmp_path, ["ks", "crowd"])
    (line,) = check(path)
    assert re.fullmatch(r"\S+c\.yaml:\d+: monitors\.m\.detectors\[1\]: " + re.escape(text), line)
    assert check(monitor_with(tmp_path, ["ks", "tv"])) == []
    (line,) = check(monitor_with(tmp_path, None))
    assert "monitors.m.detectors: must name the detectors to run, because all cannot: " + text in line

    assert [item.name for item in all_detectors()] == list(BUILT_IN)
    with pytest.raises(ConfigError, match="acme-drift"):
        default_detectors()
    assert traits_of("crowd").display_rank == DetectorTraits.display_rank
    assert column_label("joint:crowd") == "all columns together (crowd)"


def test_a_failed_import_is_not_repeated(site: Install, tmp_path: Path) -> None:
    counter = str(tmp_path / "imports")
    code = f"with open({counter!r}, 'a') as file:\n    file.write('x')\nraise OSError(5, 'no disk')"
    site("acme", {"detectors": {"crowd": "acme"}}, {"acme": code})
    for _ in range(3):
        with pytest.raises(ConfigError, match="no disk"):
            get("crowd")
    assert (tmp_path / "imports").read_text() == "x"


def test_a_name_that_two_plugins_have_belongs_to_neither(site: Install, tmp_path: Path) -> None:
    site("acme", {"detectors": {"ks": "acme", "crowd": "acme"}}, {"acme": DETECTOR})
    site("other", {"detectors": {"crowd": "other"}}, {"other": DETECTOR})
    with pytest.raises(
        ConfigError, match=r'"ks" of acme 1\.0 cannot be used: driftwatch has a plugin of this'
    ):
        get("ks")
    with pytest.raises(
        ConfigError, match=r'"crowd" of \w+ 1\.0 and \w+ 1\.0 cannot be used: expected one pack'
    ):
        get("crowd")
    assert len(check(monitor_with(tmp_path, ["ks", "crowd", "tv"]))) == 2
    assert check(monitor_with(tmp_path, ["tv"])) == []
    assert [item.name for item in all_detectors()] == [name for name in BUILT_IN if name != "ks"]


@pytest.mark.parametrize("name", ["Crowd", "crowd-2", "2crowds", "_crowd", "crowd.size"])
def test_a_name_that_is_no_metric_label_or_key_is_refused(site: Install, name: str) -> None:
    site("acme", {"detectors": {name: "acme"}}, {"acme": DETECTOR})
    with pytest.raises(ConfigError, match="expected a name of lower-case letters, digits and underscores"):
        get(name)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (NOTIFIER, None),
        (NOTIFIER.replace("def open_notifier", "def opened"), "expected acme to define open_notifier."),
        ("", "expected acme to define CONFIG and open_notifier."),
        (
            NOTIFIER.replace('"pager"', '"pagers"'),
            'a subclass of NotifierConfig with type: Literal["pager"].',
        ),
        (
            NOTIFIER.replace("(NotifierConfig)", ""),
            'a subclass of NotifierConfig with type: Literal["pager"].',
        ),
        ("import not_installed_here", "expected to import acme. Got ModuleNotFoundError: No module named"),
    ],
)
def test_settings_of_another_package_are_checked_like_all_others(
    site: Install, tmp_path: Path, code: str, problem: str | None
) -> None:
    site("acme", {"notify": {"pager": "acme"}}, {"acme": code})
    path = monitor_with(tmp_path, ["ks"])
    path.write_text(json.dumps({**json.loads(path.read_text()), "notify": [{"type": "pager"}]}))
    lines = check(path)
    assert len(lines) == (problem is not None)
    for line in lines:
        assert 'notify[0].type: notifier "pager" of acme 1.0 cannot be used: expected ' in line
        assert str(problem) in line


def test_an_unknown_name_is_called_by_its_kind() -> None:
    with pytest.raises(ConfigError, match=r'unknown notifier\. Got "slac"\. Did you mean "slack"\?'):
        plugins.load("notify", "slac")


def test_every_public_module_is_there() -> None:
    for name in plugins.PUBLIC_MODULES:
        importlib.import_module(name)
        assert not any(part.startswith("_") for part in name.split("."))


@pytest.mark.parametrize("room", plugins.ROOMS)
def test_the_interface_of_every_room_is_public(room: str) -> None:
    if (Path(plugins.__file__).parents[1] / room / "base.py").exists():
        assert f"driftwatch.{room}.base" in plugins.PUBLIC_MODULES
