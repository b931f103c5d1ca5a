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

from driftwatch.daemon.metrics.families import FAMILIES
from driftwatch.notify._text import ALERT_NAMES

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "driftwatch.rules.yml").read_text())
TESTS = sorted((FOLDER / "tests").glob("*.test.yml"))
EVERY = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in EVERY if "alert" in rule}
RECORDS = {rule["record"] for rule in EVERY if "record" in rule}
RUNBOOKS = {path.stem: path.read_text() for path in (FOLDER / "runbooks").iterdir()}


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.peer
def test_promtool_accepts_the_rules_and_the_example() -> None:
    assert f"{len(EVERY)} rules found" in run(require("promtool"), "check", "rules", "driftwatch.rules.yml")
    run(require("promtool"), "check", "config", "prometheus.yml")


@pytest.mark.peer
def test_rules_fire_when_they_must_and_only_then() -> None:
    run(require("promtool"), "test", "rules", *(str(path) for path in TESTS))


def test_every_rule_is_tested_both_ways() -> None:
    cases = [case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]
    checks = [check for case in cases for check in case.get("alert_rule_test", ())]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    rests = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert fires == set(ALERTS)
    assert rests == set(ALERTS) - {"DriftwatchHeartbeat"}
    expressions = " ".join(check["expr"] for case in cases for check in case.get("promql_expr_test", ()))
    assert {name for name in RECORDS if name in expressions} == RECORDS


def test_every_alert_is_tested_over_a_gap() -> None:
    gaps, days = (
        yaml.safe_load((FOLDER / "tests" / f"driftwatch.{name}.test.yml").read_text())
        for name in ("gaps", "days")
    )
    firing = {
        re.sub(r'.*"(\w+)".*', r"\1", sample["labels"])
        for check in gaps["tests"][0]["promql_expr_test"]
        for sample in check["exp_samples"]
    }
    slow = {check["alertname"] for case in days["tests"] for check in case["alert_rule_test"]}
    # A daemon that misses two scrapes of every ten is not down.
    assert firing | slow == set(ALERTS) - {"DriftwatchDown"}


def test_every_alert_explains_itself() -> None:
    for name, rule in ALERTS.items():
        assert re.fullmatch(r"Driftwatch([A-Z][a-z]+)+", name)
        assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
        notes = rule["annotations"]
        assert set(notes) == {"summary", "description", "runbook_url", "dashboard_url"}
        assert notes["runbook_url"] == f"deploy/prometheus/runbooks/{name}.md"
        assert notes["dashboard_url"].startswith("/d/driftwatch-")


def test_every_alert_has_one_runbook_and_every_runbook_an_alert() -> None:
    assert set(RUNBOOKS) == set(ALERTS) | set(ALERT_NAMES.values())


@pytest.mark.parametrize("name", sorted(RUNBOOKS))
def test_a_runbook_has_four_parts_that_say_something(name: str) -> None:
    title, *parts = re.split(r"^## ", RUNBOOKS[name], flags=re.MULTILINE)
    assert title.strip() == f"# {name}"
    assert [part.splitlines()[0] for part in parts] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    for part in parts:
        assert len(part.split("\n", 1)[1].strip()) > 20
    for link in re.findall(r"\]\(([^)]+)\)", RUNBOOKS[name]):
        assert (FOLDER / "runbooks" / link).is_file()


def test_rules_name_only_metrics_and_labels_that_are_exported() -> None:
    exported_labels = {family.name: set(family.labels) for family in FAMILIES}
    text = (FOLDER / "driftwatch.rules.yml").read_text()
    text = "\n".join(
        line
        for line in text.splitlines()
        if not line.strip().startswith(("#", "runbook_url", "dashboard_url"))
    )
    for record in RECORDS:
        text = text.replace(record, "")
    selectors = re.findall(r"\b(driftwatch_\w+)(?:\{([^}]*)\})?", text)
    assert len({name for name, _ in selectors}) > 10
    for name, selector in selectors:
        assert name in exported_labels, name
        labels = set(re.findall(r"(\w+)=", selector)) - {"instance", "job"}
        assert labels <= exported_labels[name], (name, labels)


def test_alerts_pushed_and_alerts_from_rules_bear_the_same_names() -> None:
    names = {"DriftwatchDrift", "DriftwatchBroken", "DriftwatchCannotStore"}
    assert names <= set(ALERT_NAMES.values()) & set(ALERTS)


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
    rules = hurried((FOLDER / "driftwatch.rules.yml").read_text())
    inhibit = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())["inhibit_rules"]
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
        until(lambda: named(receiver, "DriftwatchDown", "firing"))
        # Longer than the hurried ranges and keep_firing_for together.
        time.sleep(6)
        assert firing("DriftwatchDrift"), "what was last known is held while nobody looks"
        assert not named(receiver, "DriftwatchDrift", "resolved")
        exporter.page = exposition(drift=1)
        until(lambda: not firing("DriftwatchDown"))
        time.sleep(3)
        assert not named(receiver, "DriftwatchDrift", "resolved")
        assert len({alert["startsAt"] for alert in named(receiver, "DriftwatchDrift", "firing")}) == 1
        exporter.page = exposition(drift=0)
        until(lambda: named(receiver, "DriftwatchDrift", "resolved"))


def named(receiver: Receiver, name: str, status: str) -> list[Any]:
    return [alert for alert in receiver.alerts(status) if alert["labels"]["alertname"] == name]
