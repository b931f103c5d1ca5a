"""Every query of the Grafana dashboards, asked of a real Prometheus that scrapes a real daemon."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from daemon_world import MINUTE, World
from dashboards import DASHBOARDS, PANELS, query_prometheus, substitute_variables
from peers import free_port, get_json, prometheus, require, until

MINUTES = 30


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus and in it a daemon: segments, a drift, a self-test, a dead source, a dead sink."""
    require("prometheus")
    folder = tmp_path_factory.mktemp("grafana")
    sink = {"type": "webhook", "url": f"http://127.0.0.1:{free_port()}/"}
    start = time.time_ns() // MINUTE * MINUTE - MINUTES * MINUTE
    world = World(folder, monitors=("m", "gone"), start=start, settings={"notify": [sink]})
    world.options = {
        "segment_by": {"column": "level"},
        "selftest": {"every": "5m", "shift": 2, "within": "4m"},
        "model": {"name": "scorer", "version": "7"},
    }
    world.write()
    for number in range(MINUTES):
        world.minute(number, rows=600, shift=0.0 if number < MINUTES - 8 else 3.0)
    with world.inside(1, tick_seconds=1.0) as inside:
        inside.to(1)
        inside.to(MINUTES)
        target = inside.daemon.server.url.removeprefix("http://").rstrip("/")
        with prometheus(folder / "prom", target, "", None) as address:
            until(
                lambda: (
                    len(query_prometheus(address, "up[10m]")[0]["values"]) > 5
                    if query_prometheus(address, "up[10m]")
                    else 0
                )
            )
            yield address


CHOSEN = {
    "driftwatch-fleet": {"monitor": ".*"},
    "driftwatch-monitor": {"monitor": "m", "segment": ".*", "column": ".*"},
}


@pytest.mark.peer
@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_every_query_returns_data(uid: str, panel: dict[str, Any], filled: str) -> None:
    for target in panel["targets"]:
        series = query_prometheus(filled, substitute_variables(target["expr"], **CHOSEN[uid]))
        assert series, target["expr"]
        assert all(item["value"][1] != "NaN" for item in series)
        legend = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        assert legend <= set.intersection(*(set(item["metric"]) for item in series))


@pytest.mark.peer
@pytest.mark.parametrize("uid", DASHBOARDS)
def test_variables_and_annotations_return_data(uid: str, filled: str) -> None:
    for mark in DASHBOARDS[uid]["annotations"]["list"]:
        series = query_prometheus(filled, substitute_variables(mark["expr"], **CHOSEN[uid]))
        assert series, mark["name"]
        if mark["useValueForTime"]:
            now = time.time() * 1000
            assert all(now - 86_400_000 < float(item["value"][1]) <= now for item in series)
    for variable in DASHBOARDS[uid]["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
            match = urllib.parse.urlencode({"match[]": substitute_variables(metric, **CHOSEN[uid])})
            values = get_json(f"{filled}/api/v1/label/{label}/values?{match}")["data"]
            assert {"monitor": "m", "segment": "a", "column": "x"}.get(label, values[0]) in values


@pytest.mark.peer
def test_the_state_drawn_is_the_state_in_force(filled: str) -> None:
    (panel,) = [item for item in DASHBOARDS["driftwatch-fleet"]["panels"] if item["title"] == "State"]
    states = {
        item["metric"]["monitor"]: panel["fieldConfig"]["defaults"]["mappings"][0]["options"][
            item["value"][1]
        ]["text"]
        for item in query_prometheus(filled, substitute_variables(panel["targets"][0]["expr"], monitor=".*"))
    }
    assert states == {"m": "drifting", "gone": "source error"}
