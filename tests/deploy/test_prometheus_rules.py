"""The shipped rules and examples: checked by promtool and amtool, and run by a real Prometheus."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers import Receiver, alertmanager, get_json, prometheus, require, until

from driftwatch.daemon.families import FAMILIES
from driftwatch.notify._text import ALERT_NAMES

HERE = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = yaml.safe_load((HERE / "driftwatch.rules.yml").read_text())
TESTS = sorted((HERE / "tests").glob("*.test.yml"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.peer
def test_promtool_accepts_the_rules_and_the_example() -> None:
    assert f"{len(ALERTS)} rules found" in run(require("promtool"), "check", "rules", "driftwatch.rules.yml")
    run(require("promtool"), "check", "config", "prometheus.yml")


@pytest.mark.peer
def test_rules_fire_when_they_must_and_only_then() -> None:
    run(require("promtool"), "test", "rules", *(str(path) for path in TESTS))


def test_every_rule_is_tested_both_ways() -> None:
    cases = [case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]
    checks = [check for case in cases for check in case["alert_rule_test"]]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    rests = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert fires == set(ALERTS)
    assert rests == set(ALERTS) - {"DriftwatchHeartbeat"}


def test_every_alert_explains_itself_and_has_a_runbook() -> None:
    sections = re.findall(r"^## (\w+)$", (HERE / "runbooks.md").read_text(), re.MULTILINE)
    assert sections == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"].endswith(f"#{name.lower()}")


def test_rules_name_only_metrics_and_labels_that_are_exported() -> None:
    known = {family.name: set(family.labels) for family in FAMILIES}
    text = (HERE / "driftwatch.rules.yml").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith(("#", "runbook")))
    found = re.findall(r"\b(driftwatch_\w+)(?:\{([^}]*)\})?", text)
    assert len({name for name, _ in found}) > 10
    for name, selector in found:
        assert name in known, name
        labels = set(re.findall(r"(\w+)=", selector)) - {"instance", "job"}
        assert labels <= known[name], (name, labels)


def test_alerts_pushed_and_alerts_from_rules_bear_the_same_names() -> None:
    assert {"DriftwatchDrift", "DriftwatchBroken"} <= set(ALERT_NAMES.values()) & set(ALERTS)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=DriftwatchDrift", "severity=critical"], "pager"),
        (["alertname=DriftwatchDown", "severity=critical"], "pager"),
        (["alertname=DriftwatchCheckStale", "severity=warning"], "tickets"),
        (["alertname=DriftwatchSeriesLimit", "severity=info"], "digest"),
        (["alertname=DriftwatchHeartbeat", "severity=none"], "dead-mans-switch"),
    ],
)
def test_the_example_routes_every_kind_of_alert(labels: list[str], receiver: str) -> None:
    amtool = require("amtool")
    run(amtool, "check-config", "alertmanager.yml")
    assert run(amtool, "config", "routes", "test", "--config.file=alertmanager.yml", *labels).split() == [
        receiver
    ]


def exposition(*, drift: int) -> str:
    now = time.time()
    label = '{monitor="credit",kind="drift"}'
    return "\n".join([
        f"driftwatch_incident_open{label} {drift}",
        'driftwatch_column_statistic{monitor="credit",column="age",detector="ks"} 0.38',
        f'driftwatch_check_last_success_timestamp_seconds{{monitor="credit"}} {now}',
        'driftwatch_check_interval_seconds{monitor="credit"} 3600',
        f"driftwatch_scheduler_last_tick_timestamp_seconds {now}",
        "driftwatch_config_last_reload_successful 1",
        "",
    ])  # fmt: skip


def hurried(text: str) -> str:
    """The rules for a test that cannot wait: ranges of 3 s instead of minutes, waits of 1 s."""
    return re.sub(r"\[\d+m\]", "[3s]", re.sub(r"for: \d+m\b", "for: 1s", text))


@pytest.mark.peer
def test_a_page_reaches_the_pager_and_death_is_not_taken_for_recovery(
    receiver: Receiver, tmp_path: Path
) -> None:
    rules = hurried((HERE / "driftwatch.rules.yml").read_text())
    inhibit = yaml.safe_load((HERE / "alertmanager.yml").read_text())["inhibit_rules"]
    with (
        Receiver(page=exposition(drift=0)).serving() as exporter,
        alertmanager(tmp_path / "am", receiver.url, inhibit) as address,
        prometheus(tmp_path / "prom", exporter.url.removeprefix("http://"), rules, address) as prom,
    ):

        def firing(name: str) -> bool:
            alerts = get_json(f"{prom}/api/v1/alerts")["data"]["alerts"]
            return any(one["labels"]["alertname"] == name and one["state"] == "firing" for one in alerts)

        until(lambda: get_json(f"{prom}/api/v1/query?query=driftwatch_incident_open")["data"]["result"])
        until(lambda: named(receiver, "DriftwatchHeartbeat", "firing") and not firing("DriftwatchDown"))
        assert not named(receiver, "DriftwatchDrift", "firing")
        exporter.page = exposition(drift=1)
        fired = until(lambda: named(receiver, "DriftwatchDrift", "firing"))[0]
        assert fired["labels"]["monitor"] == "credit"
        assert "age (0.38)" in fired["annotations"]["description"]
        groups = get_json(f"{prom}/api/v1/rules")["data"]["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
        exporter.page = None
        until(lambda: firing("DriftwatchDown"))
        assert firing("DriftwatchDrift"), "down is known before the drift alert lets go"
        until(lambda: not firing("DriftwatchDrift"))
        time.sleep(3)
        assert not named(receiver, "DriftwatchDrift", "resolved")


def named(receiver: Receiver, name: str, status: str) -> list[Any]:
    return [alert for alert in receiver.alerts(status) if alert["labels"]["alertname"] == name]
