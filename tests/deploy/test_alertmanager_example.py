"""The example configuration of Alertmanager: its routes by amtool, its inhibitions by a real Alertmanager."""

from __future__ import annotations

import json
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers import Receiver, alertmanager, get_json, require, until

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
CONFIG = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())

_DAEMON = {"job": "driftwatch", "instance": "a:9877"}
_MINE = {**_DAEMON, "monitor": "credit"}
_PUSHED = {"monitor": "credit", "incident": "credit-1"}

Labels = dict[str, str]


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


def inhibits(source: str, target: str, says: Labels, hears: Labels, *, want: bool) -> Any:
    word = "mutes" if want else "leaves"
    where = "pushed" if "incident" in hears else "_".join(hears.values())
    return pytest.param(source, target, says, hears, want, id=f"{source} {word} {target} {where}")


_CASES = [
    inhibits("Down", "Drift", _DAEMON, _MINE, want=True),
    inhibits("Down", "Broken", _DAEMON, _MINE, want=True),
    inhibits("Down", "CheckStale", _DAEMON, _MINE, want=True),
    inhibits("Down", "Drift", _DAEMON, {**_MINE, "instance": "b:9877"}, want=False),
    inhibits("Down", "Drift", {"job": "driftwatch"}, _MINE, want=True),
    inhibits("Down", "Drift", _DAEMON, _PUSHED, want=True),
    inhibits("Down", "NotLooking", _DAEMON, _PUSHED, want=True),
    inhibits("Down", "Heartbeat", _DAEMON, {}, want=False),
    inhibits("SchedulerStuck", "Drift", _DAEMON, _MINE, want=True),
    inhibits("SchedulerStuck", "SourceStale", _DAEMON, _MINE, want=True),
    inhibits("SchedulerStuck", "Down", _DAEMON, _DAEMON, want=False),
    inhibits("CheckStale", "Drift", _MINE, {**_MINE, "segment": "north"}, want=True),
    inhibits("CheckStale", "Drift", _MINE, {**_MINE, "monitor": "churn"}, want=False),
    inhibits("CheckFailing", "Drift", _MINE, _MINE, want=True),
    inhibits("SourceStale", "Drift", _MINE, _MINE, want=True),
    # What is broken may be the very reason why a check fails.
    inhibits("CheckFailing", "Broken", _MINE, _MINE, want=False),
    inhibits("CheckFailing", "CheckStale", _MINE, _MINE, want=True),
    inhibits("CheckFailing", "NeverSucceeded", _MINE, _MINE, want=True),
    inhibits("CheckStale", "CheckFailing", _MINE, _MINE, want=False),
    inhibits("NotLooking", "Drift", _PUSHED, {**_PUSHED, "incident": "credit-2"}, want=True),
    inhibits("NotLooking", "Drift", _PUSHED, {**_PUSHED, "segment": "north"}, want=False),
    inhibits("CannotStore", "StoreFailing", _DAEMON, _DAEMON, want=True),
    inhibits("CannotStore", "Drift", _DAEMON, _MINE, want=False),
    inhibits("InsufficientForLong", "Drift", _MINE, _MINE, want=False),
    inhibits("Drift", "CheckStale", _MINE, _MINE, want=False),
]


#: Mutes the witnesses of the cases alone: no rule of the example does.
_WITNESS_RULE = {
    "source_matchers": ['alertname = "Witness"'],
    "target_matchers": ['alertname = "Witnessed"'],
    "equal": ["case"],
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    rules = [*CONFIG["inhibit_rules"], _WITNESS_RULE]
    with (
        Receiver().serving() as receiver,
        alertmanager(tmp_path_factory.mktemp("am"), receiver.url, rules) as address,
    ):
        yield address


def post(address: str, *alerts: Labels, ends: str | None = None) -> None:
    body = [{"labels": labels, **({"endsAt": ends} if ends else {})} for labels in alerts]
    request = urllib.request.Request(
        f"{address}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=5).close()


def status(address: str, labels: Labels) -> Any:
    statuses = [one["status"] for one in get_json(f"{address}/api/v2/alerts") if one["labels"] == labels]
    # An alert is "unprocessed" until it was weighed against the inhibitions once.
    return statuses[0] if statuses and statuses[0]["state"] != "unprocessed" else None


@pytest.mark.peer
@pytest.mark.parametrize(("source", "target", "says", "hears", "want"), _CASES)
def test_not_looking_mutes_what_it_must_and_nothing_else(
    source: str, target: str, says: Labels, hears: Labels, want: bool, address: str
) -> None:
    first = {"alertname": f"Driftwatch{source}", **says}
    second = {"alertname": f"Driftwatch{target}", **hears}
    # Alertmanager lists an alert before its inhibitor has read it. The inhibitor reads in the order of
    # arrival: when it mutes the pair of this case, it has read all that came before.
    case = str(uuid.uuid4())
    mutes, muted = {"alertname": "Witness", "case": case}, {"alertname": "Witnessed", "case": case}
    try:
        post(address, first)
        until(lambda: status(address, first))
        post(address, mutes)
        post(address, muted, second)
        until(lambda: (status(address, muted) or {}).get("inhibitedBy"))
        assert bool(until(lambda: status(address, second))["inhibitedBy"]) is want
    finally:
        post(address, first, second, mutes, muted, ends="2020-01-01T00:00:00Z")
        until(lambda: not get_json(f"{address}/api/v2/alerts"))


def test_every_inhibition_is_proven_to_mute_something() -> None:
    sources = {case.values[0] for case in _CASES if case.values[4]}
    for rule in CONFIG["inhibit_rules"]:
        named = rule["source_matchers"][0].split('"')[1].split("|")
        assert {name.removeprefix("Driftwatch") for name in named} <= sources
