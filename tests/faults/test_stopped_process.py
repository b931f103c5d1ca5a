"""A daemon stopped by SIGSTOP, as by a debugger or a frozen container: seen by a real Prometheus."""

from __future__ import annotations

import re
import signal
import urllib.parse
from pathlib import Path

import pytest
from daemon_world import fetch, hourly, running
from peers import get_json, prometheus, until

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "driftwatch.rules.yml"


@pytest.mark.peer
def test_the_heartbeat_goes_on_and_the_pager_learns_of_a_daemon_that_stands_still(tmp_path: Path) -> None:
    rules = re.sub(r"\[\d+m\]", "[3s]", re.sub(r"for: \d+m\b", "for: 1s", RULES.read_text()))
    world = hourly(tmp_path)
    with running(world.config) as daemon:
        target = daemon.url.removeprefix("http://")
        with prometheus(tmp_path / "prometheus", target, rules, None) as address:

            def firing(name: str) -> bool:
                alerts = get_json(f"{address}/api/v1/alerts")["data"]["alerts"]
                return any(
                    item["labels"]["alertname"] == name and item["state"] == "firing" for item in alerts
                )

            def value(query: str) -> float | None:
                text = urllib.parse.quote(query)
                samples = get_json(f"{address}/api/v1/query?query={text}")["data"]["result"]
                return float(samples[0]["value"][1]) if samples else None

            until(lambda: firing("DriftwatchHeartbeat") and value("up") == 1 and not firing("DriftwatchDown"))
            daemon.process.send_signal(signal.SIGSTOP)
            # Its socket still accepts: only an answer that does not come tells.
            until(lambda: firing("DriftwatchDown"))
            assert firing("DriftwatchHeartbeat"), "the path to the pager works while the daemon does not"
            daemon.process.send_signal(signal.SIGCONT)
            until(lambda: value("up") == 1 and not firing("DriftwatchDown"))
            assert fetch(f"{daemon.url}/-/healthy")[0] == 200
            assert value("driftwatch_clock_jumps_total") == 0, "standing still is no jump of the clock"
        assert daemon.end() == 0
