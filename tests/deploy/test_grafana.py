"""The dashboards: built again, linted, checked against Grafana's own types. No Grafana has drawn them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from peers import require

from driftwatch.daemon.metrics.families import FAMILIES

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").iterdir())}
PANELS = [
    pytest.param(uid, panel, id=f"{uid} {panel['title']}")
    for uid, whole in DASHBOARDS.items()
    for panel in whole["panels"]
    if panel["type"] != "row"
]


def test_the_committed_dashboards_are_what_the_code_builds(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(FOLDER / "build.py"), str(tmp_path)], check=True, timeout=60)
    built = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_text() for path in (FOLDER / "dashboards").iterdir()}


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_nothing_is_lost_between_the_json_and_the_schema(uid: str) -> None:
    """A key that the schema does not know would be dropped on the way."""
    encoded = json.dumps(Dashboard.from_json(DASHBOARDS[uid]), cls=JSONEncoder)
    assert json.loads(encoded) == DASHBOARDS[uid]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_a_dashboard_stands_on_its_own(uid: str) -> None:
    whole = DASHBOARDS[uid]
    assert whole["uid"] == uid
    assert whole.get("id") is None
    variables = {item["name"]: item for item in whole["templating"]["list"]}
    assert [item["name"] for item in variables.values() if item["type"] == "datasource"] == ["datasource"]
    expected = {"datasource", "instance", "monitor"}
    assert set(variables) == (expected | {"segment", "column"} if "monitor" in uid else expected)
    for item in variables.values():
        if item["type"] == "query":
            assert item["refresh"] == 2, "follows the time range"
            assert item["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in whole["panels"]}) == len(whole["panels"])
    places = [
        (x, y)
        for place in (panel["gridPos"] for panel in whole["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(places)) == len(places), "two panels in one place"
    assert max(x for x, _ in places) == 23
    marks = {mark["name"]: mark for mark in whole["annotations"]["list"]}
    assert {"Page", "Reference"} <= set(marks)
    assert all(mark["datasource"]["uid"] == "${datasource}" for mark in marks.values())
    assert marks["Reference"]["useValueForTime"]


@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_a_panel_says_what_it_shows(uid: str, panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    variables = {variable["name"] for variable in DASHBOARDS[uid]["templating"]["list"]}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"} <= variables
        for function in re.findall(r"(rate|increase)\(\S+?\[([^\]]+)\]", target["expr"]):
            assert function[1] == "$__rate_interval"


def test_queries_name_only_metrics_and_labels_that_are_exported() -> None:
    labels = {family.name: set(family.labels) for family in FAMILIES}
    for uid, whole in DASHBOARDS.items():
        for expression in expressions(whole):
            for name, selector in re.findall(r"\b(driftwatch_\w+)\{([^}]*)\}", expression):
                assert name in labels, (uid, name)
                assert set(re.findall(r"(\w+)=", selector)) <= labels[name] | {"instance", "job"}, expression
            for legend in re.findall(r"by \(([^)]*)\)", expression):
                assert set(re.split(r", *", legend)) <= {"instance"}.union(*labels.values())


def expressions(whole: dict[str, Any]) -> Iterator[str]:
    for panel in whole["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (mark["expr"] for mark in whole["annotations"]["list"])


def test_provisioning_fits_the_dashboards() -> None:
    (provider,) = yaml.safe_load((FOLDER / "provisioning/dashboards/driftwatch.yaml").read_text())[
        "providers"
    ]
    assert provider["type"] == "file"
    assert Path(provider["options"]["path"]).is_absolute()
    whole = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yaml").read_text())
    (source,) = whole["datasources"]
    assert (whole["apiVersion"], source["type"], source["access"]) == (1, "prometheus", "proxy")
    config = yaml.safe_load((FOLDER.parent / "prometheus" / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]


GRAFANA_TYPES = ("@grafana/schema@13.2.3", "typescript@7.0.2")
_KINDS = {
    "stat": ("stat", "StatPanelCfg"),
    "timeseries": ("timeseries", "TimeSeriesPanelCfg"),
    "state-timeline": ("statetimeline", "StateTimelinePanelCfg"),
    "status-history": ("statushistory", "StatusHistoryPanelCfg"),
    "table": ("table", "TablePanelCfg"),
}


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grafana's published types, installed from npm."""
    npm = require("npm")
    folder = tmp_path_factory.mktemp("types")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *GRAFANA_TYPES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"npm cannot install {GRAFANA_TYPES}: {done.stderr[-300:]}"
        )
    return folder


def typed(whole: dict[str, Any]) -> str:
    """The dashboard as TypeScript: every panel, its options and its field options under Grafana's types."""
    lines = ['import type { Panel, Dashboard } from "@grafana/schema";']
    for kind, (folder, file) in sorted(_KINDS.items()):
        name = kind.replace("-", "_")
        path = f"@grafana/schema/dist/esm/raw/composable/{folder}/panelcfg/x/{file}_types.gen"
        lines.append(f'import type * as {name} from "{path}";')
    for number, panel in enumerate(panel for panel in whole["panels"] if panel["type"] != "row"):
        name = panel["type"].replace("-", "_")
        rest = {key: value for key, value in panel.items() if key != "options"}
        custom = panel["fieldConfig"]["defaults"].get("custom")
        lines.append(f"export const p{number}: Partial<Panel> = {literal(rest)};")
        lines.append(f"export const o{number}: Partial<{name}.Options> = {literal(panel['options'])};")
        if custom is not None:
            lines.append(f"export const c{number}: Partial<{name}.FieldConfig> = {literal(custom)};")
    rest = {key: value for key, value in whole.items() if key not in ("panels", "templating", "annotations")}
    for mark in whole["annotations"]["list"]:
        # Prometheus' own keys: @grafana/prometheus 13.1 reads them from here (prepareAnnotation).
        prometheus_keys = ("expr", "step", "titleFormat", "textFormat", "tagKeys", "useValueForTime")
        assert all(key in mark for key in prometheus_keys)
        rest.setdefault("annotations", {"list": []})["list"].append(
            {key: value for key, value in mark.items() if key not in prometheus_keys}
        )
    lines.append(f"export const whole: Partial<Dashboard> = {literal(rest)};")
    return "\n".join(lines)


def literal(value: Any) -> str:
    """JSON as TypeScript. Strings may be members of enums, which plain strings are not assignable to."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return f"{json.dumps(value)} as never" if isinstance(value, str) else json.dumps(value)


def compiled(types: Path, text: str) -> str:
    (types / "dashboard.ts").write_text(text)
    command = [shutil.which("node") or "node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict"]
    command += ["--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "dashboard.ts"]
    done = subprocess.run(command, cwd=types, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


@pytest.mark.peer
@pytest.mark.parametrize("uid", DASHBOARDS)
def test_grafanas_own_types_accept_the_dashboard_and_would_refuse_a_wrong_key(uid: str, types: Path) -> None:
    text = typed(DASHBOARDS[uid])
    assert compiled(types, text) == ""
    wrong = json.loads(json.dumps(DASHBOARDS[uid]))
    panel = next(item for item in wrong["panels"] if item["type"] == "timeseries")
    panel["planted"] = panel["options"]["planted_option"] = 1
    panel["fieldConfig"]["defaults"]["custom"]["planted_field"] = 1
    errors = compiled(types, typed(wrong))
    assert all(
        f"'\"{name}\"' does not exist" in errors for name in ("planted", "planted_option", "planted_field")
    )
