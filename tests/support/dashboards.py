"""The Grafana dashboards, panel by panel, and their queries asked of a Prometheus."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from peers import get_json

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"


DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.iterdir())}


PANELS = [
    pytest.param(uid, panel, id=f"{uid} {panel['title']}")
    for uid, whole in DASHBOARDS.items()
    for panel in whole["panels"]
    if panel["type"] != "row"
]


def query_prometheus(address: str, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    answer = get_json(f"{address}/api/v1/query?{query}")
    assert answer["status"] == "success"
    return list(answer["data"]["result"])


def substitute_variables(expression: str, **values: str) -> str:
    for name, value in {"__rate_interval": "1m", "instance": ".*", **values}.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression
    return expression
